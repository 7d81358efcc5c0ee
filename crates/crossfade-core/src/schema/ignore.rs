//! What a comparison shall pass over, as a team names it.

use std::collections::BTreeSet;

use super::DatabaseSchema;
use super::Kind;
use super::ObjectId;
use super::id::Place;

impl DatabaseSchema {
    /// Takes everything out that one of these patterns names, with all that hangs on it or is in it. Returns how many objects that were.
    ///
    /// A pattern is a name as it is shown, with or without its kind, and `*` for any letters: `table app.users`, `audit.*`, `schema pganalyze`,
    /// `extension *`.
    pub fn ignore(&mut self, patterns: &[String]) -> usize {
        if patterns.is_empty() {
            return 0;
        }
        let named = |id: &ObjectId| {
            let (short, long) = (Place(id).to_string(), id.to_string());
            patterns.iter().any(|pattern| matches(pattern, &short) || matches(pattern, &long))
        };
        let mut ignored: BTreeSet<ObjectId> = self.objects.keys().filter(|id| named(id)).cloned().collect();
        loop {
            let belongs = |id: &ObjectId| {
                let schema = id.schema.as_ref().map(|schema| ObjectId::global(Kind::Schema, schema.as_str()));
                let tables = self.get(id).into_iter().flat_map(|object| &object.requires);
                let mut tables = tables.filter(|other| {
                    matches!(id.kind, Kind::Index | Kind::Sequence | Kind::OwnedBy | Kind::Partition)
                        && matches!(
                            other.kind,
                            Kind::Table | Kind::MaterializedView | Kind::ForeignTable | Kind::Column
                        )
                });
                schema.is_some_and(|schema| ignored.contains(&schema))
                    || self.holder(id).is_some_and(|holder| ignored.contains(&holder))
                    || tables.any(|table| ignored.contains(table))
            };
            let more: Vec<ObjectId> =
                self.objects.keys().filter(|id| !ignored.contains(id) && belongs(id)).cloned().collect();
            if more.is_empty() {
                break;
            }
            ignored.extend(more);
        }
        self.objects.retain(|id, _| !ignored.contains(id));
        ignored.len()
    }
}

/// Whether a text is of the pattern's form; `*` stands for any letters.
pub fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => {
            let Some(behind) = text.strip_prefix(start) else { return false };
            let mut places = behind.char_indices().map(|(at, _)| at).chain([behind.len()]);
            places.any(|at| matches(rest, &behind[at..]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text, expected) in [
            ("app.users", "app.users", true),
            ("app.user", "app.users", false),
            ("app.*", "app.users", true),
            ("app.*", "apps.users", false),
            ("*_log", "app.old_log", true),
            ("*.*_log*", "app.old_log_2", true),
            ("*", "", true),
            ("é*", "é", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
