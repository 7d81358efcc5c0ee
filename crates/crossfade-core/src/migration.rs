//! One versioned file: its statements, each with the directives that speak for it.

use crate::finding::Finding;
use crate::sql::Comment;
use crate::sql::Expr;
use crate::sql::ParsedStatement;
use crate::sql::Span;
use crate::sql::Sql;
use crate::sql::StatementKind;
use crate::sql::TransactionControl;
use crate::sql::parse_file;
use crate::step::Phase;

/// A migration's file, read and parsed.
#[derive(Clone, Debug)]
pub struct Migration {
    /// Its version, as the file name has it.
    pub version: String,
    /// Its name.
    pub name: String,
    /// Its text, without a byte order mark.
    pub text: String,
    /// [`checksum`] of the text.
    pub checksum: String,
    /// Its statements in their order.
    pub statements: Vec<Statement>,
    /// `no-transaction`: each statement is committed by itself.
    pub no_transaction: bool,
}

/// A statement with what its directives say.
#[derive(Clone, Debug)]
pub struct Statement {
    /// The statement.
    pub parsed: ParsedStatement,
    /// `up` directives.
    pub up: Vec<ValueDirective>,
    /// `down` directives.
    pub down: Vec<ValueDirective>,
    /// `direct`: run it as written, for this reason.
    pub direct: Option<String>,
    /// `undo`: what undoes it.
    pub undo: Option<Sql>,
    /// `phase`: it runs as written, in this phase.
    pub phase: Option<Phase>,
}

/// An `up` or `down` directive.
#[derive(Clone, Debug)]
pub struct ValueDirective {
    /// The column it is for, where it is named.
    pub column: Option<String>,
    /// The value.
    pub value: Expr,
    /// Where it stands.
    pub span: Span,
}

/// SHA-256 over the text as people mean it: without a byte order mark, with LF line ends.
pub fn checksum(text: &str) -> String {
    use sha2::Digest as _;
    use std::fmt::Write as _;
    let normal = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let digest = sha2::Sha256::digest(normal.as_bytes());
    digest.iter().fold(String::from("sha256:"), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

const DIRECTIVES: &str = "up EXPR, up(COLUMN) EXPR, down EXPR, down(COLUMN) EXPR, direct REASON, undo SQL, phase PHASE, no-transaction, allow RULE REASON, allow-file RULE REASON";

impl Migration {
    /// Reads a file's text.
    ///
    /// # Errors
    ///
    /// Every problem that the text alone shows: syntax, directives, transaction control.
    pub fn parse(version: &str, name: &str, text: &str) -> Result<Migration, Vec<Finding>> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).to_owned();
        let file = parse_file(&text).map_err(|error| {
            let mut finding = Finding::error("syntax", error.span, error.message);
            finding.help = error.help;
            vec![finding]
        })?;
        let mut findings = Vec::new();
        let mut statements: Vec<Statement> = strip_outer_transaction(file.statements)
            .into_iter()
            .map(|parsed| Statement { parsed, up: Vec::new(), down: Vec::new(), direct: None, undo: None, phase: None })
            .collect();
        let mut no_transaction = false;
        let end = statements.last().map_or(0, |statement| statement.parsed.span.start);
        for comment in &file.comments {
            let Some(body) = comment.text.strip_prefix("crossfade:") else {
                findings.extend(foreign_marker(comment, comment.span.start < end));
                continue;
            };
            let applied = match body.trim() {
                "no-transaction" => {
                    no_transaction = true;
                    Ok(())
                }
                // It speaks to the rules of lint.
                body if body.starts_with("allow ") || body.starts_with("allow-file ") => Ok(()),
                // It speaks of other files; what it says is read where files are compared with what was run.
                body if body.starts_with("replaces ") => match crate::squash::replaced(comment.span.of(&text)) {
                    Ok(_) => Ok(()),
                    Err(_) => Err(Finding::error("directive", comment.span, "this line can't be read")
                        .help("`crossfade squash` writes it: replaces VERSION sha256:… code:… NAME")),
                },
                body => apply_directive(comment, body, &text, &mut statements),
            };
            findings.extend(applied.err());
        }
        for statement in &statements {
            findings.extend(refused(&statement.parsed, no_transaction));
        }
        if findings.iter().any(Finding::is_error) {
            return Err(findings);
        }
        Ok(Migration {
            version: version.to_owned(),
            name: name.to_owned(),
            checksum: checksum(&text),
            text,
            statements,
            no_transaction,
        })
    }
}

/// A `BEGIN; … COMMIT;` around the whole file means what we do anyway.
fn strip_outer_transaction(mut statements: Vec<ParsedStatement>) -> Vec<ParsedStatement> {
    let is = |statement: Option<&ParsedStatement>, control| matches!(statement.map(|statement| &statement.kind), Some(StatementKind::Transaction(found)) if *found == control);
    if statements.len() >= 2
        && is(statements.first(), TransactionControl::Begin)
        && is(statements.last(), TransactionControl::Commit)
    {
        statements.pop();
        statements.remove(0);
    }
    statements
}

