//! What a statement changes, where its text says all of it: to see whether that goes with something that the file makes itself.

use pg_query::NodeEnum;
use pg_query::protobuf;
use pg_query::protobuf::GrantTargetType;
use pg_query::protobuf::ObjectType;

use super::ObjectRef;
use super::ParsedStatement;
use super::statement::object;
use super::statement::object_of_names;
use super::statement::strings;

/// An object, by the class of the server's catalog that it stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `pg_class`, `pg_proc`, `pg_type` or `pg_namespace`.
    pub class: &'static str,
    /// Its name.
    pub name: ObjectRef,
}

impl Target {
    fn new(class: &'static str, name: ObjectRef) -> Target {
        Target { class, name }
    }

    fn relation(name: Option<&protobuf::RangeVar>) -> Target {
        Target::new("pg_class", object(name))
    }

    fn schema(name: String) -> Target {
        Target::new("pg_namespace", ObjectRef { schema: None, name })
    }
}

fn node_of(statement: &ParsedStatement) -> Option<NodeEnum> {
    let parsed = pg_query::parse(statement.text.as_str(), 0).ok()?;
    parsed.protobuf.stmts.into_iter().next()?.stmt?.node
}

/// The schema that it makes for certain.
pub fn makes_schema(statement: &ParsedStatement) -> Option<String> {
    match node_of(statement)? {
        NodeEnum::CreateSchemaStmt(create) if !create.if_not_exists => Some(create.schemaname),
        _ => None,
    }
}

/// What `IF NOT EXISTS` makes where it is not there: an object that belongs to no schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnlessThere {
    /// A schema.
    Schema(String),
    /// An extension.
    Extension(String),
}

/// The schema or the extension that it makes, where there is none of that name.
pub fn makes_unless_there(statement: &ParsedStatement) -> Option<UnlessThere> {
    match node_of(statement)? {
        NodeEnum::CreateSchemaStmt(create) if create.if_not_exists && create.schema_elts.is_empty() => {
            Some(create.schemaname).filter(|name| !name.is_empty()).map(UnlessThere::Schema)
        }
        NodeEnum::CreateExtensionStmt(create) if create.if_not_exists => Some(UnlessThere::Extension(create.extname)),
        _ => None,
    }
}

/// The sequence that it gives to a column.
pub fn gives_sequence(statement: &ParsedStatement) -> Option<ObjectRef> {
    let NodeEnum::AlterSeqStmt(alter) = node_of(statement)? else { return None };
    let is_owner = |option: &protobuf::Node| match option.node.as_ref() {
        Some(NodeEnum::DefElem(option)) => option.defname == "owned_by",
        _ => false,
    };
    alter.options.iter().any(is_owner).then(|| object(alter.sequence.as_ref()))
}

/// The table and the constraint, where all that it does is to prove one.
pub fn validates(statement: &ParsedStatement) -> Option<(ObjectRef, String)> {
    let NodeEnum::AlterTableStmt(alter) = node_of(statement)? else { return None };
    let [command] = alter.cmds.as_slice() else { return None };
    let Some(NodeEnum::AlterTableCmd(command)) = command.node.as_ref() else { return None };
    let proves = command.subtype() == protobuf::AlterTableType::AtValidateConstraint;
    proves.then(|| (object(alter.relation.as_ref()), command.name.clone()))
}

