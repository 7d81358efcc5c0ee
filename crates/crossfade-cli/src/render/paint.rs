//! Colours, or none.

/// How words are marked for the eye.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paint {
    styled: bool,
}

impl Paint {
    /// With colours.
    pub fn styled() -> Paint {
        Paint { styled: true }
    }

    /// Without.
    pub fn plain() -> Paint {
        Paint { styled: false }
    }

    /// Whether with colours.
    pub fn is_styled(self) -> bool {
        self.styled
    }

    /// A heading.
    pub fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// What matters less.
    pub fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    /// A failure.
    pub fn red(self, text: &str) -> String {
        self.wrap("1;31", text)
    }

    /// Done.
    pub fn green(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// A warning; something that waits.
    pub fn yellow(self, text: &str) -> String {
        self.wrap("33", text)
    }

    /// Something in flight; a hint.
    pub fn cyan(self, text: &str) -> String {
        self.wrap("36", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.styled && !text.is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
