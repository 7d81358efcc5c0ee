//! A text that is never shown.

use std::fmt;

/// A text that is never shown: a command, an address with a token in it, a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    value: Option<String>,
    /// The variable of the environment that has it, where it does not stand in the file.
    variable: Option<String>,
}

impl Secret {
    pub(crate) fn said(value: String) -> Secret {
        Secret { value: Some(value), variable: None }
    }

    /// Of a variable that somebody else reads.
    pub(crate) fn of_variable(name: String) -> Secret {
        Secret { value: None, variable: Some(name) }
    }

    pub(super) fn resolve(&mut self, lookup: &dyn Fn(&str) -> Option<String>) {
        if let Some(name) = &self.variable {
            self.value = lookup(name);
        }
    }

    /// The text, or why there is none.
    pub(super) fn read(&self) -> Result<&str, String> {
        match (&self.value, &self.variable) {
            (Some(value), _) => Ok(value),
            (None, Some(name)) => Err(format!("{name} is not set")),
            (None, None) => Err("it has no address".to_owned()),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.variable.as_deref().unwrap_or("…"))
    }
}
