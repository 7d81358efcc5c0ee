//! Which databases and schemas the targets of the configuration stand for.

use std::collections::BTreeMap;

use crossfade_core::sql::short_hash;
use tokio_postgres::SimpleQueryMessage;

use super::Canary;
use super::Place;
use super::Spread;
use super::TargetConfig;
use crate::config::Config;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;
use crate::postgres::Target;
use crate::postgres::lease::APPLICATION;

/// Most bytes of a name.
const MOST_BYTES: usize = 63;

/// All that the configuration's targets stand for, in order; with names only these, or all of a target that is named. `reach` says how a target is reached.
///
/// # Errors
///
/// When a name is not there, a database can't be asked, two are the same, or one is none.
pub async fn expand(
    config: &Config,
    wanted: &[String],
    reach: &(dyn Fn(&TargetConfig) -> Result<Target> + Sync),
) -> Result<Vec<Place>> {
    let mut places = Vec::new();
    for target in &config.targets.each {
        let prefix = format!("{}/", target.name);
        if wanted.is_empty() || wanted.iter().any(|name| *name == target.name || name.starts_with(&prefix)) {
            let reached = reach(target).map_err(|error| named(&target.name, error))?;
            places.extend(of_target(config, target, &reached).await.map_err(|error| named(&target.name, error))?);
        }
    }
    for name in wanted {
        let prefix = format!("{name}/");
        let is_target = config.targets.each.iter().any(|target| target.name == *name);
        if !is_target && !places.iter().any(|place| place.name == *name || place.name.starts_with(&prefix)) {
            return Err(unknown(config, name));
        }
    }
    places.retain(|place| is_wanted(&place.name, wanted));
    refuse_twins(&places)?;
    Ok(places)
}

fn is_wanted(name: &str, wanted: &[String]) -> bool {
    let within = |wanted: &String| name.strip_prefix(wanted.as_str()).is_some_and(|rest| rest.starts_with('/'));
    wanted.is_empty() || wanted.iter().any(|wanted| wanted == name || within(wanted))
}

fn named(name: &str, error: Error) -> Error {
    let hint = error.hint_text().map(str::to_owned);
    let outer = match error.kind() {
        crate::ErrorKind::Failed => Error::failed(format!("target {name} can't be used")),
        crate::ErrorKind::Usage => Error::usage(format!("target {name} can't be used")),
        crate::ErrorKind::Refused => Error::refused(format!("target {name} can't be used")),
    };
    let outer = outer.caused_by(error);
    match hint {
        Some(hint) => outer.hint(hint),
        None => outer,
    }
}

fn unknown(config: &Config, name: &str) -> Error {
    let names: Vec<&str> = config.targets.each.iter().map(|target| target.name.as_str()).collect();
    let error = Error::usage(format!("there is no target {name}"));
    match names.as_slice() {
        [] => error.hint("crossfade.toml names targets with [[target]]; docs/targets.md says how"),
        names => error.hint(format!("the targets are {}", names.join(", "))),
    }
}

/// Two journals in one would be two runners in each other's way.
fn refuse_twins(places: &[Place]) -> Result<()> {
    let mut seen: BTreeMap<(String, &str), &str> = BTreeMap::new();
    for place in places {
        let at = (place.target.without_schema().display(), place.journal.as_str());
        if let Some(other) = seen.insert(at, &place.name) {
            return Err(Error::usage(format!(
                "targets {other} and {} are the same: {}",
                place.name,
                place.target.display()
            ))
            .hint("name each database and schema once"));
        }
    }
    Ok(())
}

/// A canary that is not there would let another one go first.
async fn of_target(config: &Config, target: &TargetConfig, reached: &Target) -> Result<Vec<Place>> {
    let places = all_of_target(config, target, reached).await?;
    if let Canary::These(names) = &target.canary {
        let is_there = |name: &&String| places.iter().any(|place| place.name == format!("{}/{name}", target.name));
        if let Some(name) = names.iter().find(|name| !is_there(name)) {
            return Err(Error::usage(format!("its canary {name} is not among what its query gives"))
                .hint("name another one as canary in crossfade.toml"));
        }
    }
    Ok(places)
}

async fn all_of_target(config: &Config, target: &TargetConfig, reached: &Target) -> Result<Vec<Place>> {
    let is_canary = |name: &str| match &target.canary {
        Canary::No => false,
        Canary::All => true,
        Canary::These(names) => names.iter().any(|canary| canary == name),
    };
    match &target.spread {
        Spread::One => Ok(vec![Place {
            name: target.name.clone(),
            target: reached.clone(),
            journal: config.schema.clone(),
            canary: is_canary(""),
            create_schema: false,
        }]),
        Spread::Schemas(schemas) => {
            Ok(schemas.iter().map(|schema| tenant(config, target, reached, schema, is_canary(schema))).collect())
        }
        Spread::SchemasOf(query) => {
            let mut schemas: Vec<String> = ask(reached, query).await?.into_iter().map(|(schema, _)| schema).collect();
            // A query over all schemas finds the journals, too.
            let prefix = journal_prefix(&config.schema);
            schemas.retain(|schema| *schema != config.schema && !schema.starts_with(&prefix));
            if let Some(system) = schemas.iter().find(|schema| is_systems(schema)) {
                return Err(Error::usage(format!("its query gives {system}, which is the server's own"))
                    .hint("leave it out: WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"));
            }
            Ok(schemas.iter().map(|schema| tenant(config, target, reached, schema, is_canary(schema))).collect())
        }
        Spread::DatabasesOf(query) => {
            let mut places = Vec::new();
            for (value, name) in ask(reached, query).await? {
                let (own, child) = database(reached, &value, name)?;
                places.push(Place {
                    name: format!("{}/{child}", target.name),
                    target: own,
                    journal: config.schema.clone(),
                    canary: is_canary(&child),
                    create_schema: false,
                });
            }
            Ok(places)
        }
    }
}