fn refused(statement: &ParsedStatement, no_transaction: bool) -> Option<Finding> {
    match &statement.kind {
        StatementKind::Transaction(TransactionControl::Savepoint) => None,
        StatementKind::Transaction(_) => Some(
            Finding::error(
                "transaction-control",
                statement.span,
                "a migration is one transaction; it can't begin or end one of its own",
            )
            .help("take the statement out, or split the file where it stands"),
        ),
        StatementKind::CopyFromStdin { .. } => Some(
            Finding::error(
                "copy-from-stdin",
                statement.span,
                "COPY … FROM STDIN has no rows behind it",
            )
            .help("they stand on the lines behind it, as pg_dump writes them, and a line with \\. ends them"),
        ),
        StatementKind::NotInTransaction { repeatable: true, .. } if no_transaction => None,
        StatementKind::NotInTransaction { what, repeatable: true, .. } => Some(
            Finding::error(
                "not-in-transaction",
                statement.span,
                format!("{what} can't run in a transaction, and a migration is one"),
            )
            .help("put `-- crossfade: no-transaction` at the head of the file: each statement is committed by itself then"),
        ),
        StatementKind::NotInTransaction { what, repeatable: false, .. } => Some(
            Finding::error(
                "not-in-transaction",
                statement.span,
                format!("{what} can't run in a transaction, and a migration is one"),
            )
            .help("run it by hand outside of the migrations"),
        ),
        StatementKind::AlterTable { .. }
        | StatementKind::RenameColumn { .. }
        | StatementKind::Drop { .. }
        | StatementKind::Move { .. }
        | StatementKind::CreateIndex(_)
        | StatementKind::DropIndex { .. }
        | StatementKind::Update(_)
        | StatementKind::CreateTable { .. }
        | StatementKind::Other { .. } => None,
    }
}

/// What would make two ways of one file run one after the other.
fn foreign_marker(comment: &Comment, statements_follow: bool) -> Option<Finding> {
    let text = comment.text.as_str();
    let of_a_tool = [
        ("+goose", "goose"),
        ("migrate:up", "dbmate"),
        ("migrate:down", "dbmate"),
        ("+migrate", "sql-migrate"),
        ("create above / drop below", "tern"),
    ];
    if let Some((_, layout)) = of_a_tool.into_iter().find(|(marker, _)| text.starts_with(marker)) {
        return Some(
            Finding::error("foreign-marker", comment.span, format!("`{text}` is a marker of another tool")).help(format!(
                "run as plain SQL, the part behind a `down` marker would run, too: write `layout = \"{layout}\"` into crossfade.toml, or split the file into NNN_name.sql and NNN_name_down.sql"
            )),
        );
    }
    if text.to_lowercase().starts_with("liquibase formatted sql") {
        return Some(
            Finding::error("foreign-marker", comment.span, "this is a changelog of Liquibase")
                .help("make each of its changesets a file of its own, without the comments that speak to Liquibase"),
        );
    }
    let bare: String = text.chars().filter(|c| c.is_alphanumeric() || *c == ' ').collect();
    let way_back = ["down", "downs", "down migration", "migrate down", "undo", "rollback", "revert"];
    let is_way_back = statements_follow && way_back.contains(&bare.trim().to_lowercase().as_str());
    is_way_back.then(|| {
        Finding::error(
            "foreign-marker",
            comment.span,
            format!("what follows `{text}` looks like the way back, and would run with the way forward"),
        )
        .help("move it into NNN_name_down.sql; if it belongs to the way forward, change the comment")
    })
}

