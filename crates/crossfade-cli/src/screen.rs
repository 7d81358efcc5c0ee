//! Standard output and standard error: the only place that writes to them.

use std::io;
use std::io::IsTerminal as _;
use std::io::Write;

use crossfade::Error;
use crossfade::Result;
use indicatif::MultiProgress;
use indicatif::ProgressBar;
use serde::Serialize;

use crate::args::Color;
use crate::render;
use crate::render::Paint;

/// Where a command's words go. Copies write to the same place.
#[derive(Clone, Debug)]
pub struct Screen {
    json: bool,
    out: Paint,
    err: Paint,
    /// There where standard error is a terminal that can be drawn on.
    bars: Option<MultiProgress>,
    /// Of which of several targets it speaks.
    label: Option<String>,
}

impl Screen {
    /// For this process.
    pub fn new(json: bool, color: Color) -> Screen {
        let drawable = std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        let colorful = drawable && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let paint = |is_terminal: bool| match color {
            Color::Always => Paint::styled(),
            Color::Auto if is_terminal && colorful => Paint::styled(),
            Color::Auto | Color::Never => Paint::plain(),
        };
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        Screen { json, out: paint(out), err: paint(err), bars: (err && drawable).then(MultiProgress::new), label: None }
    }

    /// The same, for one of several targets.
    #[must_use]
    pub fn labelled(&self, name: &str) -> Screen {
        Screen { label: Some(format!("{name}: ")), ..self.clone() }
    }

    /// What stands before each line that it says.
    pub fn label(&self) -> &str {
        self.label.as_deref().unwrap_or_default()
    }

    /// Whether standard output is for a program.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether standard error takes colours.
    pub fn is_styled(&self) -> bool {
        self.err.is_styled()
    }

    /// How standard output is painted.
    pub fn out(&self) -> Paint {
        self.out
    }

    /// How standard error is painted.
    pub fn err(&self) -> Paint {
        self.err
    }

    /// A bar at the bottom, where there is a terminal to draw it on.
    pub fn bar(&self) -> Option<ProgressBar> {
        self.bars.as_ref().map(|bars| bars.add(ProgressBar::new(1000)))
    }

    /// Takes the bars away.
    pub fn clear(&self) {
        if let Some(bars) = &self.bars {
            let _ = bars.clear();
        }
    }

    /// The result of a command, on standard output.
    pub fn print(&self, text: &str) -> Result<()> {
        write(io::stdout().lock(), text)
            .map_err(|error| Error::failed("could not write to standard output").caused_by(error))
    }

    /// One line of many, on standard output. False when nobody reads on.
    pub fn offer(&self, line: &str) -> Result<bool> {
        let mut out = io::stdout().lock();
        match writeln!(out, "{line}").and_then(|()| out.flush()) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(Error::failed("could not write to standard output").caused_by(error)),
        }
    }

    /// Whether a whole screen can be drawn, and keys be read.
    pub fn is_terminal(&self) -> bool {
        self.bars.is_some() && io::stdout().is_terminal() && io::stdin().is_terminal()
    }

    /// The one document of a command, on standard output.
    pub fn document(&self, document: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string_pretty(document)
            .map_err(|error| Error::failed("could not write the document").caused_by(error))?;
        self.print(&text)
    }

    /// Something for people, on standard error. Where nobody listens, nothing is lost.
    pub fn say(&self, text: &str) {
        let labelled = self.label.as_ref().map(|label| render::labelled(text, label));
        let text = labelled.as_deref().unwrap_or(text);
        let say = || {
            let _ = write(io::stderr().lock(), text);
        };
        match &self.bars {
            Some(bars) => bars.suspend(say),
            None => say(),
        }
    }

    /// A failure: for people on standard error, for programs on standard output.
    pub fn error(&self, error: &Error) {
        if self.json {
            let _ = self.document(&render::error::document(error));
        } else {
            self.say(&render::error::text(error, self.err));
        }
    }
}

/// Writes a text and a line end. That nobody reads on is no failure.
fn write(mut to: impl Write, text: &str) -> io::Result<()> {
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    match to.write_all(text.as_bytes()).and_then(|()| to.write_all(end.as_bytes())).and_then(|()| to.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
