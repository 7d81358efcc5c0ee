//! graphile-migrate: SHA-1 over the hash of the migration before and the body.

use super::sha1_hex;

/// The hash of a committed migration, where `previous` is the one of the migration before it.
pub(in crate::adopt) fn graphile(previous: Option<&str>, body: &str) -> String {
    let text = format!("{}\n{}", previous.unwrap_or_default(), body.trim());
    format!("sha1:{}", sha1_hex(format!("{}\n", text.trim()).as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// graphile-migrate's own tests have it: `__tests__/helpers.ts`.
    #[test]
    fn the_hash_is_that_of_the_tool_s_tests() {
        let first = graphile(None, "create table if not exists foo (id serial primary key);");
        assert_eq!(first, "sha1:e00ec93314a423ee5cc68d1182ad52f16442d7df");
        let body = "create table if not exists bar (id serial primary key);";
        assert_eq!(graphile(Some(&first), &format!("\n\n\n{body}\n\n")), graphile(Some(&first), body));
        assert_ne!(graphile(None, body), graphile(Some(&first), body));
    }
}
