//! `crossfade new`: the next migration, in the layout and with the numbers of those that are there.

use std::path::Path;
use std::time::SystemTime;

use crossfade::Error;
use crossfade::Result;
use crossfade::config::CONFIG_FILE;
use crossfade::source;
use crossfade::source::Layout;
use crossfade::source::Wish;
use serde::Serialize;

use super::Context;
use super::init::create_file;
use crate::args::NewArgs;

/// What `new` did.
#[derive(Debug, Serialize)]
struct Made {
    format: u32,
    version: String,
    layout: &'static str,
    created: Vec<String>,
    changed: Vec<String>,
}

pub(super) fn run(args: &NewArgs, context: &Context) -> Result<u8> {
    let name = snake_case(&args.name);
    if name.is_empty() {
        return Err(Error::usage(format!("\"{}\" makes no name", args.name))
            .hint("use letters and digits: crossfade new add_email"));
    }
    let config = context.config()?;
    let migrations = config.migrations;
    if !migrations.is_dir() && !context.global.dir.join(CONFIG_FILE).exists() {
        return Err(Error::usage(format!("there is no {CONFIG_FILE} and no folder {}", migrations.display()))
            .hint("crossfade init makes them; --dir names another folder"));
    }
    std::fs::create_dir_all(&migrations)
        .map_err(|error| Error::failed(format!("could not make {}", migrations.display())).caused_by(error))?;
    let folder = source::read(&migrations, config.layout)?;
    let is_plain = matches!(folder.layout, Layout::Plain | Layout::Atlas);
    if is_plain && (name.ends_with("_down") || name == "down") {
        return Err(Error::usage("a name can't end with \"down\": that is how down files are called")
            .hint("crossfade new NAME --down makes both files"));
    }
    let wish = Wish {
        name,
        down: args.down,
        repeatable: args.repeatable,
        now: SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default(),
        planner: planner(context),
    };
    let new = folder.make(&migrations, &wish)?;
    let mut made = Made {
        format: crossfade::report::REPORT_FORMAT,
        version: new.version,
        layout: folder.layout.name(),
        created: Vec::new(),
        changed: Vec::new(),
    };
    for (file, text) in &new.files {
        let path = migrations.join(file);
        make_parent(&path)?;
        if !create_file(&path, text)? {
            return Err(Error::refused(format!("{} is there already", path.display())));
        }
        made.created.push(shown(&path));
    }
    if let Some((file, text)) = &new.changed {
        let path = migrations.join(file);
        std::fs::write(&path, text)
            .map_err(|error| Error::failed(format!("could not write {}", path.display())).caused_by(error))?;
        made.changed.push(shown(&path));
    }
    if context.screen.is_json() {
        context.screen.document(&made)?;
        return Ok(0);
    }
    for path in &made.changed {
        context.screen.say(&format!("{path} has one more line"));
    }
    context.screen.print(&made.created.join("\n"))?;
    Ok(0)
}

fn make_parent(path: &Path) -> Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    std::fs::create_dir_all(parent)
        .map_err(|error| Error::failed(format!("could not make {}", parent.display())).caused_by(error))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(".").unwrap_or(path).display().to_string()
}

/// Who plans it, for layouts that write it down.
fn planner(context: &Context) -> String {
    let first = |names: &[&str]| names.iter().find_map(|name| context.variables.get(name));
    let user = first(&["USER", "LOGNAME"]).unwrap_or_else(|| "unknown".to_owned());
    let name = first(&["SQITCH_FULLNAME", "GIT_AUTHOR_NAME"]).unwrap_or_else(|| user.clone());
    let address = first(&["SQITCH_EMAIL", "GIT_AUTHOR_EMAIL"]).unwrap_or_else(|| format!("{user}@localhost"));
    format!("{name} <{address}>")
}

/// Lower case words with `_` between them: `AddUserEmail` and `add user-email` are `add_user_email`.
fn snake_case(text: &str) -> String {
    let mut out = String::new();
    let mut before = ' ';
    for c in text.chars() {
        if !c.is_alphanumeric() {
            out.push('_');
        } else {
            if c.is_uppercase() && (before.is_lowercase() || before.is_numeric()) {
                out.push('_');
            }
            out.extend(c.to_lowercase());
        }
        before = c;
    }
    out.split('_').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_snake_case() {
        for (text, expected) in [
            ("AddUserEmail", "add_user_email"),
            ("add user-email!", "add_user_email"),
            ("../../etc/passwd", "etc_passwd"),
            ("HTTPServer2Go", "httpserver2_go"),
            ("Größe", "größe"),
            ("--", ""),
        ] {
            assert_eq!(snake_case(text), expected);
        }
    }
}
