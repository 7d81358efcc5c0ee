//! How crossfade.toml says them.

use serde::Deserialize;
use toml::Spanned;

use super::Canary;
use super::MOST_AT_ONCE;
use super::Spread;
use super::TargetConfig;
use super::expand::is_systems;
use super::expand::journal_prefix;
use crate::connection::Connection;
use crate::connection::settings::Keys;
use crate::hooks::settings::Wrong;

/// `[targets]` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TargetsTable {
    parallel: Option<Spanned<usize>>,
}

impl TargetsTable {
    /// How many at the same time.
    pub(crate) fn parallel(&self) -> Result<usize, Wrong> {
        match &self.parallel {
            None => Ok(1),
            Some(said) if (1..=MOST_AT_ONCE).contains(said.get_ref()) => Ok(*said.get_ref()),
            Some(said) => {
                Err((said.span(), format!("parallel is {}; it goes from 1 to {MOST_AT_ONCE}", said.get_ref())))
            }
        }
    }
}

/// One `[[target]]` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TargetTable {
    name: Spanned<String>,
    url: Option<Spanned<String>>,
    url_env: Option<Spanned<String>>,
    url_file: Option<Spanned<String>>,
    url_command: Option<Spanned<toml::Value>>,
    password_env: Option<Spanned<String>>,
    password_file: Option<Spanned<String>>,
    password_command: Option<Spanned<toml::Value>>,
    schemas: Option<Spanned<Vec<Spanned<String>>>>,
    schemas_query: Option<Spanned<String>>,
    databases_query: Option<Spanned<String>>,
    shared: Option<Spanned<Vec<String>>>,
    create_schemas: Option<Spanned<bool>>,
    canary: Option<Spanned<toml::Value>>,
}

/// Reads one target, beside those that stand before it. `schema` is the journal's.
pub(crate) fn read(table: &Spanned<TargetTable>, before: &[TargetConfig], schema: &str) -> Result<TargetConfig, Wrong> {
    let table = table.get_ref();
    let name = table.name.get_ref();
    if name.trim() != name || name.is_empty() || name.contains(['/', '\0', '\n']) {
        return Err((table.name.span(), "a target needs a name, without a / in it".to_owned()));
    }
    if before.iter().any(|other| other.name == *name) {
        return Err((table.name.span(), format!("there are two targets {name}")));
    }
    let keys = Keys {
        url: table.url.as_ref(),
        url_env: table.url_env.as_ref(),
        url_file: table.url_file.as_ref(),
        url_command: table.url_command.as_ref(),
        password_env: table.password_env.as_ref(),
        password_file: table.password_file.as_ref(),
        password_command: table.password_command.as_ref(),
    };
    let connection = keys.read()?;
    let spread = spread(table, schema)?;
    let has_schemas = matches!(spread, Spread::Schemas(_) | Spread::SchemasOf(_));
    for span in [table.shared.as_ref().map(Spanned::span), table.create_schemas.as_ref().map(Spanned::span)] {
        if let Some(span) = span.filter(|_| !has_schemas) {
            return Err((span, "this is for targets with schemas or schemas_query".to_owned()));
        }
    }
    let canary = canary(table.canary.as_ref(), &spread)?;
    Ok(TargetConfig {
        name: name.clone(),
        connection: Some(connection).filter(|connection| *connection != Connection::default()),
        spread,
        shared: table.shared.as_ref().map_or_else(|| vec!["public".to_owned()], |shared| shared.get_ref().clone()),
        create_schemas: table.create_schemas.as_ref().is_some_and(|create| *create.get_ref()),
        canary,
    })
}

fn spread(table: &TargetTable, schema: &str) -> Result<Spread, Wrong> {
    let said = [
        table.schemas.as_ref().map(Spanned::span),
        table.schemas_query.as_ref().map(Spanned::span),
        table.databases_query.as_ref().map(Spanned::span),
    ];
    if let Some(second) = said.into_iter().flatten().nth(1) {
        return Err((second, "a target has one of schemas, schemas_query and databases_query".to_owned()));
    }
    if let Some(schemas) = &table.schemas {
        return listed(schemas, schema);
    }
    let query = |query: &Spanned<String>| {
        if query.get_ref().trim().is_empty() || query.get_ref().contains('\0') {
            return Err((query.span(), "there is nothing in it".to_owned()));
        }
        Ok(query.get_ref().clone())
    };
    match (&table.schemas_query, &table.databases_query) {
        (Some(schemas), _) => Ok(Spread::SchemasOf(query(schemas)?)),
        (None, Some(databases)) => Ok(Spread::DatabasesOf(query(databases)?)),
        (None, None) => Ok(Spread::One),
    }
}

