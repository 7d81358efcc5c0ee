//! What `lint` and `check` found, in every form that was asked for.

use std::path::Path;

use crossfade::Error;
use crossfade::Result;
use serde::Serialize;

use crate::args::Outlet;
use crate::args::ReviewFormat;
use crate::render::Paint;
use crate::render::review;
use crate::render::review::Review;
use crate::screen::Screen;

/// A report in its own two forms, and as problems for all others.
pub(super) struct Found<'a, R> {
    pub report: &'a R,
    pub text: &'a dyn Fn(Paint) -> String,
    pub review: Review,
}

/// Refuses what could not be told apart on standard output.
pub(super) fn check(outlets: &[Outlet]) -> Result<()> {
    if outlets.iter().filter(|outlet| outlet.file.is_none()).count() > 1 {
        return Err(Error::usage("only one format can go to standard output")
            .hint("write the others into files: --format github --format sarif=crossfade.sarif"));
    }
    Ok(())
}

/// Writes all of them; as text on standard output where none was asked for there.
pub(super) fn write<R: Serialize>(outlets: &[Outlet], found: &Found<'_, R>, screen: &Screen) -> Result<()> {
    for outlet in outlets {
        match &outlet.file {
            Some(file) => into(file, &form(outlet.format, found, Paint::plain())?)?,
            None if screen.is_json() => {}
            None => screen.print(&form(outlet.format, found, screen.out())?)?,
        }
    }
    if screen.is_json() {
        return screen.document(found.report);
    }
    match outlets.iter().any(|outlet| outlet.file.is_none()) {
        true => Ok(()),
        false => screen.print(&(found.text)(screen.out())),
    }
}

fn form<R: Serialize>(format: ReviewFormat, found: &Found<'_, R>, paint: Paint) -> Result<String> {
    let review = &found.review;
    Ok(match format {
        ReviewFormat::Text => (found.text)(paint),
        ReviewFormat::Json => serde_json::to_string_pretty(found.report)
            .map_err(|error| Error::failed("could not write the document").caused_by(error))?,
        ReviewFormat::Github => review::annotations(review),
        ReviewFormat::Sarif => review::sarif(review, env!("CARGO_PKG_VERSION")),
        ReviewFormat::Gitlab => review::code_quality(review),
        ReviewFormat::Junit => review::junit(review)?,
        ReviewFormat::Markdown => review::markdown(review),
    })
}

fn into(file: &Path, text: &str) -> Result<()> {
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    std::fs::write(file, format!("{text}{end}"))
        .map_err(|error| Error::failed(format!("could not write {}", file.display())).caused_by(error))
}