fn tenant(config: &Config, target: &TargetConfig, reached: &Target, schema: &str, canary: bool) -> Place {
    Place {
        name: format!("{}/{schema}", target.name),
        target: reached.in_schema(schema, &target.shared),
        journal: journal(&config.schema, schema),
        canary,
        create_schema: target.create_schemas,
    }
}

/// A database of the same server, or a URL: how it is reached, and what it is called. A URL is never a name.
fn database(reached: &Target, value: &str, name: Option<String>) -> Result<(Target, String)> {
    let is_url = ["postgres://", "postgresql://"].iter().any(|scheme| value.starts_with(scheme));
    let own = if is_url { Target::from_url(value)? } else { reached.in_database(value) };
    let name = name.unwrap_or_else(|| if is_url { own.display() } else { value.to_owned() });
    Ok((own, name))
}

/// What a query gives: its first column, and its second as a name, where there is one.
async fn ask(target: &Target, query: &str) -> Result<Vec<(String, Option<String>)>> {
    let client = target.connect(APPLICATION).await?;
    client.batch_execute("BEGIN READ ONLY").await.doing("ask its query")?;
    let messages = client.simple_query(query).await.doing("ask its query")?;
    let mut found: Vec<(String, Option<String>)> = Vec::new();
    for message in messages {
        let SimpleQueryMessage::Row(row) = message else { continue };
        let value = row.get(0).filter(|value| !value.is_empty() && !value.contains('\0'));
        let value = value.ok_or_else(|| Error::usage("its query gives a row without a value"))?;
        let name = if row.len() > 1 { row.get(1).map(str::to_owned) } else { None };
        if !found.iter().any(|(known, _)| known == value) {
            found.push((value.to_owned(), name));
        }
    }
    Ok(found)
}

/// Whether the schema is the server's.
pub(super) fn is_systems(schema: &str) -> bool {
    schema.starts_with("pg_") || schema == "information_schema"
}

/// What the names of tenants' journals begin with.
pub(super) fn journal_prefix(schema: &str) -> String {
    format!("{schema}_")
}

/// The schema of a tenant's journal. One that would be too long for a name ends with a digest.
pub(super) fn journal(schema: &str, tenant: &str) -> String {
    let name = format!("{}{tenant}", journal_prefix(schema));
    if name.len() <= MOST_BYTES {
        return name;
    }
    let digest = short_hash(&name);
    let mut end = MOST_BYTES.saturating_sub(digest.len() + 1);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}_{digest}", &name[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_tenant_has_a_journal_of_its_own() {
        assert_eq!(journal("crossfade", "acme"), "crossfade_acme");
        let (one, other) = (journal("crossfade", &"ä".repeat(31)), journal("crossfade", &"ä".repeat(30)));
        assert!(one.len() <= MOST_BYTES && other.len() <= MOST_BYTES && one != other, "{one} {other}");
    }

    #[test]
    fn a_url_of_a_query_is_not_its_name() {
        let reached = Target::from_url("postgres://u@h/d").unwrap();
        let name = |value: &str, name: Option<&str>| {
            database(&reached, value, name.map(str::to_owned)).map(|(own, name)| format!("{name} {}", own.display()))
        };
        assert_eq!(name("shop", None).unwrap(), "shop h:5432/shop");
        assert_eq!(name("shop", Some("one")).unwrap(), "one h:5432/shop");
        assert_eq!(name("postgres://u:s3cret@x/y", None).unwrap(), "x:5432/y x:5432/y");
        let error = name("postgres://u:s3cret@x/y?nonsense", None).unwrap_err();
        assert!(!format!("{error:?}{}", error.chain()).contains("s3cret"));
    }

    #[test]
    fn names_are_wanted_as_a_whole() {
        let wanted = |name: &str, wanted: &[&str]| {
            is_wanted(name, &wanted.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
        };
        assert!(wanted("eu", &[]) && wanted("eu", &["eu"]) && wanted("eu/acme", &["eu"]) && wanted("eu/a", &["eu/a"]));
        assert!(!wanted("europe", &["eu"]) && !wanted("eu", &["eu/acme"]) && !wanted("eu/acme2", &["eu/acme"]));
    }
}
