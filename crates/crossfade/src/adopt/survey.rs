//! One look at another tool's history and at the folder beside it: what would be taken over, and what stands against that. Changes nothing.

use std::path::Path;
use std::path::PathBuf;

use crossfade_core::migration::checksum;
use crossfade_core::sql::Ident;
use crossfade_core::sql::ObjectRef;
use crossfade_core::sql::TableName;
use tokio_postgres::Client;

use super::AdoptOptions;
use super::comparing;
use super::comparing::Candidate;
use super::comparing::Item;
use super::fence;
use super::holding;
use super::key::Key;
use super::reading;
use super::reading::Entry;
use super::reading::Says;
use super::recognise;
use super::recognise::Candidate as Table;
use super::recognise::Found;
use super::rooms::Detail;
use super::rooms::liquibase;
use super::tool::Tool;
use crate::config::Config;
use crate::error::Error;
use crate::error::Result;
use crate::postgres::store::TakenOver;
use crate::postgres::store::TrackedRow;
use crate::report::AdoptMigration;
use crate::report::AdoptObstacle;
use crate::report::AdoptReport;
use crate::report::AdoptState;
use crate::report::REPORT_FORMAT;
use crate::source;
use crate::source::Layout;
use crate::source::compare_versions;

/// What was seen.
#[derive(Debug)]
pub(crate) struct Survey {
    found: Found,
    layout: Option<Layout>,
    entries: Vec<Entry>,
    /// None where nobody has looked for them.
    files: Option<Vec<Candidate>>,
}

impl Survey {
    /// Looks. `own` is the journal's schema.
    pub async fn take(client: &Client, own: &Ident, config: &Config, request: &AdoptOptions) -> Result<Survey> {
        let tables = recognise::candidates(client, own).await?;
        let found = choose(&tables, request)?;
        let entries = reading::read(client, &found).await?;
        let layout = layout_of(found.tool, config)?;
        if let (Some(_), Some(_)) = (layout, &request.files) {
            return Err(Error::usage(format!("the files of {} go on being migrations", found.tool)).hint(
                "name their folder as `migrations` in crossfade.toml; --files is for files that are only looked at",
            ));
        }
        let entries = of_one_project(entries, config)?;
        let files = match layout {
            Some(layout) => {
                Some(source::load(&config.migrations, Some(layout))?.into_iter().map(Candidate::of).collect())
            }
            None => looked_at(found.tool, request.files.as_deref(), &entries)?,
        };
        Ok(Survey { found, layout, entries, files })
    }

    pub fn table(&self) -> &TableName {
        &self.found.table
    }

    /// Keeps the tool away until the transaction that is open ends.
    pub async fn hold(&self, client: &Client) -> Result<()> {
        holding::hold(client, &self.found).await
    }

    /// Puts a fence around its history, in the transaction that is open.
    pub async fn fence(&self, client: &Client, schema: &Ident) -> Result<()> {
        fence::put_up(client, schema, self.found.tool, &self.found.table).await
    }

