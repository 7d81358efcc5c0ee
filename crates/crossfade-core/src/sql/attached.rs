//! Statements about a trigger or a policy that may be there before them.

use pg_query::NodeEnum;
use pg_query::protobuf::ObjectType;

use super::ObjectRef;
use super::ParsedStatement;
use super::Sql;
use super::SqlPart;
use super::statement::object;
use super::statement::object_of_names;
use super::statement::strings;

/// What has its name within a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachedKind {
    /// A trigger.
    Trigger,
    /// A policy of row security.
    Policy,
}

impl SqlPart for AttachedKind {
    fn write_sql(&self, out: &mut String) {
        out.push_str(match self {
            AttachedKind::Trigger => "TRIGGER",
            AttachedKind::Policy => "POLICY",
        });
    }
}

/// What a statement does to a trigger or a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachedChange {
    /// Which of both.
    pub kind: AttachedKind,
    /// Its table.
    pub table: ObjectRef,
    /// Its name.
    pub name: String,
    /// Whether there is one of this name afterwards.
    pub stays: bool,
}

/// What a statement drops, changes, or makes in the place of another.
pub fn attached_change(statement: &ParsedStatement) -> Option<AttachedChange> {
    let parsed = pg_query::parse(statement.text.as_str(), 0).ok()?;
    match parsed.protobuf.stmts.into_iter().next()?.stmt?.node? {
        NodeEnum::DropStmt(drop) => {
            let kind = match drop.remove_type() {
                ObjectType::ObjectTrigger => AttachedKind::Trigger,
                ObjectType::ObjectPolicy => AttachedKind::Policy,
                _ => return None,
            };
            let [only] = drop.objects.as_slice() else { return None };
            let Some(NodeEnum::List(list)) = &only.node else { return None };
            let mut names = strings(&list.items);
            let name = names.pop()?;
            Some(AttachedChange { kind, table: object_of_names(&names)?, name, stays: false })
        }
        NodeEnum::AlterPolicyStmt(alter) => Some(AttachedChange {
            kind: AttachedKind::Policy,
            table: object(alter.table.as_ref()),
            name: alter.policy_name,
            stays: true,
        }),
        NodeEnum::CreateTrigStmt(create) if create.replace => Some(AttachedChange {
            kind: AttachedKind::Trigger,
            table: object(create.relation.as_ref()),
            name: create.trigname,
            stays: true,
        }),
        _ => None,
    }
}

impl AttachedChange {
    /// Its DROP, on the table by this name.
    pub fn drop(&self, table: &super::TableName) -> Sql {
        crate::sql!("DROP {} {} ON {}", self.kind, super::Ident::new(self.name.as_str()), table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_triggers_and_policies_are_read() {
        let change =
            |text: &str| super::super::parse_file(text).ok().and_then(|file| attached_change(&file.statements[0]));
        insta::assert_debug_snapshot!([
            change("DROP TRIGGER IF EXISTS \"T\" ON s.t CASCADE"),
            change("DROP POLICY p ON t"),
            change("ALTER POLICY p ON t TO public"),
            change("CREATE OR REPLACE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()"),
            change("CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()"),
            change("DROP RULE r ON t"),
        ]);
    }
}
