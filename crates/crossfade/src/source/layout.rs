//! The layouts that migration folders come in, and what a file's name or its first lines say about them.

use std::fmt;

/// How a folder keeps its migrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// `NNN_name.sql`, with `NNN_name_down.sql` or `NNN_name.down.sql`.
    Plain,
    /// `NNN_name.up.sql`, with `NNN_name.down.sql`: golang-migrate, sqlx.
    UpDown,
    /// `NNN_name/up.sql`, with `down.sql`: diesel.
    Folders,
    /// `V1_2__name.sql`, with `U1_2__name.sql`; `R__name.sql`; `B1_2__name.sql`.
    Flyway,
    /// `V1__name.sql` and `U1__name.sql`, both of which go forward.
    Refinery,
    /// `-- migrate:up` and `-- migrate:down` in one file.
    Dbmate,
    /// `-- +goose Up` and `-- +goose Down` in one file.
    Goose,
    /// `-- +migrate Up` and `-- +migrate Down` in one file.
    SqlMigrate,
    /// `-- Up Migration` and `-- Down Migration` in one file.
    NodePgMigrate,
    /// `---- create above / drop below ----` in one file.
    Tern,
    /// `NNN_name/migration.sql`.
    Prisma,
    /// `committed/000001-name.sql` with a header.
    Graphile,
    /// `sqitch.plan` with `deploy/` and `revert/`.
    Sqitch,
    /// `NNN_name.sql` beside `atlas.sum`.
    Atlas,
}

impl Layout {
    /// Every layout.
    pub const ALL: [Layout; 14] = [
        Layout::Plain,
        Layout::UpDown,
        Layout::Folders,
        Layout::Flyway,
        Layout::Refinery,
        Layout::Dbmate,
        Layout::Goose,
        Layout::SqlMigrate,
        Layout::NodePgMigrate,
        Layout::Tern,
        Layout::Prisma,
        Layout::Graphile,
        Layout::Sqitch,
        Layout::Atlas,
    ];