    fn items(&self) -> Vec<Item<'_>> {
        comparing::compare(self.found.tool, &self.entries, self.files.as_deref())
    }

    /// What would be taken over. `rows` is our tracking table.
    pub fn report(&self, database: String, rows: &[TrackedRow], request: &AdoptOptions) -> AdoptReport {
        let tool = self.found.tool;
        let migrations = self
            .items()
            .into_iter()
            .map(|item| AdoptMigration {
                version: item.version(tool),
                name: item.name(tool),
                identity: item.entry.map(|entry| entry.identity.clone()),
                file: item.file.map(|file| file.theirs.path.display().to_string()),
                state: item.state,
                applied_at: item.entry.and_then(|entry| entry.applied_at.clone()),
                known: is_known(rows, &item.version(tool)),
            })
            .collect();
        AdoptReport {
            format: REPORT_FORMAT,
            database,
            tool: tool.name(),
            table: self.found.table.to_string(),
            layout: self.layout.map(Layout::name),
            adopted: false,
            fenced: false,
            proof: None,
            assumption: self.assumption(),
            notes: self.other_order().into_iter().collect(),
            migrations,
            obstacles: self.obstacles(request),
        }
    }

    /// What the history does not say.
    fn assumption(&self) -> Option<String> {
        let up_to = self.entries.iter().find(|entry| entry.says == Says::UpTo)?;
        (self.found.tool.room().detail() == Detail::Number).then(|| {
            format!("the history is one number: that every file up to {} was run is an assumption", up_to.identity)
        })
    }

    /// Several tools sort their files by the text of the names, and so 10 before 2; we go by the numbers.
    fn other_order(&self) -> Option<String> {
        let (tool, room) = (self.found.tool, self.found.tool.room());
        let files = self.files.iter().flatten().filter_map(|file| Some((file, file.ours.as_ref()?)));
        let numbered: Vec<_> =
            files.filter(|(_, ours)| ours.version.starts_with(|c: char| c.is_ascii_digit())).collect();
        let keys: Vec<Key> = numbered.iter().map(|(file, _)| room.key(&room.identity(&file.theirs))).collect();
        // The plan of sqitch is an order of its own.
        if tool == Tool::Sqitch || !keys.iter().all(|key| matches!(key, Key::Text(_))) {
            return None;
        }
        let at = keys.windows(2).position(|pair| pair[0] > pair[1])?;
        let (first, second) = (numbered.get(at)?.1, numbered.get(at + 1)?.1);
        Some(format!(
            "{tool} runs its files in the order of their names as text, crossfade in the order of their numbers: for {tool} {} comes before {}",
            second.version, first.version
        ))
    }

    /// What stands against taking it over.
    fn obstacles(&self, request: &AdoptOptions) -> Vec<AdoptObstacle> {
        let tool = self.found.tool;
        let mut found: Vec<AdoptObstacle> = self
            .entries
            .iter()
            .filter(|entry| entry.says == Says::Unsettled)
            .map(|entry| AdoptObstacle {
                what: entry.note.clone().unwrap_or_else(|| format!("{} is unfinished", entry.identity)),
                hint: tool.room().mend(entry),
            })
            .collect();
        let items = self.items();
        let named = |state: AdoptState| -> Vec<String> {
            items.iter().filter(|item| item.state == state).map(|item| called(item, tool)).collect()
        };
        let mut of = |names: Vec<String>, what: &str, hint: String| {
            if !names.is_empty() {
                found.push(AdoptObstacle { what: format!("{what}: {}", listed(&names)), hint });
            }
        };
        if !request.accept_changed {
            of(
                named(AdoptState::Differs),
                "files that were run say something else now",
                "bring their texts back (they are in version control); or `--accept-changed` takes the texts as they are now for what was run"
                    .to_owned(),
            );
        }
        if !request.accept_missing {
            of(
                named(AdoptState::Missing),
                "files that were run are missing",
                "bring them back (they are in version control); or `--accept-missing` keeps their versions without a file".to_owned(),
            );
        }
        if self.layout.is_none() {
            let waiting = [named(AdoptState::Pending), named(AdoptState::Late)].concat();
            of(
                waiting,
                &format!("what {tool} has not run yet would never be run"),
                format!("run it with {tool} first, or take it out of the folder"),
            );
        }
        if found.is_empty() && !items.iter().any(|item| item.state.is_applied()) {
            found.push(AdoptObstacle {
                what: format!("{} says that nothing was run", self.found.table),
                hint: "there is nothing to take over; `crossfade migrate` runs everything".to_owned(),
            });
        }
        found
    }

    /// The history itself.
    pub fn history(&self) -> (Tool, TableName) {
        (self.found.tool, self.found.table.clone())
    }

    /// Whether what was run can be run again here.
    pub fn is_sql(&self) -> bool {
        self.layout.is_some()
    }

    /// The rows that our journal gets. `rows` is our tracking table.
    pub fn taken_over(&self, rows: &[TrackedRow]) -> Vec<TakenOver> {
        let tool = self.found.tool;
        let items = self.items();
        let applied = items.iter().filter(|item| item.state.is_applied());
        applied.map(|item| taken_over(tool, item)).filter(|taken| !is_known(rows, &taken.version)).collect()
    }
}

