//! The password file: `host:port:database:user:password`, one a line, `*` for any, `\` before `:` and `\`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// What a password is looked up for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key<'a> {
    /// Host names that count: a default socket folder goes as `localhost`, too.
    pub(super) hosts: &'a [&'a str],
    pub(super) port: u16,
    pub(super) database: &'a str,
    pub(super) user: &'a str,
}

/// A password file that may be used.
#[derive(Clone)]
pub(super) struct Passfile {
    text: String,
}

impl Passfile {
    /// Reads it. A file that others may read is not used, as with libpq; `Err` says so.
    pub(super) fn read(path: &Path) -> Result<Option<Passfile>, String> {
        let Ok(metadata) = std::fs::metadata(path) else { return Ok(None) };
        if !metadata.is_file() {
            return Err(format!("the password file {} is no plain file, and was not used", path.display()));
        }
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(format!(
                "the password file {0} was not used: others may read it; chmod 600 {0}",
                path.display()
            ));
        }
        match std::fs::read(path) {
            Ok(bytes) => Ok(Some(Passfile { text: String::from_utf8_lossy(&bytes).into_owned() })),
            Err(error) => Err(format!("the password file {} can't be read: {error}", path.display())),
        }
    }

    /// The password of the first line that fits.
    pub(super) fn password(&self, key: Key<'_>) -> Option<String> {
        let port = key.port.to_string();
        self.text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
            let mut rest = line.trim_end_matches('\r');
            for wanted in [key.hosts, &[&port], &[key.database], &[key.user]] {
                let (field, behind) = split_field(rest)?;
                if field != "*" && !wanted.contains(&unescape(field).as_str()) {
                    return None;
                }
                rest = behind;
            }
            Some(unescape(rest)).filter(|password| !password.is_empty())
        })
    }
}

/// The field before the next `:` that no `\` stands before.
fn split_field(line: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ':' => return Some((&line[..at], &line[at + 1..])),
            _ => {}
        }
    }
    None
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, database: &str, expected: Option<&str>) {
        let key = Key { hosts: &["localhost", "/tmp"], port: 5432, database, user: "me" };
        let found = Passfile { text: text.to_owned() }.password(key);
        assert_eq!(found.as_deref(), expected, "{text}");
    }

    #[test]
    fn the_first_line_that_fits_wins() {
        check("other:5432:shop:me:no\nlocalhost:5432:shop:me:one\n*:*:*:*:two\n", "shop", Some("one"));
        check("localhost:5433:shop:me:no\n*:*:*:*:two\r\n", "shop", Some("two"));
        check("/tmp:5432:*:me:socket", "shop", Some("socket"));
        check("# *:*:*:*:comment\n", "shop", None);
        check("*:*:*:*\nnonsense\n", "shop", None);
    }

    #[test]
    fn escapes_are_undone() {
        check(r"*:*:a\:b:me:p\:w\\x:y", "a:b", Some(r"p:w\x:y"));
        check(r"*:*:\*:me:x", "shop", None);
    }

    #[test]
    fn a_file_that_others_may_read_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pgpass");
        assert!(Passfile::read(&path).is_ok_and(|file| file.is_none()));
        std::fs::write(&path, "*:*:*:*:secret").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let why = Passfile::read(&path).err().unwrap();
        assert!(why.contains("chmod 600") && !why.contains("secret"), "{why}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(Passfile::read(&path).is_ok_and(|file| file.is_some()));
    }
}
