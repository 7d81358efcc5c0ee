//! Everything else: what it locks, what it breaks, how it is undone.

use pg_query::NodeEnum;
use pg_query::protobuf;
use pg_query::protobuf::ObjectType;

use super::ObjectRef;
use super::StatementKind;
use super::classify::other;
use super::object;
use super::object_of_names;
use super::strings;
use super::table::undo_create;
use crate::lock::LockMode;
use crate::sql::Ident;
use crate::sql::Sql;

pub(super) fn other_statement(node: &NodeEnum) -> StatementKind {
    let make =
        |what: &str, touches: Vec<(ObjectRef, LockMode)>, breaks: Option<&str>, undo: Option<Sql>, opaque: bool| {
            StatementKind::Other { what: what.to_owned(), touches, breaks: breaks.map(str::to_owned), undo, opaque }
        };
    match node {
        NodeEnum::InsertStmt(insert) => {
            make("INSERT", vec![(object(insert.relation.as_ref()), LockMode::RowExclusive)], None, None, false)
        }
        NodeEnum::DeleteStmt(delete) => {
            make("DELETE", vec![(object(delete.relation.as_ref()), LockMode::RowExclusive)], None, None, false)
        }
        NodeEnum::MergeStmt(merge) => {
            make("MERGE", vec![(object(merge.relation.as_ref()), LockMode::RowExclusive)], None, None, false)
        }
        NodeEnum::TruncateStmt(truncate) => {
            let tables = truncate.relations.iter().filter_map(|node| match node.node.as_ref() {
                Some(NodeEnum::RangeVar(relation)) => Some((object(Some(relation)), LockMode::AccessExclusive)),
                _ => None,
            });
            make("TRUNCATE", tables.collect(), Some("it removes every row at once"), None, false)
        }
        NodeEnum::DropStmt(drop) => match drop.remove_type() {
            ObjectType::ObjectTrigger | ObjectType::ObjectPolicy | ObjectType::ObjectRule => {
                let table = drop.objects.iter().filter_map(|node| match node.node.as_ref() {
                    Some(NodeEnum::List(list)) => {
                        let names = strings(&list.items);
                        object_of_names(names.get(..names.len().saturating_sub(1)).unwrap_or_default())
                    }
                    _ => None,
                });
                let touches = table.map(|table| (table, LockMode::AccessExclusive)).collect();
                make("DROP TRIGGER", touches, None, None, false)
            }
            ObjectType::ObjectSchema => {
                make("DROP SCHEMA", vec![], Some("running code may use what is in it"), None, false)
            }
            _ => make("DROP", vec![], Some("running code may use it"), None, false),
        },
        NodeEnum::CreateTrigStmt(trigger) => make(
            "CREATE TRIGGER",
            vec![(object(trigger.relation.as_ref()), LockMode::ShareRowExclusive)],
            None,
            None,
            false,
        ),
        NodeEnum::RuleStmt(rule) => {
            make("CREATE RULE", vec![(object(rule.relation.as_ref()), LockMode::AccessExclusive)], None, None, false)
        }
        NodeEnum::CreatePolicyStmt(policy) => {
            make("CREATE POLICY", vec![(object(policy.table.as_ref()), LockMode::AccessExclusive)], None, None, false)
        }
        NodeEnum::ViewStmt(view) => {
            let undo = (!view.replace).then(|| undo_create("DROP VIEW {}", &object(view.view.as_ref())));
            make("CREATE VIEW", vec![], None, undo, false)
        }
        NodeEnum::CreateSeqStmt(sequence) => {
            let undo = undo_create("DROP SEQUENCE {}", &object(sequence.sequence.as_ref()));
            make("CREATE SEQUENCE", vec![], None, Some(undo), false)
        }
        NodeEnum::CreateEnumStmt(create) => {
            let undo = object_of_names(&strings(&create.type_name)).map(|name| undo_create("DROP TYPE {}", &name));
            make("CREATE TYPE", vec![], None, undo, false)
        }
        NodeEnum::CreateDomainStmt(create) => {
            let undo = object_of_names(&strings(&create.domainname)).map(|name| undo_create("DROP DOMAIN {}", &name));
            make("CREATE DOMAIN", vec![], None, undo, false)
        }
        NodeEnum::CreateSchemaStmt(create) if !create.if_not_exists => {
            let name = ObjectRef { schema: None, name: create.schemaname.clone() };
            make("CREATE SCHEMA", vec![], None, Some(undo_create("DROP SCHEMA {}", &name)), false)
        }
        NodeEnum::CreateTableAsStmt(create) => {
            let name = create.into.as_ref().and_then(|into| into.rel.clone());
            let undo = name.as_ref().map(|name| {
                let template = match create.objtype() {
                    ObjectType::ObjectMatview => "DROP MATERIALIZED VIEW {}",
                    _ => "DROP TABLE {}",
                };
                undo_create(template, &object(Some(name)))
            });
            make("CREATE TABLE AS", vec![], None, undo.filter(|_| !create.if_not_exists), false)
        }
        // What a SET changes ends with its session; the way back has one of its own.
        NodeEnum::VariableSetStmt(set) if !set.name.is_empty() => {
            let undo = crate::sql!("RESET {}", Ident::new(set.name.as_str()));
            let plain = set.kind() != protobuf::VariableSetKind::VarSetMulti;
            make("SET", vec![], None, plain.then_some(undo), false)
        }
        NodeEnum::LockStmt(_) => make("LOCK TABLE", vec![], None, None, true),
        NodeEnum::DoStmt(_) => make("DO", vec![], None, None, true),
        NodeEnum::CallStmt(_) => make("CALL", vec![], None, None, true),
        NodeEnum::SelectStmt(_) => make("SELECT", vec![], None, None, true),
        NodeEnum::ReindexStmt(_) => {
            let why = "it keeps writers out while the index is built again; REINDEX … CONCURRENTLY by hand does not";
            make("REINDEX", vec![], Some(why), None, false)
        }
        NodeEnum::RefreshMatViewStmt(refresh) => {
            let mode = if refresh.concurrent { LockMode::Exclusive } else { LockMode::AccessExclusive };
            make("REFRESH MATERIALIZED VIEW", vec![(object(refresh.relation.as_ref()), mode)], None, None, false)
        }
        NodeEnum::ClusterStmt(cluster) => {
            let touches = vec![(object(cluster.relation.as_ref()), LockMode::AccessExclusive)];
            make("CLUSTER", touches, Some("it rewrites the whole table under ACCESS EXCLUSIVE"), None, false)
        }
        NodeEnum::AlterObjectSchemaStmt(alter) => {
            let touches = alter.relation.as_ref().map(|relation| (object(Some(relation)), LockMode::AccessExclusive));
            make("SET SCHEMA", touches.into_iter().collect(), Some("running code names the old schema"), None, false)
        }
        NodeEnum::AlterEnumStmt(alter) if !alter.old_val.is_empty() => {
            make("RENAME VALUE", vec![], Some("running code may use the old name"), None, false)
        }
        NodeEnum::CommentStmt(comment) => comment_statement(comment),
        NodeEnum::AlterTableStmt(alter) => {
            let touches = vec![(object(alter.relation.as_ref()), LockMode::AccessExclusive)];
            make("ALTER", touches, None, None, false)
        }
        other => {
            let what = format!("{:?}", other.to_ref());
            let what = what.split(['(', ' ', '{']).next().unwrap_or("statement").trim_end_matches("Stmt").to_owned();
            StatementKind::Other { what, touches: vec![], breaks: None, undo: None, opaque: false }
        }
    }
}

fn comment_statement(comment: &protobuf::CommentStmt) -> StatementKind {
    let names = match comment.object.as_ref().and_then(|object| object.node.as_ref()) {
        Some(NodeEnum::List(list)) => strings(&list.items),
        _ => Vec::new(),
    };
    let table = match comment.objtype() {
        ObjectType::ObjectTable => object_of_names(&names),
        ObjectType::ObjectColumn => object_of_names(names.get(..names.len().saturating_sub(1)).unwrap_or_default()),
        _ => None,
    };
    other("COMMENT", table.map(|table| (table, LockMode::ShareUpdateExclusive)).into_iter().collect(), None)
}