    /// As `layout` in crossfade.toml has it.
    pub fn name(self) -> &'static str {
        match self {
            Layout::Plain => "plain",
            Layout::UpDown => "up-down",
            Layout::Folders => "folders",
            Layout::Flyway => "flyway",
            Layout::Refinery => "refinery",
            Layout::Dbmate => "dbmate",
            Layout::Goose => "goose",
            Layout::SqlMigrate => "sql-migrate",
            Layout::NodePgMigrate => "node-pg-migrate",
            Layout::Tern => "tern",
            Layout::Prisma => "prisma",
            Layout::Graphile => "graphile-migrate",
            Layout::Sqitch => "sqitch",
            Layout::Atlas => "atlas",
        }
    }

    /// By its name, or by that of a tool that uses it.
    pub fn by_name(name: &str) -> Option<Layout> {
        let tool = match name {
            "golang-migrate" | "sqlx" => Some(Layout::UpDown),
            "diesel" => Some(Layout::Folders),
            "graphile" => Some(Layout::Graphile),
            _ => None,
        };
        tool.or_else(|| Layout::ALL.into_iter().find(|layout| layout.name() == name))
    }

    /// The names that `layout` may have.
    pub fn names() -> String {
        Layout::ALL.map(Layout::name).join(", ")
    }

    /// The markers that its files hold.
    pub(super) fn markers(self) -> Option<Markers> {
        match self {
            Layout::Dbmate => Some(Markers::Dbmate),
            Layout::Goose => Some(Markers::Goose),
            Layout::SqlMigrate => Some(Markers::SqlMigrate),
            Layout::NodePgMigrate => Some(Markers::NodePgMigrate),
            Layout::Tern => Some(Markers::Tern),
            Layout::Plain
            | Layout::UpDown
            | Layout::Folders
            | Layout::Flyway
            | Layout::Refinery
            | Layout::Prisma
            | Layout::Graphile
            | Layout::Sqitch
            | Layout::Atlas => None,
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What parts a file into a way forward and a way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Markers {
    Dbmate,
    Goose,
    SqlMigrate,
    NodePgMigrate,
    Tern,
}

/// What a marker says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// The way forward begins; whether it says that it runs outside of a transaction.
    Up { alone: bool },
    /// The way back begins.
    Down { alone: bool },
    /// A statement ends here, with or without a semicolon.
    StatementEnd,
    /// The file runs outside of a transaction.
    NoTransaction,
    /// Variables are filled in from here on.
    Variables,
    /// It means nothing to us.
    Nothing,
    /// It is a marker of the tool, and none that we know.
    Unknown,
}

impl Markers {
    const ALL: [Markers; 5] =
        [Markers::Dbmate, Markers::Goose, Markers::SqlMigrate, Markers::NodePgMigrate, Markers::Tern];

    /// Whose markers a file holds.
    pub fn of(text: &str) -> Option<Markers> {
        Markers::ALL.into_iter().find(|markers| {
            let (up, down) = markers.ways(text);
            match markers {
                // They read like comments of anybody's: one alone is none.
                Markers::NodePgMigrate => up && down,
                Markers::Dbmate | Markers::Goose | Markers::SqlMigrate | Markers::Tern => up || down,
            }
        })
    }

    /// Whether a text has the marker of each way.
    pub fn ways(self, text: &str) -> (bool, bool) {
        let marks = || text.lines().filter_map(|line| self.read(line));
        (marks().any(|mark| matches!(mark, Mark::Up { .. })), marks().any(|mark| matches!(mark, Mark::Down { .. })))
    }

    pub fn layout(self) -> Layout {
        match self {
            Markers::Dbmate => Layout::Dbmate,
            Markers::Goose => Layout::Goose,
            Markers::SqlMigrate => Layout::SqlMigrate,
            Markers::NodePgMigrate => Layout::NodePgMigrate,
            Markers::Tern => Layout::Tern,
        }
    }

    /// The marker that the way forward begins with; none where it begins with the file.
    pub fn first(self) -> Option<&'static str> {
        match self {
            Markers::Dbmate => Some("-- migrate:up"),
            Markers::Goose => Some("-- +goose Up"),
            Markers::SqlMigrate => Some("-- +migrate Up"),
            Markers::NodePgMigrate => Some("-- Up Migration"),
            Markers::Tern => None,
        }
    }

    /// The marker that the way back begins with.
    pub fn way_back(self) -> &'static str {
        match self {
            Markers::Dbmate => "-- migrate:down",
            Markers::Goose => "-- +goose Down",
            Markers::SqlMigrate => "-- +migrate Down",
            Markers::NodePgMigrate => "-- Down Migration",
            Markers::Tern => "---- create above / drop below ----",
        }
    }

    /// What a line says, where it is a marker. Each tool looks at the beginning of the line, node-pg-migrate behind white space, too.
    pub fn read(self, line: &str) -> Option<Mark> {
        let line = if self == Markers::NodePgMigrate { line.trim_start() } else { line };
        let body = line.strip_prefix("--")?.trim();
        match self {
            Markers::Dbmate => {
                let (word, options) = body.split_once(char::is_whitespace).unwrap_or((body, ""));
                let alone = options.split_whitespace().any(|option| option == "transaction:false");
                match word {
                    "migrate:up" => Some(Mark::Up { alone }),
                    "migrate:down" => Some(Mark::Down { alone }),
                    _ => None,
                }
            }
            Markers::Goose => {
                let words = words_behind(body, "+goose")?;
                Some(match words.as_str() {
                    "up" => Mark::Up { alone: false },
                    "down" => Mark::Down { alone: false },
                    "statementend" => Mark::StatementEnd,
                    "no transaction" => Mark::NoTransaction,
                    "envsub on" | "envsubst on" => Mark::Variables,
                    "statementbegin" | "envsub off" | "envsubst off" => Mark::Nothing,
                    _ => Mark::Unknown,
                })
            }
            Markers::SqlMigrate => {
                let words = words_behind(body, "+migrate")?;
                let (word, options) = words.split_once(' ').unwrap_or((&words, ""));
                let alone = options.split(' ').any(|option| option == "notransaction");
                Some(match word {
                    "up" => Mark::Up { alone },
                    "down" => Mark::Down { alone },
                    "statementend" => Mark::StatementEnd,
                    "statementbegin" => Mark::Nothing,
                    _ => Mark::Unknown,
                })
            }
            Markers::NodePgMigrate => {
                let words = body.trim_start_matches(|c: char| c == '-' || c.is_whitespace()).to_lowercase();
                let (way, rest) = words.split_once(char::is_whitespace)?;
                match (way, rest.trim_start().starts_with("migration")) {
                    ("up", true) => Some(Mark::Up { alone: false }),
                    ("down", true) => Some(Mark::Down { alone: false }),
                    _ => None,
                }
            }
            Markers::Tern => match body.trim_matches('-').trim() {
                "create above / drop below" if line.starts_with("----") => Some(Mark::Down { alone: false }),
                "tern: disable-tx" if line.starts_with("----") => Some(Mark::NoTransaction),
                _ => None,
            },
        }
    }
}

