//! `crossfade init`: the configuration with its defaults, and the folder for migrations. Nothing is overwritten.

use std::io::Write as _;
use std::path::Path;

use crossfade::Config;
use crossfade::Error;
use crossfade::Result;
use crossfade::config::CONFIG_FILE;
use serde::Serialize;

use super::Context;
use crate::args::InitArgs;

/// Every key with its default, as a comment.
const TEMPLATE: &str = r#"# Crossfade's configuration. Every key has a default, which stands here as a comment.

# The folder with the migrations, relative to this file.
# migrations = "migrations"

# What happens to a file that comes before what was run already: "refuse", or "allow" to run it late.
# out_of_order = "refuse"

# The schema in which Crossfade keeps its journal.
# schema = "crossfade"

# How long contract keeps the old form, so that rollback can bring it back; "0" for not at all.
# retain = "24h"

[locks]
# How long one request for a strong lock may wait, and so how long others may have to wait behind it.
# timeout = "100ms"
# How long to go on trying.
# budget = "10m"

[backfill]
# What one chunk's transaction should take.
# target = "200ms"
# Share of the time spent working, above 0 and up to 1; the rest is pause.
# duty = 0.7
"#;

/// Cargo's script of a package.
const BUILD_SCRIPT: &str = "build.rs";

const BUILD_HEAD: &str =
    "//! Builds again when a migration is added or taken away: the compiler sees only those that it knows.\n\n";

/// What `init` did.
#[derive(Debug, Serialize)]
struct Made {
    format: u32,
    created: Vec<String>,
    kept: Vec<String>,
}

pub(super) fn run(args: &InitArgs, context: &Context) -> Result<u8> {
    let dir = &context.global.dir;
    let mut made = Made { format: crossfade::report::REPORT_FORMAT, created: Vec::new(), kept: Vec::new() };
    std::fs::create_dir_all(dir)
        .map_err(|error| Error::failed(format!("could not make {}", dir.display())).caused_by(error))?;
    let config = dir.join(CONFIG_FILE);
    note(&mut made, &config, create_file(&config, TEMPLATE)?);
    let migrations = Config::load(dir)?.migrations;
    let is_new = !migrations.is_dir();
    std::fs::create_dir_all(&migrations)
        .map_err(|error| Error::failed(format!("could not make {}", migrations.display())).caused_by(error))?;
    note(&mut made, &migrations, is_new);
    let script = dir.join(BUILD_SCRIPT);
    let watch = watched(migrations.strip_prefix(dir).unwrap_or(&migrations));
    let is_kept = args.build_script && {
        let is_new = create_file(&script, &format!("{BUILD_HEAD}fn main() {{\n    {watch}\n}}\n"))?;
        note(&mut made, &script, is_new);
        !is_new
    };
    if context.screen.is_json() {
        context.screen.document(&made)?;
        return Ok(0);
    }
    for path in &made.kept {
        context.screen.say(&format!("{path} is there already, and was left as it is"));
    }
    if is_kept {
        context.screen.say(&format!("put this into its main function, unless it stands there: {watch}"));
    }
    context.screen.print(&made.created.iter().map(|path| format!("{path}\n")).collect::<String>())?;
    context.screen.say("next: crossfade new NAME, write plain SQL into the file, crossfade migrate");
    Ok(0)
}

/// What makes Cargo look at the folder.
fn watched(folder: &Path) -> String {
    format!("println!({:?});", format!("cargo::rerun-if-changed={}", folder.display()))
}

fn note(made: &mut Made, path: &Path, is_new: bool) {
    let path = path.strip_prefix(".").unwrap_or(path).display().to_string();
    if is_new { made.created.push(path) } else { made.kept.push(path) }
}

/// Whether it was made. A file that is there stays as it is.
pub(super) fn create_file(path: &Path, text: &str) -> Result<bool> {
    let failed = |error: std::io::Error| Error::failed(format!("could not write {}", path.display())).caused_by(error);
    match std::fs::File::create_new(path) {
        Ok(mut file) => file.write_all(text.as_bytes()).map(|()| true).map_err(failed),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_comments_are_the_defaults() {
        let is_key = |line: &&str| line.starts_with('[') || line.starts_with("# ") && line.contains(" = ");
        let keys: Vec<&str> = TEMPLATE.lines().filter(is_key).map(|line| line.trim_start_matches("# ")).collect();
        let path = Path::new(CONFIG_FILE);
        assert_eq!(Config::parse(&keys.join("\n"), path).unwrap(), Config::default());
        assert_eq!(Config::parse(TEMPLATE, path).unwrap(), Config::default());
        assert_eq!(keys.len(), 10);
    }
}
