//! What undoes a statement that runs as written, where its text alone says it.

use pg_query::NodeEnum;
use pg_query::protobuf;
use pg_query::protobuf::FunctionParameterMode;
use pg_query::protobuf::ObjectType;

use super::Ident;
use super::Literal;
use super::Sql;
use super::rewrite::deparse_type;
use super::statement::object;
use super::statement::object_of_names;
use super::statement::strings;
use super::whole::written;
use crate::sql;

/// The DROP of the function that a statement makes.
pub fn dropped_function(statement: &super::ParsedStatement) -> Option<Sql> {
    let parsed = pg_query::parse(statement.text.as_str(), 0).ok()?;
    match parsed.protobuf.stmts.into_iter().next()?.stmt?.node? {
        NodeEnum::CreateFunctionStmt(create) => drop_function(&create),
        _ => None,
    }
}

/// The statement that takes this one back.
pub(super) fn undo(node: &NodeEnum) -> Option<Sql> {
    let on = |relation: Option<&protobuf::RangeVar>| written(&object(relation));
    let name = |name: &str| Ident::new(name);
    match node {
        NodeEnum::CreateFunctionStmt(create) if !create.replace => drop_function(create),
        NodeEnum::CreateTrigStmt(create) if !create.replace => {
            Some(sql!("DROP TRIGGER {} ON {}", name(&create.trigname), on(create.relation.as_ref())))
        }
        NodeEnum::CreatePolicyStmt(create) => {
            Some(sql!("DROP POLICY {} ON {}", name(&create.policy_name), on(create.table.as_ref())))
        }
        NodeEnum::RuleStmt(create) if !create.replace => {
            Some(sql!("DROP RULE {} ON {}", name(&create.rulename), on(create.relation.as_ref())))
        }
        NodeEnum::CreateExtensionStmt(create) if !create.if_not_exists => {
            Some(sql!("DROP EXTENSION {}", name(&create.extname)))
        }
        NodeEnum::CreatePublicationStmt(create) => Some(sql!("DROP PUBLICATION {}", name(&create.pubname))),
        NodeEnum::CreateStatsStmt(create) if !create.if_not_exists && !create.defnames.is_empty() => {
            Some(sql!("DROP STATISTICS {}", written(&object_of_names(&strings(&create.defnames))?)))
        }
        NodeEnum::RenameStmt(rename) if !rename.missing_ok => rename_back(rename),
        NodeEnum::AlterEnumStmt(alter) if !alter.old_val.is_empty() => {
            let of = written(&object_of_names(&strings(&alter.type_name))?);
            let value = |name: &str| Literal(name.to_owned());
            Some(sql!("ALTER TYPE {} RENAME VALUE {} TO {}", of, value(&alter.new_val), value(&alter.old_val)))
        }
        _ => None,
    }
}

/// The arguments that a function is known by are those that a caller gives.
fn drop_function(create: &protobuf::CreateFunctionStmt) -> Option<Sql> {
    let mut types = Vec::new();
    for parameter in &create.parameters {
        let Some(NodeEnum::FunctionParameter(parameter)) = parameter.node.as_ref() else { return None };
        let given =
            !matches!(parameter.mode(), FunctionParameterMode::FuncParamOut | FunctionParameterMode::FuncParamTable);
        if given {
            types.push(deparse_type(parameter.arg_type.as_ref()?)?);
        } else if create.is_procedure {
            return None;
        }
    }
    let function = written(&object_of_names(&strings(&create.funcname))?);
    let kind = if create.is_procedure { sql!("PROCEDURE") } else { sql!("FUNCTION") };
    Some(sql!("DROP {} {}({})", kind, function, Sql::join(types, ", ")))
}

fn rename_back(rename: &protobuf::RenameStmt) -> Option<Sql> {
    let mut relation = object(rename.relation.as_ref());
    let (from, to) = (Ident::new(rename.subname.as_str()), Ident::new(rename.newname.as_str()));
    match rename.rename_type() {
        ObjectType::ObjectTabconstraint => {
            Some(sql!("ALTER TABLE {} RENAME CONSTRAINT {} TO {}", written(&relation), to, from))
        }
        ObjectType::ObjectTrigger => Some(sql!("ALTER TRIGGER {} ON {} RENAME TO {}", to, written(&relation), from)),
        ObjectType::ObjectPolicy => Some(sql!("ALTER POLICY {} ON {} RENAME TO {}", to, written(&relation), from)),
        ObjectType::ObjectRule => Some(sql!("ALTER RULE {} ON {} RENAME TO {}", to, written(&relation), from)),
        ObjectType::ObjectIndex => {
            let from = Ident::new(relation.name.as_str());
            relation.name.clone_from(&rename.newname);
            Some(sql!("ALTER INDEX {} RENAME TO {}", written(&relation), from))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_undoes_a_statement_is_read_from_its_text() {
        let undo = |text: &str| {
            let parsed = pg_query::parse(text, 0).ok()?;
            super::undo(&parsed.protobuf.stmts.into_iter().next()?.stmt?.node?)
        };
        let lines = [
            "CREATE FUNCTION s.\"F\"(a int, INOUT b numeric(4,2) DEFAULT 1, OUT c text, VARIADIC d text[]) RETURNS record LANGUAGE sql AS ''",
            "CREATE FUNCTION f() RETURNS TABLE (a int) LANGUAGE sql AS ''",
            "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS ''",
            "CREATE PROCEDURE p(int) LANGUAGE sql AS ''",
            "CREATE TRIGGER t BEFORE INSERT ON s.r FOR EACH ROW EXECUTE FUNCTION f()",
            "CREATE POLICY p ON r USING (true)",
            "CREATE RULE u AS ON UPDATE TO r DO INSTEAD NOTHING",
            "CREATE EXTENSION citext",
            "ALTER TABLE s.r RENAME CONSTRAINT a TO \"B\"",
            "ALTER INDEX s.a RENAME TO b",
            "ALTER TRIGGER a ON r RENAME TO b",
            "ALTER POLICY a ON r RENAME TO b",
            "ALTER TYPE a RENAME TO b",
            "ALTER TYPE s.\"A\" RENAME VALUE 'it''s' TO 'b'",
        ]
        .map(|text| undo(text).map_or_else(|| "none".to_owned(), |sql| sql.to_string()));
        insta::assert_snapshot!(lines.join("\n"));
    }
}
