//! An ALTER TABLE taken apart into statements of one change each. On the parse tree, never on the text.

use pg_query::NodeEnum;
use pg_query::protobuf;
use pg_query::protobuf::AlterTableCmd;
use pg_query::protobuf::AlterTableStmt;
use pg_query::protobuf::AlterTableType;
use pg_query::protobuf::ColumnDef;
use pg_query::protobuf::ConstrType;
use pg_query::protobuf::Constraint;
use pg_query::protobuf::Node;

use super::Expr;
use super::ParsedStatement;
use super::parsed_at;
use super::rewrite::deparse;
use super::rewrite::parse_expression_node;

/// The changes of an ALTER TABLE, each as a statement of its own, in the order in which the server makes them. What is written with a new
/// column (CHECK, UNIQUE, PRIMARY KEY, REFERENCES) comes behind it. None where the text can't be taken apart.
pub fn split_alter(statement: &ParsedStatement) -> Option<Vec<ParsedStatement>> {
    let alter = parse_alter(statement)?;
    let mut commands = Vec::new();
    for node in &alter.cmds {
        let Some(NodeEnum::AlterTableCmd(command)) = &node.node else { return None };
        commands.extend(with_constraints_apart(command));
    }
    commands.sort_by_key(pass);
    commands.into_iter().map(|command| with_commands(statement, &alter, vec![command])).collect()
}

/// The statement, which adds one constraint and nothing else, with this name for it.
pub fn with_constraint_name(statement: &ParsedStatement, name: &str) -> Option<ParsedStatement> {
    let alter = parse_alter(statement)?;
    let [node] = alter.cmds.as_slice() else { return None };
    let Some(NodeEnum::AlterTableCmd(command)) = &node.node else { return None };
    let mut command = (**command).clone();
    match command.def.as_mut().and_then(|def| def.node.as_mut()) {
        Some(NodeEnum::Constraint(constraint)) => name.clone_into(&mut constraint.conname),
        _ => return None,
    }
    with_commands(statement, &alter, vec![command])
}

/// The statement, which adds a column and nothing else, without its NOT NULL; and the statement that makes it NOT NULL, where it was to be.
pub fn with_not_null_apart(statement: &ParsedStatement) -> Option<(ParsedStatement, Option<ParsedStatement>)> {
    let alter = parse_alter(statement)?;
    let (command, mut column) = column_of(&alter)?;
    let is_not_null = |node: &Node| match &node.node {
        Some(NodeEnum::Constraint(constraint)) => constraint.contype() == ConstrType::ConstrNotnull,
        _ => false,
    };
    let before = column.constraints.len();
    column.constraints.retain(|node| !is_not_null(node));
    if column.constraints.len() == before {
        return Some((statement.clone(), None));
    }
    let not_null = AlterTableCmd {
        subtype: AlterTableType::AtSetNotNull as i32,
        name: column.colname.clone(),
        behavior: protobuf::DropBehavior::DropRestrict as i32,
        ..AlterTableCmd::default()
    };
    let bare = AlterTableCmd { def: boxed(NodeEnum::ColumnDef(Box::new(column))), ..command };
    Some((with_commands(statement, &alter, vec![bare])?, Some(with_commands(statement, &alter, vec![not_null])?)))
}

/// The statement, which adds a column and nothing else, with a NOT NULL of this name.
pub fn with_not_null(statement: &ParsedStatement, name: Option<&str>) -> Option<ParsedStatement> {
    let alter = parse_alter(statement)?;
    let (command, mut column) = column_of(&alter)?;
    let not_null = protobuf::Constraint {
        contype: ConstrType::ConstrNotnull as i32,
        conname: name.unwrap_or_default().to_owned(),
        ..protobuf::Constraint::default()
    };
    column.constraints.push(Node { node: Some(NodeEnum::Constraint(Box::new(not_null))) });
    let added = AlterTableCmd { def: boxed(NodeEnum::ColumnDef(Box::new(column))), ..command };
    with_commands(statement, &alter, vec![added])
}

/// The statement, which changes a column's type and nothing else, with this value for its rows.
pub fn with_using(statement: &ParsedStatement, value: &Expr) -> Option<ParsedStatement> {
    let alter = parse_alter(statement)?;
    let (command, mut column) = column_of(&alter)?;
    column.raw_default = Some(Box::new(parse_expression_node(value.as_written())?));
    let using = AlterTableCmd { def: boxed(NodeEnum::ColumnDef(Box::new(column))), ..command };
    with_commands(statement, &alter, vec![using])
}

