//! The service file: settings under a name, `[name]` and a `key=value` a line, as libpq reads it.
//!
//! No message repeats a value: it may be a password.

use std::path::Path;
use std::path::PathBuf;

use super::settings::Settings;
use crate::error::Error;
use crate::error::Result;

/// The name of the system's file, and of the user's behind a dot.
const FILE: &str = "pg_service.conf";

/// Where the usual packages of libpq have the system's file.
const SYSTEM_FOLDERS: [&str; 2] = ["/etc/postgresql-common", "/etc/sysconfig/pgsql"];

/// Where service files are looked for.
#[derive(Debug)]
pub(super) struct Places {
    /// What somebody named, or the user's own. A named one must be there.
    first: Option<(PathBuf, bool)>,
    /// The system's, each where there is one.
    system: Vec<PathBuf>,
}

impl Places {
    pub(super) fn new(named: Option<&str>, home: Option<&Path>, system_folder: Option<&str>) -> Places {
        let own = home.map(|home| (home.join(format!(".{FILE}")), false));
        let system = match system_folder {
            Some(folder) => vec![Path::new(folder).join(FILE)],
            None => SYSTEM_FOLDERS.iter().map(|folder| Path::new(folder).join(FILE)).collect(),
        };
        Places { first: named.map(|path| (PathBuf::from(path), true)).or(own), system }
    }
}

/// Takes what is missing from the service of this name: from the user's file, and where that does not know it, from the system's.
pub(super) fn fill(settings: &mut Settings, name: &str, places: &Places) -> Result<()> {
    let first = places.first.iter().filter(|(path, named)| *named || path.exists()).map(|(path, _)| path);
    let system = places.system.iter().filter(|path| path.exists());
    let mut looked = Vec::new();
    for path in first.chain(system) {
        let bytes = std::fs::read(path).map_err(|error| {
            Error::usage(format!("the service file {} can't be read", path.display())).caused_by(error)
        })?;
        if fill_from(settings, name, path, &String::from_utf8_lossy(&bytes))? {
            return Ok(());
        }
        looked.push(path.display().to_string());
    }
    let looked = if looked.is_empty() {
        "there is no service file; write ~/.pg_service.conf, or name one in PGSERVICEFILE".to_owned()
    } else {
        format!("looked for [{name}] in {}", looked.join(" and "))
    };
    Err(Error::usage(format!("there is no service \"{name}\"")).hint(looked))
}

/// Whether the file has the service.
fn fill_from(settings: &mut Settings, name: &str, path: &Path, text: &str) -> Result<bool> {
    let mut found = false;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        let wrong = |why: &str| Error::usage(format!("{}:{}: {why}", path.display(), at + 1));
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(heading) = line.strip_prefix('[') {
            if found {
                return Ok(true);
            }
            found = heading.split_once(']').is_some_and(|(heading, _)| heading == name);
            continue;
        }
        if !found {
            continue;
        }
        if line.starts_with("ldap") {
            return Err(wrong("a service by LDAP is not read here").hint("write its settings out, as key=value"));
        }
        let (keyword, value) = line.split_once('=').ok_or_else(|| wrong("that is neither key=value nor [service]"))?;
        if matches!(keyword, "service" | "servicefile") {
            return Err(wrong("a service can't name another one"));
        }
        if !settings.set_from_service(keyword, value, path, at + 1) {
            return Err(
                wrong("that keyword is not known").hint("libpq's keywords are understood, as host, port, dbname, user")
            );
        }
    }
    Ok(found)
}
