//! Where the URL of a database and its password are said: in the configuration, a variable, a file, or by a command. None of it is shown.

mod secret_command;
pub(crate) mod settings;

use std::fmt;
use std::path::Path;
use std::path::PathBuf;

use crate::config::SecretUrl;
use crate::error::Error;
use crate::error::Result;
use crate::postgres::Target;

/// Most that a file or a command may say.
const MOST: u64 = 64 << 10;

/// How a database is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// Its URL, or a libpq string; none: what libpq's variables say.
    pub url: Option<Said>,
    /// The password, where the URL has none.
    pub password: Option<Said>,
}

/// Where a text is said that may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Said {
    /// Here.
    Here(SecretUrl),
    /// By a variable of the environment, which the caller reads.
    Variable(String),
    /// By a file: all that stands in it, without white space around it.
    File(PathBuf),
    /// By a program, which is run without a shell: what it writes, without white space around it.
    Command(Vec<String>),
}

/// Arguments of a program may hold a secret.
impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Said::Here(text) => write!(f, "{text:?}"),
            Said::Variable(name) => write!(f, "Variable({name})"),
            Said::File(path) => write!(f, "File({})", path.display()),
            Said::Command(words) => write!(f, "Command({} …)", words.first().map_or("", String::as_str)),
        }
    }
}

impl Said {
    /// The text.
    ///
    /// # Errors
    ///
    /// When there is none. It is never a part of the error.
    pub fn read(&self, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String> {
        match self {
            Said::Here(text) => Ok(text.0.clone()),
            Said::Variable(name) => lookup(name)
                .filter(|value| !value.is_empty())
                .ok_or_else(|| Error::usage(format!("{name} is not set, and crossfade.toml names it"))),
            Said::File(path) => read_file(path),
            Said::Command(words) => secret_command::run(words),
        }
    }

    /// The same, with files in this folder.
    pub(crate) fn in_folder(&mut self, folder: &Path) {
        if let Said::File(path) = self {
            *path = folder.join(&*path);
        }
    }
}

impl Connection {
    /// The database; what is not said here is taken from the variables, as libpq does it. A file or a command is read now, and that may take its time.
    ///
    /// # Errors
    ///
    /// When something is not there, or not understood.
    pub fn target(&self, lookup: &dyn Fn(&str) -> Option<String>, home: Option<&Path>) -> Result<Target> {
        let url = self.url.as_ref().map(|said| said.read(lookup)).transpose()?;
        let password = self.password.as_ref().map(|said| said.read(lookup)).transpose()?;
        Target::resolve_with(url.as_deref(), password.as_deref(), lookup, home)
    }

    pub(crate) fn in_folder(&mut self, folder: &Path) {
        for said in [&mut self.url, &mut self.password].into_iter().flatten() {
            said.in_folder(folder);
        }
    }
}

/// What stands in a file that holds one secret.
///
/// # Errors
///
/// When it can't be read, or nothing stands in it.
pub fn read_file(path: &Path) -> Result<String> {
    use std::io::Read as _;
    let shown = path.display();
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MOST + 1).read_to_end(&mut bytes))
        .map_err(|error| Error::usage(format!("could not read {shown}")).caused_by(error))?;
    text_of(bytes).map_err(|why| Error::usage(format!("{shown} {why}")).hint("the secret alone stands in it"))
}

/// The text of bytes, or why there is none; reads after "it".
fn text_of(bytes: Vec<u8>) -> std::result::Result<String, &'static str> {
    if bytes.len() as u64 > MOST {
        return Err("has too much text for a secret");
    }
    let text = String::from_utf8(bytes).map_err(|_| "has text that is no UTF-8")?;
    match text.trim() {
        "" => Err("is empty"),
        text => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(_: &str) -> Option<String> {
        None
    }

    fn failed(said: &Said) -> String {
        let error = said.read(&nothing).unwrap_err();
        let text = format!("{error:?} {} {}", error.chain(), error.hint_text().unwrap_or_default());
        assert!(!text.contains("s3cret"), "{text}");
        error.chain()
    }

    #[test]
    fn what_is_not_there_is_named() {
        assert!(failed(&Said::Variable("EU_URL".to_owned())).starts_with("EU_URL is not set"));
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            Said::File(path)
        };
        assert!(failed(&Said::File(folder.path().join("none"))).contains("No such file"));
        assert!(failed(&file("empty", b" \n")).ends_with("empty is empty"));
        assert!(failed(&file("binary", b"s3cret \xff")).ends_with("no UTF-8"));
        let long = "s3cret ".repeat(20_000);
        assert!(failed(&file("long", long.as_bytes())).ends_with("too much text for a secret"));
        assert!(failed(&Said::File(folder.path().to_owned())).contains("could not read"));
    }

    #[test]
    fn a_file_may_end_with_a_line_end() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("url"), "postgres://u@h/d\r\n").unwrap();
        std::fs::write(folder.path().join("password"), "new one\n").unwrap();
        let mut connection =
            Connection { url: Some(Said::File("url".into())), password: Some(Said::File("password".into())) };
        connection.in_folder(folder.path());
        let target = connection.target(&nothing, None).unwrap();
        assert_eq!(target.display(), "h:5432/d");
        assert_eq!(target.shown_password().as_deref(), Some("new one"));
        assert!(!format!("{connection:?}").contains("new one"));
    }
}