/// The one change of a statement, and the column that it defines.
fn column_of(alter: &AlterTableStmt) -> Option<(AlterTableCmd, ColumnDef)> {
    let [node] = alter.cmds.as_slice() else { return None };
    let Some(NodeEnum::AlterTableCmd(command)) = &node.node else { return None };
    match command.def.as_ref()?.node.as_ref()? {
        NodeEnum::ColumnDef(column) => Some(((**command).clone(), (**column).clone())),
        _ => None,
    }
}

pub(super) fn parse_alter(statement: &ParsedStatement) -> Option<AlterTableStmt> {
    let parsed = pg_query::parse(statement.text.as_str(), 0).ok()?;
    match parsed.protobuf.stmts.into_iter().next()?.stmt?.node? {
        NodeEnum::AlterTableStmt(alter) => Some(alter),
        _ => None,
    }
}

pub(super) fn with_commands(
    whole: &ParsedStatement,
    alter: &AlterTableStmt,
    commands: Vec<AlterTableCmd>,
) -> Option<ParsedStatement> {
    let cmds =
        commands.into_iter().map(|command| Node { node: Some(NodeEnum::AlterTableCmd(Box::new(command))) }).collect();
    let text = deparse(NodeEnum::AlterTableStmt(AlterTableStmt { cmds, ..alter.clone() }))?;
    parsed_at(whole.span, &text)
}

/// The pass in which the server makes a change. Source: `ATPrepCmd` and `AlterTablePass` in PostgreSQL's tablecmds.c.
fn pass(command: &AlterTableCmd) -> u8 {
    use AlterTableType as T;
    let foreign_key = match command.def.as_ref().and_then(|def| def.node.as_ref()) {
        Some(NodeEnum::Constraint(constraint)) => constraint.contype() == ConstrType::ConstrForeign,
        _ => false,
    };
    match command.subtype() {
        T::AtDropColumn | T::AtDropConstraint | T::AtDropNotNull | T::AtDropExpression => 0,
        T::AtAlterColumnType => 1,
        T::AtAddColumn => 2,
        T::AtColumnDefault if command.def.is_none() => 0,
        T::AtColumnDefault => 5,
        T::AtSetNotNull => 3,
        T::AtAddConstraint if foreign_key => 5,
        T::AtAddConstraint => 4,
        T::AtAddIdentity | T::AtSetIdentity | T::AtDropIdentity => 5,
        _ => 6,
    }
}

/// A new column's constraints as changes of their own.
fn with_constraints_apart(command: &AlterTableCmd) -> Vec<AlterTableCmd> {
    let Some(NodeEnum::ColumnDef(column)) = command.def.as_ref().and_then(|def| def.node.as_ref()) else {
        return vec![command.clone()];
    };
    if command.subtype() != AlterTableType::AtAddColumn {
        return vec![command.clone()];
    }
    let (bare, constraints) = apart(column);
    let mut all = vec![AlterTableCmd { def: boxed(NodeEnum::ColumnDef(Box::new(bare))), ..command.clone() }];
    all.extend(constraints.into_iter().map(|constraint| AlterTableCmd {
        subtype: AlterTableType::AtAddConstraint as i32,
        def: boxed(NodeEnum::Constraint(Box::new(constraint))),
        behavior: protobuf::DropBehavior::DropRestrict as i32,
        ..AlterTableCmd::default()
    }));
    all
}

pub(super) fn boxed(node: NodeEnum) -> Option<Box<Node>> {
    Some(Box::new(Node { node: Some(node) }))
}

fn apart(column: &ColumnDef) -> (ColumnDef, Vec<Constraint>) {
    let mut bare = column.clone();
    bare.constraints.clear();
    let mut constraints: Vec<Constraint> = Vec::new();
    let mut of_constraint = false;
    for node in &column.constraints {
        let Some(NodeEnum::Constraint(constraint)) = &node.node else { continue };
        let name = || vec![string(&column.colname)];
        let mut constraint = (**constraint).clone();
        match constraint.contype() {
            ConstrType::ConstrCheck => {}
            ConstrType::ConstrUnique | ConstrType::ConstrPrimary => constraint.keys = name(),
            ConstrType::ConstrForeign => constraint.fk_attrs = name(),
            timing if of_constraint => {
                if let Some(last) = constraints.last_mut() {
                    set_timing(last, timing);
                }
                continue;
            }
            _ => {
                bare.constraints.push(node.clone());
                continue;
            }
        }
        of_constraint = true;
        constraints.push(constraint);
    }
    (bare, constraints)
}

