//! How `[connection]` and `[[target]]` of crossfade.toml say where a database is.

use serde::Deserialize;
use toml::Spanned;

use super::Connection;
use super::Said;
use crate::config::SecretUrl;
use crate::hooks::settings::Wrong;

/// `[connection]` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectionTable {
    url: Option<Spanned<String>>,
    url_env: Option<Spanned<String>>,
    url_file: Option<Spanned<String>>,
    url_command: Option<Spanned<toml::Value>>,
    password_env: Option<Spanned<String>>,
    password_file: Option<Spanned<String>>,
    password_command: Option<Spanned<toml::Value>>,
}

/// The keys of a connection, wherever they stand.
pub(crate) struct Keys<'t> {
    pub url: Option<&'t Spanned<String>>,
    pub url_env: Option<&'t Spanned<String>>,
    pub url_file: Option<&'t Spanned<String>>,
    pub url_command: Option<&'t Spanned<toml::Value>>,
    pub password_env: Option<&'t Spanned<String>>,
    pub password_file: Option<&'t Spanned<String>>,
    pub password_command: Option<&'t Spanned<toml::Value>>,
}

impl ConnectionTable {
    /// What it says.
    pub(crate) fn read(&self) -> Result<Connection, Wrong> {
        let keys = Keys {
            url: self.url.as_ref(),
            url_env: self.url_env.as_ref(),
            url_file: self.url_file.as_ref(),
            url_command: self.url_command.as_ref(),
            password_env: self.password_env.as_ref(),
            password_file: self.password_file.as_ref(),
            password_command: self.password_command.as_ref(),
        };
        keys.read()
    }
}

impl Keys<'_> {
    /// What they say.
    pub(crate) fn read(&self) -> Result<Connection, Wrong> {
        let here = self.url.map(|text| checked(text, Said::Here(SecretUrl(text.get_ref().clone())))).transpose()?;
        let url = [here, variable(self.url_env)?, file(self.url_file)?, command(self.url_command)?];
        let password = [variable(self.password_env)?, file(self.password_file)?, command(self.password_command)?];
        Ok(Connection { url: one(url, "URL")?, password: one(password, "password")? })
    }
}

type Place = std::ops::Range<usize>;

fn one<const N: usize>(said: [Option<(Place, Said)>; N], what: &str) -> Result<Option<Said>, Wrong> {
    let mut said = said.into_iter().flatten();
    let first = said.next();
    match said.next() {
        Some((span, _)) => Err((span, format!("the {what} is said in another way already"))),
        None => Ok(first.map(|(_, said)| said)),
    }
}

fn checked(text: &Spanned<String>, said: Said) -> Result<(Place, Said), Wrong> {
    if text.get_ref().trim().is_empty() || text.get_ref().contains('\0') {
        return Err((text.span(), "there is nothing in it".to_owned()));
    }
    Ok((text.span(), said))
}

fn variable(name: Option<&Spanned<String>>) -> Result<Option<(Place, Said)>, Wrong> {
    name.map(|name| checked(name, Said::Variable(name.get_ref().clone()))).transpose()
}

fn file(path: Option<&Spanned<String>>) -> Result<Option<(Place, Said)>, Wrong> {
    path.map(|path| checked(path, Said::File(path.get_ref().into()))).transpose()
}

/// A text is not taken apart into words, and not repeated: it may be a URL at the wrong key.
fn command(value: Option<&Spanned<toml::Value>>) -> Result<Option<(Place, Said)>, Wrong> {
    let Some(value) = value else { return Ok(None) };
    let words = value.get_ref().as_array().and_then(|words| {
        let words = words.iter().map(|word| word.as_str().filter(|word| !word.contains('\0')).map(str::to_owned));
        words.collect::<Option<Vec<String>>>()
    });
    match words {
        Some(words) if words.first().is_some_and(|program| !program.is_empty()) => {
            Ok(Some((value.span(), Said::Command(words))))
        }
        Some(_) | None => {
            Err((value.span(), "a command is a list of a program and its arguments: [\"vault\", \"read\"]".to_owned()))
        }
    }
}