/// What the statement changes. None where its text does not say all of it: a function may do anything, and so may what WITH changes.
pub fn works_on(statement: &ParsedStatement) -> Option<Vec<Target>> {
    let node = node_of(statement)?;
    let one = |target: Option<Target>| target.map(|target| vec![target]);
    match &node {
        NodeEnum::InsertStmt(insert) if insert.with_clause.is_none() => {
            one(Some(Target::relation(insert.relation.as_ref())))
        }
        NodeEnum::UpdateStmt(update) if update.with_clause.is_none() => {
            one(Some(Target::relation(update.relation.as_ref())))
        }
        NodeEnum::DeleteStmt(delete) if delete.with_clause.is_none() => {
            one(Some(Target::relation(delete.relation.as_ref())))
        }
        NodeEnum::CopyStmt(copy) if copy.is_from => one(Some(Target::relation(copy.relation.as_ref()))),
        NodeEnum::IndexStmt(index) => one(Some(Target::relation(index.relation.as_ref()))),
        NodeEnum::CreateTrigStmt(trigger) => one(Some(Target::relation(trigger.relation.as_ref()))),
        NodeEnum::CreatePolicyStmt(policy) => one(Some(Target::relation(policy.table.as_ref()))),
        NodeEnum::AlterPolicyStmt(policy) => one(Some(Target::relation(policy.table.as_ref()))),
        NodeEnum::RefreshMatViewStmt(refresh) => one(Some(Target::relation(refresh.relation.as_ref()))),
        // A table that is attached would be dropped with its parent.
        NodeEnum::AlterTableStmt(alter) if alter.cmds.iter().any(attaches) => None,
        NodeEnum::AlterTableStmt(alter) => {
            let class = if alter.objtype() == ObjectType::ObjectType { "pg_type" } else { "pg_class" };
            one(Some(Target::new(class, object(alter.relation.as_ref()))))
        }
        // Not of the table itself: what drops it names it as it was made.
        NodeEnum::RenameStmt(rename) if rename.rename_type() == ObjectType::ObjectColumn => {
            one(Some(Target::relation(rename.relation.as_ref())))
        }
        NodeEnum::AlterSeqStmt(alter) => one(Some(Target::relation(alter.sequence.as_ref()))),
        NodeEnum::AlterFunctionStmt(alter) => one(routine(alter.func.as_ref())),
        NodeEnum::AlterEnumStmt(alter) => {
            one(object_of_names(&strings(&alter.type_name)).map(|name| Target::new("pg_type", name)))
        }
        NodeEnum::AlterOwnerStmt(alter) => {
            one(of_kind(alter.object_type(), alter.relation.as_ref(), alter.object.as_deref()))
        }
        NodeEnum::CommentStmt(comment) => one(of_kind(comment.objtype(), None, comment.object.as_deref())),
        NodeEnum::GrantStmt(grant) => granted(grant),
        NodeEnum::AlterDefaultPrivilegesStmt(alter) => {
            let schemas = alter.options.iter().find_map(|option| match option.node.as_ref() {
                Some(NodeEnum::DefElem(option)) if option.defname == "schemas" => option.arg.as_deref(),
                _ => None,
            })?;
            let Some(NodeEnum::List(names)) = schemas.node.as_ref() else { return None };
            Some(strings(&names.items).into_iter().map(Target::schema).collect())
        }
        NodeEnum::VacuumStmt(vacuum) if !vacuum.is_vacuumcmd => Some(Vec::new()),
        NodeEnum::SelectStmt(select) => one(set_sequence(select)),
        _ => None,
    }
}

fn attaches(command: &protobuf::Node) -> bool {
    match command.node.as_ref() {
        Some(NodeEnum::AlterTableCmd(command)) => command.subtype() == protobuf::AlterTableType::AtAttachPartition,
        _ => false,
    }
}

fn routine(routine: Option<&protobuf::ObjectWithArgs>) -> Option<Target> {
    object_of_names(&strings(&routine?.objname)).map(|name| Target::new("pg_proc", name))
}

/// The names that an object is written with.
fn names_of(node: &NodeEnum) -> Vec<String> {
    match node {
        NodeEnum::List(list) => strings(&list.items),
        NodeEnum::TypeName(name) => strings(&name.names),
        NodeEnum::String(name) => vec![name.sval.clone()],
        _ => Vec::new(),
    }
}

fn of_kind(kind: ObjectType, relation: Option<&protobuf::RangeVar>, named: Option<&protobuf::Node>) -> Option<Target> {
    use ObjectType as T;
    let node = named.and_then(|node| node.node.as_ref());
    let names = node.map(names_of).unwrap_or_default();
    // Of what belongs to a table, the table's name comes first.
    let behind = |last: usize| object_of_names(names.get(..names.len().checked_sub(last)?)?);
    match kind {
        T::ObjectTable | T::ObjectView | T::ObjectMatview | T::ObjectSequence if relation.is_some() => {
            Some(Target::relation(relation))
        }
        T::ObjectTable | T::ObjectView | T::ObjectMatview | T::ObjectSequence => {
            behind(0).map(|name| Target::new("pg_class", name))
        }
        T::ObjectColumn | T::ObjectTabconstraint | T::ObjectTrigger | T::ObjectPolicy | T::ObjectRule => {
            behind(1).map(|name| Target::new("pg_class", name))
        }
        T::ObjectType | T::ObjectDomain => behind(0).map(|name| Target::new("pg_type", name)),
        T::ObjectSchema => names.into_iter().next().map(Target::schema),
        T::ObjectFunction | T::ObjectProcedure | T::ObjectRoutine | T::ObjectAggregate => match node? {
            NodeEnum::ObjectWithArgs(of) => routine(Some(of)),
            _ => None,
        },
        _ => None,
    }
}

fn granted(grant: &protobuf::GrantStmt) -> Option<Vec<Target>> {
    let each = |node: &protobuf::Node| {
        let node = node.node.as_ref()?;
        if grant.targtype() == GrantTargetType::AclTargetAllInSchema {
            return names_of(node).into_iter().next().map(Target::schema);
        }
        match node {
            NodeEnum::RangeVar(relation) => Some(Target::relation(Some(relation))),
            NodeEnum::ObjectWithArgs(of) => routine(Some(of)),
            _ => of_kind(grant.objtype(), None, Some(&protobuf::Node { node: Some(node.clone()) })),
        }
    };
    grant.objects.iter().map(each).collect()
}