fn taken_over(tool: Tool, item: &Item<'_>) -> TakenOver {
    let ours = item.file.and_then(|file| file.ours.as_ref());
    let recorded = item.entry.and_then(|entry| entry.checksum.as_ref());
    let kept = item.entry.and_then(|entry| entry.sql.clone());
    let seen = || item.file.map(|file| String::from_utf8_lossy(&file.theirs.raw).into_owned());
    let text = ours.map(|file| file.text.trim_start_matches('\u{feff}').to_owned()).or(kept).or_else(seen);
    let missing_because = match (ours, item.state) {
        (Some(_), _) => None,
        (None, AdoptState::Missing) => Some(format!("it was missing when the history of {tool} was taken over")),
        (None, _) => Some(format!("{tool} has run it, and it is no file of ours")),
    };
    TakenOver {
        version: item.version(tool),
        name: item.name(tool),
        checksum: checksum(text.as_deref().unwrap_or_default()),
        raw_checksum: tool.room().algorithm().zip(recorded).map(|(algorithm, sum)| format!("{tool}-{algorithm}:{sum}")),
        origin: tool.name().to_owned(),
        applied_at: item.entry.and_then(|entry| entry.applied_at.clone()),
        up_sql: text,
        down_sql: ours.and_then(|file| file.down.as_ref()).map(|(_, text)| text.clone()),
        missing_because,
    }
}

/// Whether our journal has it as something that stands.
fn is_known(rows: &[TrackedRow], version: &str) -> bool {
    rows.iter().any(|row| {
        row.state != crossfade_core::journal::State::RolledBack && compare_versions(&row.version, version).is_eq()
    })
}

fn called(item: &Item<'_>, tool: Tool) -> String {
    match item.file {
        Some(file) => {
            file.theirs.part.as_ref().map_or_else(|| file.theirs.path.display().to_string(), |part| part.called.clone())
        }
        None => item.entry.map_or_else(|| item.version(tool), |entry| entry.identity.clone()),
    }
}

/// The first few, and how many more.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}

/// The history that is meant.
fn choose(tables: &[Table], request: &AdoptOptions) -> Result<Found> {
    let named = request.table.as_deref().map(|name| named(tables, name)).transpose()?;
    let found: Vec<Found> = match (named, request.from) {
        (Some(table), Some(tool)) if table.may_be_of(tool) => vec![Found { tool, table: table.table.clone() }],
        (Some(table), Some(tool)) => {
            return Err(Error::usage(format!("{} is no history of {tool}", table.table)).hint(columns_of(table)));
        }
        (Some(table), None) => match table.tool() {
            Some(tool) => vec![Found { tool, table: table.table.clone() }],
            None => {
                return Err(Error::usage(format!("{} is no history of a tool that is known", table.table))
                    .hint(format!("{}; `--from TOOL` says whose it is", columns_of(table))));
            }
        },
        (None, Some(tool)) => {
            let of_it = |table: &&Table| {
                table.tool() == Some(tool) || (matches!(tool, Tool::Rails | Tool::Dbmate) && table.may_be_of(tool))
            };
            tables.iter().filter(of_it).map(|table| Found { tool, table: table.table.clone() }).collect()
        }
        (None, None) => tables
            .iter()
            .filter_map(|table| table.tool().map(|tool| Found { tool, table: table.table.clone() }))
            .collect(),
    };
    match <[Found; 1]>::try_from(found) {
        Ok([only]) => Ok(only),
        Err(none) if none.is_empty() => {
            let whose = request.from.map(|tool| format!(" of {tool}")).unwrap_or_default();
            Err(Error::refused(format!("no history{whose} was found in this database"))
                .hint("`--table SCHEMA.TABLE` names it; on a database without one `crossfade migrate` runs everything"))
        }
        Err(several) => {
            let list = several.iter().map(|found| format!("\n  {} in {}", found.tool, found.table)).collect::<String>();
            Err(Error::usage(format!("there are several histories:{list}"))
                .hint("say which one: `--from TOOL`, or `--table SCHEMA.TABLE`"))
        }
    }
}

