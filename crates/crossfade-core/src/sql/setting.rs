//! What a statement sets of something that may be there before it, as far as the catalog knows how it was.

use pg_query::NodeEnum;
use pg_query::protobuf;
use pg_query::protobuf::AlterTableType;
use pg_query::protobuf::FunctionParameterMode;
use pg_query::protobuf::GrantTargetType;
use pg_query::protobuf::ObjectType;
use pg_query::protobuf::RoleSpecType;

use super::ObjectRef;
use super::ParsedStatement;
use super::statement::object;
use super::statement::object_of_names;
use super::statement::strings;

/// What one part of an ALTER TABLE sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Row security.
    RowSecurity,
    /// The owner.
    Owner {
        /// The new one; none where it is the role of the moment.
        to: Option<String>,
    },
    /// A column's statistics target.
    Statistics {
        /// The column.
        column: String,
    },
}

impl Setting {
    pub(super) fn of(command: &protobuf::AlterTableCmd) -> Option<Setting> {
        match command.subtype() {
            AlterTableType::AtEnableRowSecurity | AlterTableType::AtDisableRowSecurity => Some(Setting::RowSecurity),
            AlterTableType::AtChangeOwner => Some(Setting::Owner {
                to: command.newowner.as_ref().map(|role| role.rolename.clone()).filter(|name| !name.is_empty()),
            }),
            // A column of an index goes by its number.
            AlterTableType::AtSetStatistics if !command.name.is_empty() => {
                Some(Setting::Statistics { column: command.name.clone() })
            }
            _ => None,
        }
    }
}

/// Rights on whole tables that are granted or revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Whether they are granted.
    pub granted: bool,
    /// The tables.
    pub tables: Vec<ObjectRef>,
    /// What for, in upper case; nothing is ALL PRIVILEGES.
    pub privileges: Vec<String>,
    /// Whom; none is PUBLIC.
    pub roles: Vec<Option<String>>,
}

/// The rights that a statement grants or revokes, where it is about whole tables by name, roles by name, and no grant option.
pub fn rights(statement: &ParsedStatement) -> Option<Rights> {
    let NodeEnum::GrantStmt(grant) = node_of(statement)? else { return None };
    let plain = grant.objtype() == ObjectType::ObjectTable
        && grant.targtype() == GrantTargetType::AclTargetObject
        && !grant.grant_option
        && grant.grantor.is_none();
    if !plain {
        return None;
    }
    let tables = grant.objects.iter().map(|node| match node.node.as_ref() {
        Some(NodeEnum::RangeVar(relation)) => Some(object(Some(relation))),
        _ => None,
    });
    let privileges = grant.privileges.iter().map(|node| match node.node.as_ref() {
        Some(NodeEnum::AccessPriv(right)) if right.cols.is_empty() => Some(right.priv_name.to_uppercase()),
        _ => None,
    });
    let roles = grant.grantees.iter().map(|node| match node.node.as_ref() {
        Some(NodeEnum::RoleSpec(role)) => match role.roletype() {
            RoleSpecType::RolespecCstring => Some(Some(role.rolename.clone())),
            RoleSpecType::RolespecPublic => Some(None),
            _ => None,
        },
        _ => None,
    });
    Some(Rights {
        granted: grant.is_grant,
        tables: tables.collect::<Option<_>>()?,
        privileges: privileges.collect::<Option<_>>()?,
        roles: roles.collect::<Option<_>>()?,
    })
}

/// The function that a CREATE OR REPLACE makes: its name, the types that it is known by as the catalog names them, and whether it is a procedure.
pub fn replaced_function(statement: &ParsedStatement) -> Option<(ObjectRef, Vec<String>, bool)> {
    let NodeEnum::CreateFunctionStmt(create) = node_of(statement)? else { return None };
    if !create.replace {
        return None;
    }
    let mut types = Vec::new();
    for parameter in &create.parameters {
        let Some(NodeEnum::FunctionParameter(parameter)) = parameter.node.as_ref() else { return None };
        match parameter.mode() {
            FunctionParameterMode::FuncParamOut | FunctionParameterMode::FuncParamTable if create.is_procedure => {
                return None;
            }
            FunctionParameterMode::FuncParamOut | FunctionParameterMode::FuncParamTable => {}
            _ => types.push(type_name(parameter.arg_type.as_ref()?)?),
        }
    }
    Some((object_of_names(&strings(&create.funcname))?, types, create.is_procedure))
}

/// The view that a CREATE OR REPLACE makes, where it is not the session's own.
pub fn replaced_view(statement: &ParsedStatement) -> Option<ObjectRef> {
    match node_of(statement)? {
        NodeEnum::ViewStmt(create) if create.replace => {
            let view = create.view?;
            (view.relpersistence != "t").then(|| object(Some(&view)))
        }
        _ => None,
    }
}

/// A type as the catalog names it, without its schema: `int4`, `text[]`.
pub(super) fn type_name(found: &protobuf::TypeName) -> Option<String> {
    let array = if found.array_bounds.is_empty() { "" } else { "[]" };
    Some(format!("{}{array}", strings(&found.names).pop()?))
}

fn node_of(statement: &ParsedStatement) -> Option<NodeEnum> {
    let parsed = pg_query::parse(statement.text.as_str(), 0).ok()?;
    parsed.protobuf.stmts.into_iter().next()?.stmt?.node
}

#[cfg(test)]
mod tests {
    use super::super::parse_file;
    use super::*;

    #[test]
    fn rights_on_tables_are_read_and_others_are_not() {
        let read = |text: &str| {
            let file = parse_file(text).expect("it parses");
            rights(&file.statements[0]).map_or_else(|| "none".to_owned(), |rights| format!("{rights:?}"))
        };
        let texts = [
            "GRANT SELECT, Insert ON s.a, \"B\" TO app, PUBLIC",
            "REVOKE ALL ON a FROM app",
            "GRANT SELECT (id) ON a TO app",
            "GRANT SELECT ON a TO app WITH GRANT OPTION",
            "GRANT SELECT ON ALL TABLES IN SCHEMA s TO app",
            "GRANT SELECT ON a TO CURRENT_USER",
            "GRANT USAGE ON SEQUENCE a TO app",
            "GRANT owner TO app",
        ];
        insta::assert_snapshot!(texts.map(read).join("\n"));
    }

    #[test]
    fn a_replaced_view_is_none_of_the_session() {
        let read = |text: &str| {
            let file = parse_file(text).expect("it parses");
            replaced_view(&file.statements[0]).map(|name| name.to_string())
        };
        assert_eq!(read("CREATE OR REPLACE VIEW s.\"V\" AS SELECT 1 AS a").as_deref(), Some("s.V"));
        assert_eq!(read("CREATE VIEW v AS SELECT 1 AS a"), None);
        assert_eq!(read("CREATE OR REPLACE TEMP VIEW v AS SELECT 1 AS a"), None);
    }

    #[test]
    fn a_replaced_function_is_known_by_what_a_caller_gives() {
        let read = |text: &str| {
            let file = parse_file(text).expect("it parses");
            replaced_function(&file.statements[0]).map(|(name, types, _)| format!("{name}({})", types.join(", ")))
        };
        let text =
            "CREATE OR REPLACE FUNCTION s.f(a int, INOUT b text[], OUT c text) RETURNS record LANGUAGE sql AS ''";
        assert_eq!(read(text).as_deref(), Some("s.f(int4, text[])"));
        assert_eq!(read("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS ''"), None);
    }
}
