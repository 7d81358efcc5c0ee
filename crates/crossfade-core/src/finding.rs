//! A problem as a value: which rule, how bad, where, what, and what to do.

use serde::Deserialize;
use serde::Serialize;

use crate::sql::Span;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Dangerous, but it may be what is wanted.
    Warning,
    /// The migration is refused; nothing was changed.
    Error,
}

/// A problem found at a place in a migration file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule's stable name, in kebab-case.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// Where it stands, as bytes of the file's text.
    pub span: Option<Span>,
    /// What is wrong and whom it harms.
    pub message: String,
    /// What to do about it, with the text to paste where there is one.
    pub help: Option<String>,
}

impl Finding {
    /// A finding that refuses the migration.
    pub fn error(rule: &'static str, span: impl Into<Option<Span>>, message: impl Into<String>) -> Finding {
        Finding {
            rule: rule.to_owned(),
            severity: Severity::Error,
            span: span.into(),
            message: message.into(),
            help: None,
        }
    }

    /// A finding that only warns.
    pub fn warning(rule: &'static str, span: impl Into<Option<Span>>, message: impl Into<String>) -> Finding {
        Finding { severity: Severity::Warning, ..Finding::error(rule, span, message) }
    }

    /// A finding that only informs.
    pub fn note(rule: &'static str, span: impl Into<Option<Span>>, message: impl Into<String>) -> Finding {
        Finding { severity: Severity::Note, ..Finding::error(rule, span, message) }
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Finding {
        self.help = Some(help.into());
        self
    }

    /// Whether it refuses the migration.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}