fn named<'t>(tables: &'t [Table], name: &str) -> Result<&'t Table> {
    let wanted = ObjectRef::parse(name)
        .map_err(|error| Error::usage(format!("--table: {}", error.message)).hint(error.help.unwrap_or_default()))?;
    let is_it = |table: &&Table| {
        table.table.name.as_str() == wanted.name
            && wanted.schema.as_ref().is_none_or(|schema| table.table.schema.as_str() == schema)
    };
    let found: Vec<&Table> = tables.iter().filter(is_it).collect();
    match found[..] {
        [only] => Ok(only),
        [] => Err(Error::usage(format!("{name} is no history of a tool that is known"))
            .hint("is it there, with the columns that its tool gives it? write SCHEMA.TABLE, as in SQL")),
        [..] => Err(Error::usage(format!("there are several tables {name}")).hint("write SCHEMA.TABLE")),
    }
}

fn columns_of(table: &Table) -> String {
    let columns: Vec<String> = table.columns.iter().map(|(name, of_type)| format!("{name} {of_type}")).collect();
    format!("its columns are {}", columns.join(", "))
}

/// How the tool's files are laid out, as the configuration says or as the tool has it.
fn layout_of(tool: Tool, config: &Config) -> Result<Option<Layout>> {
    let Some(usual) = tool.layout() else { return Ok(None) };
    if let Some(layout) = config.layout {
        return Ok(Some(layout));
    }
    // sqlx has its files with and without a way back.
    let is_sqlx = tool == Tool::Sqlx && config.migrations.is_dir();
    let found = if is_sqlx { Some(source::read(&config.migrations, None)?.layout) } else { None };
    Ok(found.filter(|layout| matches!(layout, Layout::Plain | Layout::UpDown)).or(Some(usual)))
}

/// Files that stay the other tool's.
fn looked_at(tool: Tool, folder: Option<&Path>, entries: &[Entry]) -> Result<Option<Vec<Candidate>>> {
    let Some(folder) = folder else { return Ok(None) };
    if tool != Tool::Liquibase {
        return Err(
            Error::usage(format!("the files of {tool} are not SQL, and can't be compared")).hint("leave --files away")
        );
    }
    let files: Vec<(PathBuf, Vec<u8>)> = source::sql_files(folder)?;
    let of_it = liquibase::changesets(&files, entries);
    Ok(Some(of_it.into_iter().map(|theirs| Candidate { theirs, ours: None }).collect()))
}

/// Several projects may share sqitch's tables: those of the one in the folder.
fn of_one_project(entries: Vec<Entry>, config: &Config) -> Result<Vec<Entry>> {
    let mut projects: Vec<&str> = entries.iter().filter_map(|entry| entry.project.as_deref()).collect();
    projects.sort_unstable();
    projects.dedup();
    if projects.len() < 2 {
        return Ok(entries);
    }
    let ours = source::sqitch_project(&config.migrations)?;
    if !ours.as_deref().is_some_and(|ours| projects.contains(&ours)) {
        return Err(Error::refused(format!("the history holds several projects: {}", projects.join(", ")))
            .hint("the `%project` of sqitch.plan must be one of them"));
    }
    Ok(entries.into_iter().filter(|entry| entry.project == ours).collect())
}