fn listed(schemas: &Spanned<Vec<Spanned<String>>>, schema: &str) -> Result<Spread, Wrong> {
    let mut names: Vec<String> = Vec::new();
    for name in schemas.get_ref() {
        let text = name.get_ref();
        let wrong = |why: String| Err((name.span(), why));
        if text.is_empty() || text.contains('\0') {
            return wrong("a schema needs a name".to_owned());
        }
        if is_systems(text) {
            return wrong(format!("{text} is the server's own"));
        }
        if text == schema || text.starts_with(&journal_prefix(schema)) {
            return wrong(format!("{text} is a journal's schema, and no tenant's"));
        }
        if names.contains(text) {
            return wrong(format!("{text} stands there twice"));
        }
        names.push(text.clone());
    }
    if names.is_empty() {
        return Err((schemas.span(), "there is no schema in it".to_owned()));
    }
    Ok(Spread::Schemas(names))
}

fn canary(value: Option<&Spanned<toml::Value>>, spread: &Spread) -> Result<Canary, Wrong> {
    let Some(value) = value else { return Ok(Canary::No) };
    let wrong = |why: &str| Err((value.span(), why.to_owned()));
    match value.get_ref() {
        toml::Value::Boolean(true) => Ok(Canary::All),
        toml::Value::Boolean(false) => Ok(Canary::No),
        toml::Value::Array(names) => {
            let names: Option<Vec<String>> = names.iter().map(|name| name.as_str().map(str::to_owned)).collect();
            let Some(names) = names else { return wrong("canary is true, or a list of names") };
            match spread {
                Spread::One => wrong("this target is one database: canary is true or false"),
                Spread::Schemas(known) => match names.iter().find(|name| !known.contains(name)) {
                    Some(name) => Err((value.span(), format!("{name} is not among its schemas"))),
                    None => Ok(Canary::These(names)),
                },
                Spread::SchemasOf(_) | Spread::DatabasesOf(_) => Ok(Canary::These(names)),
            }
        }
        toml::Value::String(_)
        | toml::Value::Integer(_)
        | toml::Value::Float(_)
        | toml::Value::Datetime(_)
        | toml::Value::Table(_) => wrong("canary is true, or a list of names"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::Config;

    fn said(text: &str) -> String {
        match Config::parse(text, Path::new("crossfade.toml")) {
            Ok(config) => format!("{:?}", config.targets),
            Err(error) => error.to_string(),
        }
    }

    fn target(lines: &str) -> String {
        said(&format!("[[target]]\nname = \"a\"\n{lines}\n"))
    }

    #[test]
    fn errors_name_the_place() {
        let starts = |text: String, expected: &str| {
            assert!(text.starts_with(&format!("crossfade.toml:{expected}")), "{text}");
        };
        starts(said("[[target]]\nurl = \"x\"\n"), "1:1: missing field `name`");
        starts(said("[[target]]\nname = \"a/b\"\n"), "2:8: a target needs a name");
        starts(target("[[target]]\nname = \"a\""), "4:8: there are two targets a");
        starts(target("schema = \"x\""), "3:1: unknown field `schema`");
        starts(target("schemas = []"), "3:11: there is no schema in it");
        starts(target("schemas = [\"x\", \"x\"]"), "3:17: x stands there twice");
        starts(target("schemas = [\"pg_catalog\"]"), "3:12: pg_catalog is the server's own");
        starts(target("schemas = [\"crossfade_x\"]"), "3:12: crossfade_x is a journal's schema");
        starts(target("schemas = [\"x\"]\nschemas_query = \"SELECT 1\""), "4:17: a target has one of");
        starts(target("databases_query = \" \""), "3:19: there is nothing in it");
        starts(target("create_schemas = true"), "3:18: this is for targets with schemas");
        starts(target("canary = [\"x\"]"), "3:10: this target is one database");
        starts(target("schemas = [\"x\"]\ncanary = [\"y\"]"), "4:10: y is not among its schemas");
        starts(target("canary = 1"), "3:10: canary is true, or a list of names");
        starts(said("[targets]\nparallel = 0\n"), "2:12: parallel is 0; it goes from 1");
        starts(target("url = \"postgres://u:s3cret@h/d\"\nurl_env = \"X\""), "4:11: the URL is said in another way");
    }

    #[test]
    fn no_secret_is_shown() {
        let text = target("url = \"postgres://u:s3cret@h/d\"\npassword_command = [\"vault\", \"s3cret\"]");
        assert!(text.contains("Command(vault …)") && !text.contains("s3cret"), "{text}");
    }

    /// The journal's schema may be named behind the targets.
    #[test]
    fn the_schema_of_the_journal_is_known_first() {
        let text = said("schema = \"own\"\n[[target]]\nname = \"a\"\nschemas = [\"own_x\"]\n");
        assert!(text.contains("own_x is a journal's schema"), "{text}");
    }
}
