//! Versions as file names have them: numbers, points in time, dotted numbers, dates with dashes. The text stays as it is; it is compared by
//! its numbers, and by what stands behind them only where those are equal.

use std::cmp::Ordering;

/// Digits of a point in time to the second; a date with dashes is filled up to them.
const SECONDS: usize = 14;

/// A version in the form in which it is compared. Two versions that are equal in it are one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionKey {
    place: Place,
    /// The digits of each number without leading zeros, of any length, behind their count; zeros at the end of the list are left out.
    numbers: Vec<(usize, String)>,
    rest: String,
}

/// What comes before what, whatever the numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Place {
    /// Another tool has run it, and no file of ours stands for it: `django:auth.0001_initial`.
    Elsewhere,
    Numbered,
    /// Without a number.
    Named,
}

impl VersionKey {
    /// Of a version as it is written.
    pub fn of(version: &str) -> VersionKey {
        let (mut numbers, rest) = match date_with_dashes(version) {
            Some(date) if date.len() == version.len() => (date_numbers(date), ""),
            Some(_) | None => dotted(version),
        };
        while numbers.len() > 1 && numbers.last().is_some_and(String::is_empty) {
            numbers.pop();
        }
        VersionKey {
            place: match numbers.is_empty() {
                true if is_elsewhere(version) => Place::Elsewhere,
                true => Place::Named,
                false => Place::Numbered,
            },
            numbers: numbers.into_iter().map(|digits| (digits.len(), digits)).collect(),
            rest: rest.to_owned(),
        }
    }
}

/// Compares versions by their numbers: 2 comes before 10, 001 equals 1, `1_2` equals `1.2` and `1.2.0`, `2024-01-31-120000` equals
/// `20240131120000`. What has no number comes last, in the order of its text; what another tool has run without a file of
/// ours comes first.
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    VersionKey::of(a).cmp(&VersionKey::of(b))
}

/// Whether it has a tool's name in front: `django:auth.0001_initial`.
fn is_elsewhere(version: &str) -> bool {
    let is_tool = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    version.split_once(':').is_some_and(|(tool, _)| is_tool(tool))
}

/// Numbers with `.` or `_` between them, and what follows.
fn dotted(version: &str) -> (Vec<String>, &str) {
    let mut numbers = Vec::new();
    let mut rest = version;
    loop {
        let digits = digits(rest);
        if digits.is_empty() {
            return (numbers, rest);
        }
        numbers.push(digits.trim_start_matches('0').to_owned());
        let behind = &rest[digits.len()..];
        match behind.strip_prefix(['.', '_']) {
            Some(next) if !self::digits(next).is_empty() => rest = next,
            Some(_) | None => return (numbers, behind),
        }
    }
}

/// The digits that a text begins with.
fn digits(text: &str) -> &str {
    &text[..text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())]
}

/// `2024-01-31` or `2024-01-31-120000`, as far as a text begins with it.
pub(super) fn date_with_dashes(text: &str) -> Option<&str> {
    // A first part of four digits may also be a number.
    let is_year = ["19", "20", "21"].iter().any(|century| text.starts_with(century));
    let mut end = 0;
    for (at, part) in text.split('-').enumerate() {
        let number = digits(part);
        let wanted = [4, 2, 2].get(at).copied();
        let ends_here = number.len() < part.len();
        if number.is_empty() || wanted.is_some_and(|wanted| number.len() != wanted) {
            break;
        }
        // `2024-01-31-2fa`: the last part is a word.
        if ends_here && !part[number.len()..].starts_with('_') {
            break;
        }
        end = if at == 0 { number.len() } else { end + 1 + number.len() };
        if ends_here {
            break;
        }
    }
    (is_year && end >= "2024-01-31".len()).then(|| &text[..end])
}

/// A date as a point in time to the second, and what goes beyond.
fn date_numbers(date: &str) -> Vec<String> {
    let mut joined = String::new();
    let mut parts = date.split('-');
    while joined.len() < SECONDS
        && let Some(part) = parts.next()
    {
        joined.push_str(part);
    }
    let beyond = joined.split_off(SECONDS.min(joined.len()));
    joined.push_str(&"0".repeat(SECONDS - joined.len()));
    let more = std::iter::once(beyond.as_str()).filter(|beyond| !beyond.is_empty()).chain(parts);
    std::iter::once(joined.as_str()).chain(more).map(|number| number.trim_start_matches('0').to_owned()).collect()
}