/// `DEFERRABLE` and the like stand behind the constraint that they speak of, as nodes of their own.
fn set_timing(constraint: &mut Constraint, timing: ConstrType) {
    match timing {
        ConstrType::ConstrAttrDeferrable => constraint.deferrable = true,
        ConstrType::ConstrAttrNotDeferrable => constraint.deferrable = false,
        ConstrType::ConstrAttrDeferred => {
            constraint.deferrable = true;
            constraint.initdeferred = true;
        }
        ConstrType::ConstrAttrImmediate => constraint.initdeferred = false,
        ConstrType::ConstrAttrEnforced => constraint.is_enforced = true,
        ConstrType::ConstrAttrNotEnforced => {
            constraint.is_enforced = false;
            constraint.initially_valid = false;
        }
        _ => {}
    }
}

pub(super) fn string(text: &str) -> Node {
    Node { node: Some(NodeEnum::String(protobuf::String { sval: text.to_owned() })) }
}

#[cfg(test)]
mod tests {
    use super::super::parse_file;
    use super::*;

    fn split(text: &str) -> String {
        let file = parse_file(text).expect("it parses");
        let parts = split_alter(&file.statements[0]).expect("it can be taken apart");
        parts.iter().map(|part| part.text.to_string()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_new_column_loses_its_not_null_until_it_has_values() {
        let apart = |text: &str| {
            let file = parse_file(text).expect("it parses");
            let (bare, rest) = with_not_null_apart(&file.statements[0]).expect("it adds a column");
            (bare.text.to_string(), rest.map(|rest| rest.text.to_string()))
        };
        let (bare, rest) = apart("ALTER TABLE ONLY s.t ADD COLUMN IF NOT EXISTS a text NOT NULL DEFAULT 'x'");
        assert_eq!(bare, "ALTER TABLE ONLY s.t ADD COLUMN IF NOT EXISTS a text DEFAULT 'x'");
        assert_eq!(rest.as_deref(), Some("ALTER TABLE ONLY s.t ALTER COLUMN a SET NOT NULL"));
        assert_eq!(apart("ALTER TABLE t ADD a int").1, None);
    }

    #[test]
    fn a_type_change_takes_its_values_from_elsewhere() {
        let file = parse_file("ALTER TABLE t ALTER a TYPE bigint USING a::bigint").expect("it parses");
        let value = Expr::parse("coalesce(b, 0)").expect("it is an expression");
        let changed = with_using(&file.statements[0], &value).expect("it changes a type");
        assert_eq!(changed.text.as_str(), "ALTER TABLE t ALTER COLUMN a TYPE bigint USING COALESCE(b, 0)");
    }

    #[test]
    fn every_form_can_be_taken_apart() {
        let forms = [
            "ALTER a SET COMPRESSION pglz",
            "ALTER a SET STATISTICS DEFAULT",
            "ALTER a SET STATISTICS -1",
            "ALTER a SET (n_distinct=5)",
            "ALTER a RESET (n_distinct)",
            "ENABLE REPLICA TRIGGER x",
            "ENABLE ALWAYS RULE x",
            "DISABLE TRIGGER ALL",
            "DISABLE TRIGGER USER",
            "CLUSTER ON i",
            "SET WITHOUT CLUSTER",
            "SET WITHOUT OIDS",
            "SET LOGGED",
            "SET ACCESS METHOD heap",
            "SET ACCESS METHOD DEFAULT",
            "SET TABLESPACE x",
            "SET (fillfactor=5)",
            "RESET (fillfactor)",
            "INHERIT p",
            "NO INHERIT p",
            "OF ty",
            "NOT OF",
            "OWNER TO CURRENT_USER",
            "REPLICA IDENTITY FULL",
            "REPLICA IDENTITY USING INDEX i",
            "FORCE ROW LEVEL SECURITY",
            "NO FORCE ROW LEVEL SECURITY",
            "ALTER a SET EXPRESSION AS (b+1)",
            "ALTER a DROP EXPRESSION IF EXISTS",
            "ALTER a ADD GENERATED ALWAYS AS IDENTITY",
            "ALTER a SET GENERATED BY DEFAULT SET START 4 RESTART",
            "ALTER a DROP IDENTITY IF EXISTS",
            "ALTER 2 SET STATISTICS 4",
            "ALTER CONSTRAINT c NOT DEFERRABLE",
            "ALTER CONSTRAINT c NOT ENFORCED",
            "ALTER CONSTRAINT c NO INHERIT",
            "ALTER CONSTRAINT c INHERIT",
            "VALIDATE CONSTRAINT c",
            "ADD CONSTRAINT c CHECK (a>0) NOT ENFORCED",
            "ADD CONSTRAINT n NOT NULL a NO INHERIT",
            "ADD CONSTRAINT n NOT NULL a NOT VALID",
            "ADD CONSTRAINT u UNIQUE USING INDEX i DEFERRABLE",
            "ADD CONSTRAINT u UNIQUE NULLS NOT DISTINCT (a) INCLUDE (b) WITH (fillfactor=50) USING INDEX TABLESPACE t",
            "ADD PRIMARY KEY (a, v WITHOUT OVERLAPS)",
            "ADD FOREIGN KEY (a, PERIOD v) REFERENCES o (a, PERIOD v) ON DELETE SET NULL (a)",
            "ADD EXCLUDE USING gist (a WITH OPERATOR(pg_catalog.=)) WHERE (a>0)",
            "OPTIONS (ADD a 'b')",
            "ALTER a OPTIONS (SET x 'y')",
            "ALTER a TYPE text COLLATE \"C\" USING a::text",
            "ADD COLUMN z int STORAGE PLAIN COMPRESSION pglz",
            "ADD COLUMN z int[3][] DEFAULT '{}'",
            "ADD COLUMN z interval(3)",
            "ADD COLUMN z interval day to second",
            "ADD COLUMN z bit varying(3)",
            "ADD COLUMN z int GENERATED ALWAYS AS (a) VIRTUAL",
            "ADD COLUMN z int OPTIONS (a 'b')",
            "ADD COLUMN z timestamp(3) with time zone",
            "ADD COLUMN z SETOF int",
            "ALTER a SET DEFAULT U&'d!0061t' UESCAPE '!'",
            "ALTER a SET DEFAULT XMLELEMENT(name foo)",
            "ALTER a SET DEFAULT JSON_OBJECT('a': 1)",
            "ALTER a SET DEFAULT JSON_VALUE('1', '$' RETURNING int)",
            "ALTER a SET DEFAULT CASE WHEN b IS NOT DISTINCT FROM 3 THEN 1 END",
            "ALTER a SET DEFAULT (SELECT 1)",
            "ALTER a SET DEFAULT $1",
            "ALTER a SET DEFAULT b AT LOCAL",
            "ALTER a SET DEFAULT a OPERATOR(pg_catalog.+) b",
        ];
        for form in forms {
            let file = parse_file(&format!("ALTER TABLE t ADD COLUMN q integer, {form}")).expect("it parses");
            let parts = split_alter(&file.statements[0]);
            assert!(parts.is_some_and(|parts| parts.len() > 1), "{form}");
        }
    }

    #[test]
    fn each_change_stands_alone_in_the_servers_order() {
        insta::assert_snapshot!([
            "ALTER TABLE s.\"T t\" ADD CHECK (a > 0), ALTER COLUMN b TYPE bigint USING b + 1, DROP COLUMN c CASCADE, ADD COLUMN IF NOT EXISTS d text COLLATE \"C\" DEFAULT 'x' NOT NULL",
            "ALTER TABLE IF EXISTS ONLY t ALTER a SET DEFAULT now(), ALTER a DROP NOT NULL, ALTER a SET STATISTICS 100, ALTER a SET STORAGE EXTERNAL",
            "ALTER TABLE t ADD COLUMN u integer NOT NULL CONSTRAINT cu UNIQUE DEFERRABLE INITIALLY DEFERRED CHECK (u > 0) NO INHERIT REFERENCES o (id) ON DELETE CASCADE DEFAULT 3",
            "ALTER TABLE t ADD COLUMN k bigserial PRIMARY KEY USING INDEX TABLESPACE ts",
            "ALTER TABLE t ADD CONSTRAINT e EXCLUDE USING gist (c WITH &&), ADD CONSTRAINT f FOREIGN KEY (a, b) REFERENCES o (x, y) MATCH FULL ON UPDATE SET NULL NOT VALID",
            "ALTER TABLE t ADD COLUMN g integer GENERATED ALWAYS AS (a + 1) STORED, ADD COLUMN i bigint GENERATED BY DEFAULT AS IDENTITY (START 100)",
        ].map(split).join("\n\n"));
    }
}
