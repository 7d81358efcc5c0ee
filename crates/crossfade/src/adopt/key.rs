//! What a history calls a migration, in the form in which its tool compares it.

/// Equal where the tool takes two names for one; in the tool's own order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// A number: `1` is `001`.
    Number(u128),
    /// Several: `1.2` is `1_2` and `1.2.0`, and comes before `1.10`.
    Numbers(Vec<u128>),
    /// A text: `1` is not `001`, and `10_a` comes before `2_a`.
    Text(String),
}

impl Key {
    pub fn number(identity: &str) -> Key {
        identity.parse().map_or_else(|_| Key::Text(identity.to_owned()), Key::Number)
    }

    pub fn numbers(identity: &str) -> Key {
        let numbers: Result<Vec<u128>, _> = identity.split(['.', '_']).map(str::parse).collect();
        let Ok(mut numbers) = numbers else { return Key::text(identity) };
        while numbers.len() > 1 && numbers.last() == Some(&0) {
            numbers.pop();
        }
        Key::Numbers(numbers)
    }

    pub fn text(identity: &str) -> Key {
        Key::Text(identity.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tool_has_its_own_idea_of_a_version() {
        assert_eq!(Key::number("001"), Key::number("1"));
        assert!(Key::number("2") < Key::number("10"));
        assert_ne!(Key::text("001"), Key::text("1"));
        assert!(Key::text("10_a") < Key::text("2_a"));
        assert_eq!(Key::numbers("1_2"), Key::numbers("1.2.0"));
        assert!(Key::numbers("1.2") < Key::numbers("1.10"));
        assert_eq!(Key::numbers("0"), Key::numbers("0.0"));
        assert!(Key::number("9") < Key::number("x"));
    }
}