/// How a version and a name stand side by side in a file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Separator {
    /// `001_name` or `001-name`.
    Needed,
    /// Also `001name`.
    Optional,
}

/// Version and name of a file's or folder's name without its ending.
pub(super) fn split_name(stem: &str, separator: Separator) -> Option<(String, String)> {
    let version = date_with_dashes(stem).unwrap_or_else(|| plain_version(stem));
    let rest = &stem[version.len()..];
    let name = rest.strip_prefix(['_', '-']);
    match (version.is_empty(), name, separator) {
        (true, _, _) => None,
        (false, Some(name), _) => Some((version.to_owned(), name.to_owned())),
        (false, None, Separator::Optional) => Some((version.to_owned(), rest.to_owned())),
        (false, None, Separator::Needed) => rest.is_empty().then(|| (version.to_owned(), String::new())),
    }
}

/// `001`, `1.2.3`.
fn plain_version(stem: &str) -> &str {
    let mut end = digits(stem).len();
    while let Some(next) = stem[end..].strip_prefix('.').map(digits).filter(|next| !next.is_empty())
        && end > 0
    {
        end += 1 + next.len();
    }
    &stem[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_their_numbers() {
        let equal = [
            ("1", "001"),
            ("1_2", "1.2"),
            ("1.2", "1.2.0"),
            ("1.2.0.0", "1_02"),
            ("0", "000"),
            ("0", "0.0"),
            ("2024-01-31-120000", "20240131120000"),
            ("2024-01-31-120000", "2024-01-31-120000-0000"),
            ("2024-01-31", "20240131000000"),
            ("99999999999999999999999999999999999999999999", "099999999999999999999999999999999999999999999"),
        ];
        for (a, b) in equal {
            assert_eq!(compare_versions(a, b), Ordering::Equal, "{a} {b}");
        }
        let ascending = [
            ("2", "10"),
            ("1.2", "1.10"),
            ("1.9", "2"),
            ("1", "1.0.1"),
            ("00000000000000", "2024-01-31-120000"),
            ("2024-01-31", "2024-01-31-000001"),
            ("2023-12-31-235959", "20240101000000"),
            ("2024-01-31-120000", "2024-01-31-120000-0001"),
            ("2024-01-31-120000-0001", "2024-02-01-000000"),
            ("20240131120000", "99999999999999999999999999999999999999999999"),
            ("1", "1a"),
            ("1a", "1b"),
            ("1b", "2a"),
            ("9", "R__views"),
            ("R__a", "R__b"),
            ("rails:20240131120000", "0"),
            ("django:b", "rails:a"),
            ("9", "R__a:b"),
        ];
        for (a, b) in ascending {
            assert_eq!(compare_versions(a, b), Ordering::Less, "{a} {b}");
            assert_eq!(compare_versions(b, a), Ordering::Greater, "{b} {a}");
        }
    }

    #[test]
    fn a_name_begins_with_its_version() {
        let check = |stem: &str, version: &str, name: &str| {
            assert_eq!(split_name(stem, Separator::Needed), Some((version.to_owned(), name.to_owned())), "{stem}");
        };
        check("001_a", "001", "a");
        check("001-a-b", "001", "a-b");
        check("001", "001", "");
        check("1.2_a", "1.2", "a");
        check("1.2.3-a", "1.2.3", "a");
        check("20240131120000_create_users", "20240131120000", "create_users");
        check("2024-01-31-120000_create_users", "2024-01-31-120000", "create_users");
        check("2024-01-31-120000-0000_create_users", "2024-01-31-120000-0000", "create_users");
        check("2024-01-31_create", "2024-01-31", "create");
        check("2024-01-31-create", "2024-01-31", "create");
        check("2024-01-31-2fa", "2024-01-31", "2fa");
        check("2024-1-a", "2024", "1-a");
        check("0001-02-03-a", "0001", "02-03-a");
        for stem in ["a", "2fa", "_1", "", "v1_a"] {
            assert_eq!(split_name(stem, Separator::Needed), None, "{stem}");
        }
        assert_eq!(split_name("2fa", Separator::Optional), Some(("2".to_owned(), "fa".to_owned())));
        assert_eq!(split_name("fa", Separator::Optional), None);
    }
}