fn apply_directive(comment: &Comment, body: &str, text: &str, statements: &mut [Statement]) -> Result<(), Finding> {
    let span = comment.span;
    let inside = statements
        .iter()
        .any(|statement| statement.parsed.span.start < span.start && span.start < statement.parsed.span.end);
    if inside {
        return Err(Finding::error("directive", span, "a directive can't stand inside of a statement")
            .help("put it on a line of its own before the statement"));
    }
    let name_end = body.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')).unwrap_or(body.len());
    let (name, rest) = body.split_at(name_end);
    if !matches!(name, "up" | "down" | "direct" | "undo" | "phase") {
        return Err(Finding::error("unknown-directive", span, format!("there is no directive `{name}`"))
            .help(format!("the directives are: {DIRECTIVES}")));
    }
    if name == "phase" {
        let phase = match rest.trim() {
            "expand" => Phase::Expand,
            "migrate" => Phase::Migrate,
            "contract" => Phase::Contract,
            other => {
                return Err(Finding::error("directive", span, format!("there is no phase `{other}` to run statements in"))
                    .help("write `-- crossfade: phase expand`, `phase migrate` or `phase contract`; it speaks for all that follows"));
            }
        };
        let mut following =
            statements.iter_mut().filter(|statement| statement.parsed.span.start >= span.end).peekable();
        if following.peek().is_none() {
            return Err(Finding::error("directive", span, "no statement follows this `phase`")
                .help("it speaks for all that follows"));
        }
        following.for_each(|statement| statement.phase = Some(phase));
        return Ok(());
    }
    let Some(statement) = statements.iter_mut().find(|statement| statement.parsed.span.start >= span.end) else {
        return Err(Finding::error("directive", span, format!("no statement follows this `{name}`"))
            .help("a directive speaks for the statement behind it"));
    };
    match name {
        "up" | "down" => {
            let (column, value_text) = match rest.strip_prefix('(') {
                Some(rest) => {
                    let Some((column, value)) = rest.split_once(')') else {
                        return Err(Finding::error("directive", span, "the parenthesis behind the name is not closed")
                            .help(format!("write `-- crossfade: {name}(COLUMN) EXPR`")));
                    };
                    (Some(fold_name(column)), value.trim())
                }
                None => (None, rest.trim()),
            };
            let value = Expr::parse(value_text).map_err(|error| {
                let at = span.start
                    + Span::new(0, span.end - span.start).of(&text[span.start..]).find(value_text).unwrap_or(0);
                let at = Span::new(at + error.span.start, (at + error.span.end).min(span.end));
                let mut finding = Finding::error("directive-expression", at, error.message);
                finding.help =
                    error.help.or_else(|| Some(format!("`{name}` takes one SQL expression over the table's columns")));
                finding
            })?;
            if value.uses_whole_row() || value.has_subquery() && name == "down" {
                return Err(Finding::error(
                    "directive-expression",
                    span,
                    "the expression may name the columns of its row, and no other table",
                )
                .help(
                    "name the columns one by one; only `up` may take its value from another table, by a subquery in parentheses",
                ));
            }
            let directive = ValueDirective { column, value, span };
            if name == "up" { statement.up.push(directive) } else { statement.down.push(directive) }
        }
        "direct" => {
            if rest.trim().is_empty() {
                return Err(Finding::error("directive", span, "`direct` needs a reason")
                    .help("say why the statement may run as written: `-- crossfade: direct the table is empty`"));
            }
            statement.direct = Some(rest.trim().to_owned());
        }
        "undo" => {
            let file =
                parse_file(rest.trim()).map_err(|error| Finding::error("directive-undo", span, error.message))?;
            let texts: Vec<Sql> = file.statements.into_iter().map(|statement| statement.text).collect();
            if texts.is_empty() {
                return Err(Finding::error("directive", span, "`undo` needs the SQL that undoes the statement"));
            }
            statement.undo = Some(Sql::join(texts, "; "));
        }
        _ => {}
    }
    Ok(())
}

/// A name as the server reads it: folded, unless it is quoted.
fn fold_name(name: &str) -> String {
    let name = name.trim();
    match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => name.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        match Migration::parse("001", "t", text) {
            Ok(_) => Vec::new(),
            Err(findings) => findings
                .iter()
                .map(|finding| {
                    let (line, column) = finding.span.unwrap_or_default().line_and_column(text);
                    format!("{line}:{column} {}: {}", finding.rule, finding.message)
                })
                .collect(),
        }
    }

    #[test]
    fn directives_speak_for_the_next_statement() {
        let text = "-- crossfade: down price_cents / 100.0\n-- more words\nALTER TABLE p DROP COLUMN price;\nSELECT 1;";
        let migration = Migration::parse("001", "t", text).map_err(|findings| format!("{findings:?}"));
        let migration = migration.expect("it parses");
        assert_eq!(migration.statements[0].down[0].value.as_written(), "price_cents / 100.0");
        assert!(migration.statements[1].down.is_empty());
    }

    #[test]
    fn bad_directives_name_their_place() {
        insta::assert_snapshot!(
            [
                "SELECT 1;\n-- crossfade: upp x\nSELECT 2;",
                "SELECT 1;\n-- crossfade: up x",
                "-- crossfade: up price *\nSELECT 1;",
                "-- crossfade: down(a x\nSELECT 1;",
                "-- crossfade: direct\nSELECT 1;",
                "SELECT\n-- crossfade: direct because\n1;",
                "-- crossfade: up (SELECT 1)\nSELECT 1;",
                "-- +goose Up\nSELECT 1;",
                "CREATE TABLE a ();\n---- create above / drop below ----\nDROP TABLE a;",
                "CREATE TABLE a ();\n-- ==== DOWN ====\nDROP TABLE a;",
                "--liquibase formatted sql\nSELECT 1;",
                "SELECT 1;\n-- down\n",
                "-- down the road\nSELECT 1;",
                "BEGIN; SELECT 1; COMMIT; SELECT 2;",
                "VACUUM t;",
                "COPY t FROM STDIN;",
            ]
            .iter()
            .flat_map(|text| problems(text))
            .collect::<Vec<_>>()
            .join("\n")
        );
    }

    #[test]
    fn an_outer_transaction_is_stripped() {
        let migration = Migration::parse("001", "t", "BEGIN;\nSELECT 1;\nCOMMIT;");
        assert_eq!(migration.map(|migration| migration.statements.len()).ok(), Some(1));
    }

    #[test]
    fn the_checksum_ignores_bom_and_line_ends() {
        assert_eq!(checksum("\u{feff}SELECT 1;\r\n"), checksum("SELECT 1;\n"));
        assert_ne!(checksum("SELECT 1;"), checksum("SELECT 2;"));
    }
}
