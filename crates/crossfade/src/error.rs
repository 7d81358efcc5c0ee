//! What can go wrong, whose fault it is, and what to do next.

use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;

use crossfade_core::finding::Finding;
use tokio_postgres::error::Severity;

/// Whose fault a failure is; it decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The work failed (exit code 1).
    Failed,
    /// Wrong use or configuration (exit code 2).
    Usage,
    /// Refused: findings, a gate, a check. Nothing was changed (exit code 3).
    Refused,
}

impl ErrorKind {
    /// The process's exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            ErrorKind::Failed => 1,
            ErrorKind::Usage => 2,
            ErrorKind::Refused => 3,
        }
    }
}

/// Findings of one file, with the text that their spans point into.
#[derive(Clone, Debug)]
pub struct FileFindings {
    /// The file.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// A failure. `Display` says its own part only; the causes are in `source()`.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    findings: Vec<FileFindings>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// Shorthand.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The work failed.
    pub fn failed(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Failed, message)
    }

    /// Wrong use or configuration.
    pub fn usage(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Usage, message)
    }

    /// Refused; nothing was changed.
    pub fn refused(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Refused, message)
    }

    fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into(), hint: None, findings: Vec::new(), source: None }
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        self.hint = Some(hint.into());
        self
    }

    /// Names the cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        self.source = Some(source.into());
        self
    }

    /// Shows the findings that it is about.
    #[must_use]
    pub fn with_findings(mut self, findings: Vec<FileFindings>) -> Error {
        self.findings = findings;
        self
    }

    /// Whose fault it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What to do.
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The findings that it is about.
    pub fn findings(&self) -> &[FileFindings] {
        &self.findings
    }

    /// The SQLSTATE of the server's error at the root, when there is one.
    pub fn sql_state(&self) -> Option<String> {
        let mut cause: Option<&(dyn StdError + 'static)> = self.source();
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<tokio_postgres::Error>() {
                return error.code().map(|code| code.code().to_owned());
            }
            cause = error.source();
        }
        None
    }

    /// What the server said, or the whole of it where the server said nothing.
    pub fn server_message(&self) -> String {
        let mut cause: Option<&(dyn StdError + 'static)> = self.source();
        while let Some(error) = cause {
            if let Some(db) = error.downcast_ref::<tokio_postgres::Error>().and_then(|error| error.as_db_error()) {
                return db.message().to_owned();
            }
            cause = error.source();
        }
        self.chain()
    }

    /// Whether it is that a connection is gone. The server's last word (57P01 to 57P03, class 08, a PANIC) comes before the socket is seen to close.
    pub fn is_connection_lost(&self) -> bool {
        let mut cause: Option<&(dyn StdError + 'static)> = self.source();
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<tokio_postgres::Error>() {
                let said = error.code().map(|code| code.code());
                // Whatever it is about, it takes the whole server down.
                let is_panic = error.as_db_error().is_some_and(|said| said.parsed_severity() == Some(Severity::Panic));
                return error.is_closed()
                    || is_panic
                    || said.is_some_and(|code| code.starts_with("08") || matches!(code, "57P01" | "57P02" | "57P03"))
                    || error.source().is_some_and(|source| source.is::<std::io::Error>());
            }
            cause = error.source();
        }
        false
    }

    /// The message and all its causes, on one line.
    pub fn chain(&self) -> String {
        let mut text = self.message.clone();
        let mut cause: Option<&(dyn StdError + 'static)> = self.source();
        while let Some(error) = cause {
            // The client library says "db error" in front of what the server says.
            let empty =
                error.downcast_ref::<tokio_postgres::Error>().is_some_and(|error| error.as_db_error().is_some());
            if !empty {
                text.push_str(": ");
                text.push_str(&describe(error));
            }
            cause = error.source();
        }
        text
    }
}

/// One cause as people need it: of a server's error the message with its detail and hint, and nothing of the connection string.
pub fn describe(error: &(dyn StdError + 'static)) -> String {
    if let Some(error) = error.downcast_ref::<tokio_postgres::error::DbError>() {
        let mut text = format!("{}: {}", error.severity(), error.message());
        for (label, part) in [("detail", error.detail()), ("hint", error.hint()), ("where", error.where_())] {
            if let Some(part) = part {
                text.push_str(&format!(" ({label}: {})", part.lines().next().unwrap_or_default()));
            }
        }
        return text;
    }
    error.to_string()
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}

/// Adds what was being done to a server's error.
pub(crate) trait Doing<T> {
    /// `doing` reads after "could not".
    fn doing(self, doing: &str) -> Result<T>;
}

impl<T> Doing<T> for std::result::Result<T, tokio_postgres::Error> {
    fn doing(self, doing: &str) -> Result<T> {
        self.map_err(|error| Error::failed(format!("could not {doing}")).caused_by(error))
    }
}