/// The words behind a tool's sign, in lower case with one space between them.
fn words_behind(body: &str, sign: &str) -> Option<String> {
    let rest = body.strip_prefix(sign)?;
    let is_sign = rest.is_empty() || rest.starts_with(char::is_whitespace);
    is_sign.then(|| rest.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_has_the_name_of_its_tools() {
        for layout in Layout::ALL {
            assert_eq!(Layout::by_name(layout.name()), Some(layout));
        }
        assert_eq!(Layout::by_name("sqlx"), Some(Layout::UpDown));
        assert_eq!(Layout::by_name("diesel"), Some(Layout::Folders));
        assert_eq!(Layout::by_name("Goose"), None);
    }

    #[test]
    fn every_layout_stands_in_the_documentation() {
        let page = include_str!("../../../../docs/layouts.md");
        for layout in Layout::ALL {
            assert!(page.contains(&format!("`{layout}`")), "docs/layouts.md does not know {layout}");
        }
    }

    #[test]
    fn markers_are_read_as_their_tools_read_them() {
        let up = Some(Mark::Up { alone: false });
        for (markers, line, expected) in [
            (Markers::Dbmate, "-- migrate:up", up),
            (Markers::Dbmate, "--migrate:up transaction:false", Some(Mark::Up { alone: true })),
            (Markers::Dbmate, "-- migrate:down transaction:true", Some(Mark::Down { alone: false })),
            (Markers::Dbmate, "-- migrate:upwards", None),
            (Markers::Dbmate, " -- migrate:up", None),
            (Markers::Goose, "-- +goose Up", up),
            (Markers::Goose, "--+goose   up", up),
            (Markers::Goose, "-- +goose NO TRANSACTION", Some(Mark::NoTransaction)),
            (Markers::Goose, "-- +goose StatementEnd", Some(Mark::StatementEnd)),
            (Markers::Goose, "-- +goose ENVSUB ON", Some(Mark::Variables)),
            (Markers::Goose, "-- +goose Upp", Some(Mark::Unknown)),
            (Markers::Goose, "-- +gooses Up", None),
            (Markers::SqlMigrate, "-- +migrate Up notransaction", Some(Mark::Up { alone: true })),
            (Markers::SqlMigrate, "-- +migrate Down", Some(Mark::Down { alone: false })),
            (Markers::NodePgMigrate, "-- Up Migration", up),
            (Markers::NodePgMigrate, "  ---- UP   migration: users", up),
            (Markers::NodePgMigrate, "-- Down Migration", Some(Mark::Down { alone: false })),
            (Markers::NodePgMigrate, "-- Down", None),
            (Markers::NodePgMigrate, "-- what the up migration does", None),
            (Markers::Tern, "---- create above / drop below ----", Some(Mark::Down { alone: false })),
            (Markers::Tern, "---- tern: disable-tx ----", Some(Mark::NoTransaction)),
            (Markers::Tern, "-- create above / drop below", None),
        ] {
            assert_eq!(markers.read(line), expected, "{line}");
        }
        assert_eq!(Markers::of("-- a\n-- +goose Up\nSELECT 1;"), Some(Markers::Goose));
        assert_eq!(Markers::of("SELECT '\n -- migrate:up'"), None);
        assert_eq!(Markers::of("-- Up migration of users\nSELECT 1;"), None);
        assert_eq!(Markers::of("-- Up Migration\n-- Down Migration\n"), Some(Markers::NodePgMigrate));
    }
}
