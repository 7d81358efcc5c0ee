//! Connection settings by libpq's keywords: from a URL, from a `key=value` string, from variables.
//!
//! No message repeats a value that came with the URL: what stands at the wrong place there may be a password.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::Error;
use crate::error::Result;

/// What is understood, with the variable that gives it where the URL does not.
const KEYWORDS: &[(&str, &str)] = &[
    ("host", "PGHOST"),
    ("hostaddr", "PGHOSTADDR"),
    ("port", "PGPORT"),
    ("dbname", "PGDATABASE"),
    ("user", "PGUSER"),
    ("password", "PGPASSWORD"),
    ("passfile", "PGPASSFILE"),
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("channel_binding", "PGCHANNELBINDING"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("options", "PGOPTIONS"),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
    ("service", "PGSERVICE"),
    ("servicefile", "PGSERVICEFILE"),
];

/// What libpq knows and changes nothing here.
const IGNORED: &[&str] = &[
    "application_name",
    "client_encoding",
    "fallback_application_name",
    "gssdelegation",
    "gssencmode",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "load_balance_hosts",
    "sslcompression",
    "sslnegotiation",
    "sslsni",
    "tcp_user_timeout",
];

/// Settings by keyword, each with where it came from.
#[derive(Default)]
pub(super) struct Settings {
    values: BTreeMap<&'static str, (String, Origin)>,
}

#[derive(Clone)]
enum Origin {
    Url,
    Variable(&'static str),
    /// A line of a service file.
    Service(String),
}

impl Settings {
    /// Reads `postgres://…`, `postgresql://…` or `key=value …`.
    pub(super) fn parse(text: &str) -> Result<Settings> {
        let text = text.trim();
        match text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://")) {
            Some(rest) => Settings::parse_url(rest),
            None => Settings::parse_pairs(text),
        }
    }

    /// Takes what is missing from variables. An empty variable counts as none, as in libpq.
    pub(super) fn fill_from(&mut self, lookup: &dyn Fn(&str) -> Option<String>) {
        for &(keyword, variable) in KEYWORDS {
            if let Some(value) = lookup(variable).filter(|value| !value.is_empty()) {
                self.values.entry(keyword).or_insert((value, Origin::Variable(variable)));
            }
        }
    }

    /// Takes one that is missing from a line of a service file, or says that it is not known.
    pub(super) fn set_from_service(&mut self, keyword: &str, value: &str, path: &Path, line: usize) -> bool {
        let (keyword, value) = plain(keyword, value.to_owned());
        if let Some(&(keyword, _)) = KEYWORDS.iter().find(|(known, _)| *known == keyword) {
            let origin = Origin::Service(format!("{}:{line}", path.display()));
            self.values.entry(keyword).or_insert((value, origin));
            return true;
        }
        IGNORED.contains(&keyword)
    }

    /// Says what is not said yet.
    pub(super) fn set_missing(&mut self, keyword: &'static str, value: &str) {
        self.values.entry(keyword).or_insert((value.to_owned(), Origin::Url));
    }

    /// A value that is there and not empty.
    pub(super) fn get(&self, keyword: &str) -> Option<&str> {
        self.values.get(keyword).map(|(value, _)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Values of a comma-separated list; empty where the keyword is missing.
    pub(super) fn list(&self, keyword: &str) -> Vec<&str> {
        self.get(keyword).map(|value| value.split(',').map(str::trim).collect()).unwrap_or_default()
    }

    /// A refusal of one value.
    pub(super) fn wrong(&self, keyword: &str, why: &str) -> Error {
        match self.values.get(keyword) {
            Some((value, Origin::Variable(variable))) if keyword != "password" => {
                Error::usage(format!("{variable} is \"{value}\", and {why}"))
            }
            Some((_, Origin::Variable(variable))) => Error::usage(format!("{variable}: {why}")),
            Some((_, Origin::Service(line))) => Error::usage(format!("{line}: {keyword}: {why}")),
            Some((_, Origin::Url)) | None => Error::usage(format!("{keyword} in the database URL: {why}")),
        }
    }

    fn parse_url(rest: &str) -> Result<Settings> {
        let mut settings = Settings::default();
        let authority_end = rest.find('/').unwrap_or(rest.len());
        let rest = match rest[..authority_end].find('@') {
            None => rest,
            Some(first) => {
                // The last @ before the parameters: people forget to encode one in a password.
                let end = rest[first..authority_end].find('?').map_or(authority_end, |at| first + at);
                let at = rest[..end].rfind('@').unwrap_or(first);
                let (user, password) = match rest[..at].split_once(':') {
                    Some((user, password)) => (user, Some(password)),
                    None => (&rest[..at], None),
                };
                settings.set("user", decode(user)?)?;
                if let Some(password) = password {
                    settings.set("password", decode(password)?)?;
                }
                &rest[at + 1..]
            }
        };
        let (location, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        if location.contains('@') {
            return Err(
                unreadable("there is an @ behind a /").hint("write a / in the password as %2F, an @ elsewhere as %40")
            );
        }
        let (hosts, database) = location.split_once('/').unwrap_or((location, ""));
        settings.set_hosts(hosts)?;
        settings.set("dbname", decode(database)?)?;
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            let (keyword, value) = parameter.split_once('=').ok_or_else(|| unreadable("a parameter has no value"))?;
            settings.set(&decode(keyword)?, decode(value)?)?;
        }
        Ok(settings)
    }

    fn set_hosts(&mut self, text: &str) -> Result<()> {
        let (mut hosts, mut ports) = (Vec::new(), Vec::new());
        for part in text.split(',') {
            let (host, port) = if let Some(part) = part.strip_prefix('[') {
                let (host, rest) = part.split_once(']').ok_or_else(|| unreadable("a [ has no ]"))?;
                match rest.strip_prefix(':') {
                    Some(port) => (host, port),
                    None if rest.is_empty() => (host, ""),
                    None => return Err(unreadable("only a port may follow a ]")),
                }
            } else {
                part.split_once(':').unwrap_or((part, ""))
            };
            hosts.push(decode(host)?);
            ports.push(decode(port)?);
        }
        if hosts.iter().any(|host| !host.is_empty()) {
            self.set("host", hosts.join(","))?;
        }
        if ports.iter().any(|port| !port.is_empty()) {
            self.set("port", ports.join(","))?;
        }
        Ok(())
    }

    fn parse_pairs(text: &str) -> Result<Settings> {
        let mut settings = Settings::default();
        let mut rest = text;
        while !rest.is_empty() {
            let (keyword, behind) =
                rest.split_once('=').ok_or_else(|| unreadable("it is neither a URL nor key=value"))?;
            let behind = behind.trim_start();
            let (value, used) = read_value(behind)?;
            settings.set(keyword.trim_end(), value)?;
            rest = behind[used..].trim_start();
        }
        Ok(settings)
    }

    fn set(&mut self, keyword: &str, value: String) -> Result<()> {
        if value.contains('\0') {
            return Err(unreadable("it holds a zero byte"));
        }
        let (keyword, value) = plain(keyword, value);
        if let Some(&(keyword, _)) = KEYWORDS.iter().find(|(known, _)| *known == keyword) {
            if !value.is_empty() {
                self.values.insert(keyword, (value, Origin::Url));
            }
            return Ok(());
        }
        if IGNORED.contains(&keyword) {
            return Ok(());
        }
        // A word of letters alone can be named; anything else may be a part of a password.
        let is_word = keyword.len() <= 24 && keyword.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        Err(match is_word {
            true => unreadable(&format!("it has a parameter that is not known here: {keyword}")),
            false => unreadable("it has a parameter that is not known here"),
        })
    }
}

/// A keyword in the place of one that says the same.
fn plain(keyword: &str, value: String) -> (&str, String) {
    match (keyword, value.as_str()) {
        ("ssl", "true") => ("sslmode", "require".to_owned()),
        _ => (keyword, value),
    }
}

fn unreadable(why: &str) -> Error {
    Error::usage(format!("the database URL can't be read: {why}"))
        .hint("write postgres://user@host:port/database, with other characters than letters and digits percent-encoded")
}

/// Percent-decoding as libpq does it: a lone % and %00 are errors.
fn decode(text: &str) -> Result<String> {
    let wrong = || unreadable("a % is not followed by two hexadecimal digits");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16)).ok_or_else(wrong);
        let value = digit()? * 16 + digit()?;
        bytes.push(u8::try_from(value).map_err(|_| wrong())?);
    }
    String::from_utf8(bytes).map_err(|_| unreadable("a percent-encoded part is no UTF-8"))
}

/// A value of a `key=value` string, and how many bytes it takes.
fn read_value(text: &str) -> Result<(String, usize)> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut chars = text.char_indices().skip(usize::from(quoted));
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' if quoted => return Ok((value, at + 1)),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c if c.is_whitespace() && !quoted => return Ok((value, at)),
            c => value.push(c),
        }
    }
    if quoted { Err(unreadable("a ' is not closed")) } else { Ok((value, text.len())) }
}