/// `SELECT setval('name', …)`.
fn set_sequence(select: &protobuf::SelectStmt) -> Option<Target> {
    let [target] = select.target_list.as_slice() else { return None };
    let Some(NodeEnum::ResTarget(target)) = target.node.as_ref() else { return None };
    let Some(NodeEnum::FuncCall(call)) = target.val.as_ref()?.node.as_ref() else { return None };
    if strings(&call.funcname).last().is_none_or(|name| name != "setval") {
        return None;
    }
    let mut first = call.args.first()?.node.as_ref()?;
    while let NodeEnum::TypeCast(cast) = first {
        first = cast.arg.as_ref()?.node.as_ref()?;
    }
    let NodeEnum::AConst(value) = first else { return None };
    let Some(protobuf::a_const::Val::Sval(text)) = value.val.as_ref() else { return None };
    // As regclass reads it: the words of a name.
    let of = super::parse_file(&format!("TABLE {}", text.sval)).ok()?;
    let [table] = of.statements.as_slice() else { return None };
    let NodeEnum::SelectStmt(select) = node_of(table)? else { return None };
    let [relation] = select.from_clause.as_slice() else { return None };
    match relation.node.as_ref()? {
        NodeEnum::RangeVar(relation) => Some(Target::relation(Some(relation))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(text: &str) -> Option<String> {
        let file = super::super::parse_file(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        let all = works_on(&file.statements[0])?;
        let shown = all.iter().map(|target| {
            let schema = target.name.schema.as_ref().map(|schema| format!("{schema}.")).unwrap_or_default();
            format!("{} {schema}{}", target.class, target.name.name)
        });
        Some(shown.collect::<Vec<_>>().join(", "))
    }

    #[test]
    fn what_a_statement_changes_is_read_from_its_text() {
        for (text, wanted) in [
            ("INSERT INTO k VALUES (1)", "pg_class k"),
            ("INSERT INTO s.k SELECT id FROM users", "pg_class s.k"),
            ("UPDATE k SET v = 1", "pg_class k"),
            ("DELETE FROM k", "pg_class k"),
            ("COPY k FROM STDIN", "pg_class k"),
            ("ALTER TABLE k ENABLE ROW LEVEL SECURITY", "pg_class k"),
            ("ALTER VIEW s.v OWNER TO o", "pg_class s.v"),
            ("ALTER TABLE s.k RENAME COLUMN a TO b", "pg_class s.k"),
            ("ALTER SEQUENCE s OWNED BY k.id", "pg_class s"),
            ("CREATE INDEX ON k (v)", "pg_class k"),
            ("GRANT SELECT ON k, s.l TO r", "pg_class k, pg_class s.l"),
            ("GRANT USAGE ON SEQUENCE q TO r", "pg_class q"),
            ("REVOKE ALL ON FUNCTION f(int) FROM PUBLIC", "pg_proc f"),
            ("GRANT USAGE ON SCHEMA a, b TO r", "pg_namespace a, pg_namespace b"),
            ("GRANT USAGE ON TYPE mood TO r", "pg_type mood"),
            ("GRANT ALL ON ALL TABLES IN SCHEMA a TO r", "pg_namespace a"),
            ("ALTER DEFAULT PRIVILEGES IN SCHEMA a GRANT SELECT ON TABLES TO r", "pg_namespace a"),
            ("ALTER FUNCTION f() OWNER TO o", "pg_proc f"),
            ("ALTER TYPE s.mood OWNER TO o", "pg_type s.mood"),
            ("ALTER SCHEMA a OWNER TO o", "pg_namespace a"),
            ("COMMENT ON COLUMN s.k.id IS 'x'", "pg_class s.k"),
            ("COMMENT ON TABLE k IS 'x'", "pg_class k"),
            ("COMMENT ON CONSTRAINT c ON k IS 'x'", "pg_class k"),
            ("COMMENT ON FUNCTION f(int) IS 'x'", "pg_proc f"),
            ("COMMENT ON TYPE mood IS 'x'", "pg_type mood"),
            ("SELECT setval('s.\"My seq\"', 5)", "pg_class s.My seq"),
            ("SELECT pg_catalog.setval('q'::regclass, 5, false)", "pg_class q"),
            ("ANALYZE k", ""),
        ] {
            assert_eq!(targets(text).as_deref(), Some(wanted), "{text}");
        }
        for text in [
            "SELECT f()",
            "SELECT setval(f(), 5)",
            "ALTER TABLE k RENAME TO l",
            "ALTER TABLE k ATTACH PARTITION users DEFAULT",
            "DO $$ BEGIN END $$",
            "WITH w AS (DELETE FROM users RETURNING id) INSERT INTO k SELECT id FROM w",
            "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO r",
            "GRANT r TO q",
            "VACUUM k",
            "CALL f()",
            "COMMENT ON DATABASE d IS 'x'",
        ] {
            assert_eq!(targets(text), None, "{text}");
        }
    }
}
