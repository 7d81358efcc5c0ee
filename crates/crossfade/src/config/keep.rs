//! Writes a key into `crossfade.toml`, and leaves everything else in it as it is.

use std::path::Path;
use std::path::PathBuf;

use toml_edit::DocumentMut;
use toml_edit::value;

use super::CONFIG_FILE;
use crate::error::Error;
use crate::error::Result;

/// Says in this folder's configuration how the migrations are laid out, unless it says so already. Returns the file where it was written.
///
/// # Errors
///
/// When the file can't be read or written, or is no TOML.
pub fn keep_layout(folder: &Path, layout: &str) -> Result<Option<PathBuf>> {
    let path = folder.join(CONFIG_FILE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(Error::usage(format!("could not read {}", path.display())).caused_by(error)),
    };
    let Some(text) = with_layout(&text, layout)
        .map_err(|error| Error::usage(format!("{} is no TOML", path.display())).caused_by(error))?
    else {
        return Ok(None);
    };
    std::fs::write(&path, text)
        .map_err(|error| Error::failed(format!("could not write {}", path.display())).caused_by(error))?;
    Ok(Some(path))
}

/// The text with the key; none where it has it.
fn with_layout(text: &str, layout: &str) -> Result<Option<String>, toml_edit::TomlError> {
    let mut document: DocumentMut = text.parse()?;
    if document.contains_key("layout") {
        return Ok(None);
    }
    document.insert("layout", value(layout));
    Ok(Some(document.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(text: &str) -> Option<String> {
        with_layout(text, "goose").unwrap()
    }

    #[test]
    fn what_stands_in_the_file_stays() {
        assert_eq!(kept("").as_deref(), Some("layout = \"goose\"\n"));
        let text = "# ours\nmigrations = \"db\" # here\n\n# locks\n[locks]\ntimeout = \"1s\"\n";
        let expected = "# ours\nmigrations = \"db\" # here\nlayout = \"goose\"\n\n# locks\n[locks]\ntimeout = \"1s\"\n";
        assert_eq!(kept(text).as_deref(), Some(expected));
        assert_eq!(kept("layout = \"plain\"\n"), None);
        let only_comments = kept("# a\n\n# b\n").unwrap();
        assert!(
            only_comments.contains("# a\n\n# b\n") && only_comments.contains("layout = \"goose\"\n"),
            "{only_comments}"
        );
    }
}
