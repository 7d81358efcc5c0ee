//! What a statement sets of something that is there, put back as the catalog has it.

use std::collections::BTreeSet;

use super::whole::grant;
use crate::catalog::Catalog;
use crate::catalog::Grant;
use crate::catalog::Table;
use crate::sql;
use crate::sql::DollarQuoted;
use crate::sql::Ident;
use crate::sql::Literal;
use crate::sql::Number;
use crate::sql::ParsedStatement;
use crate::sql::Rights;
use crate::sql::ServerText;
use crate::sql::Setting;
use crate::sql::Sql;
use crate::sql::dropped_function;
use crate::sql::replaced_function;
use crate::sql::rights;

/// What ALL PRIVILEGES on a table is.
const ALL: [&str; 7] = ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"];

/// Of a part of an ALTER TABLE.
pub(super) fn setting(table: &Table, setting: &Setting) -> Option<Sql> {
    Some(match setting {
        Setting::RowSecurity if table.row_security => sql!("ENABLE ROW LEVEL SECURITY"),
        Setting::RowSecurity => sql!("DISABLE ROW LEVEL SECURITY"),
        // What an owner is granted becomes a part of what it owns, and is not told from that afterwards.
        Setting::Owner { to } if has_rights(table, to.as_deref()) => return None,
        Setting::Owner { .. } => match &table.owner {
            Some(owner) => sql!("OWNER TO {}", Ident::new(owner.as_str())),
            // It is the role that plans.
            None => sql!("OWNER TO CURRENT_USER"),
        },
        Setting::Statistics { column } => {
            let target = table.column(column)?.statistics.map_or(-1, i64::from);
            sql!("ALTER COLUMN {} SET STATISTICS {}", Ident::new(column.as_str()), Number(target))
        }
    })
}

/// Whether a role was granted something on the table or on a column; of the role of the moment that can't be told.
fn has_rights(table: &Table, role: Option<&str>) -> bool {
    let grants = || table.grants.iter().chain(table.columns.iter().flat_map(|column| &column.grants));
    match role {
        Some(role) => grants().any(|it| it.grantee.as_deref() == Some(role)),
        None => grants().next().is_some(),
    }
}

/// Of a whole statement: rights, and a function that another one takes the place of.
pub(super) fn statement(catalog: &Catalog, statement: &ParsedStatement) -> Option<Sql> {
    if let Some(rights) = rights(statement) {
        return rights_on_tables(catalog, &rights);
    }
    let (name, types, procedure) = replaced_function(statement)?;
    let known = catalog.object("function", &name);
    let is_it = |function: &&crate::catalog::Function| function.types == types && function.procedure == procedure;
    match known.and_then(|object| object.functions.iter().find(is_it).map(|function| (object, function))) {
        Some((object, function)) => {
            let kind = if procedure { sql!("PROCEDURE") } else { sql!("FUNCTION") };
            Some(sql!("CREATE OR REPLACE {} {}{}", kind, object.name, function.definition))
        }
        None => dropped_function(statement),
    }
}

fn rights_on_tables(catalog: &Catalog, rights: &Rights) -> Option<Sql> {
    let mut privileges: BTreeSet<&str> = rights.privileges.iter().map(String::as_str).collect();
    if privileges.is_empty() {
        privileges.extend(ALL);
        if catalog.major() >= 17 {
            privileges.insert("MAINTAIN");
        }
    }
    let mut all = Vec::new();
    for name in &rights.tables {
        let table = catalog.resolve(name)?;
        for role in &rights.roles {
            let had: Vec<&Grant> = table.grants.iter().filter(|it| it.grantee == *role).collect();
            let has = |privilege: &str| had.iter().any(|it| it.privilege == privilege);
            if rights.granted {
                let new: Vec<&str> = privileges.iter().copied().filter(|privilege| !has(privilege)).collect();
                if !new.is_empty() {
                    all.push(revoke(table, &new, role.as_deref()));
                }
            } else if had.is_empty() && role.is_some() {
                // It may be the owner, whose rights are not in the catalog.
                return None;
            } else {
                let gone = had.iter().filter(|it| privileges.contains(it.privilege.as_str()));
                all.extend(gone.map(|it| sql!("{};", grant(it, None, &table.name))));
            }
        }
    }
    if all.is_empty() {
        return Some(sql!("/* the rights are as they were */"));
    }
    Some(sql!("DO {}", DollarQuoted(sql!("BEGIN {} END", Sql::join(all, " ")))))
}

/// What is granted to the owner changes nothing, and to revoke it would.
fn revoke(table: &Table, privileges: &[&str], role: Option<&str>) -> Sql {
    let privileges = Sql::join(privileges.iter().map(|it| sql!("{}", ServerText::from_server(*it))), ", ");
    let Some(role) = role else {
        return sql!("REVOKE {} ON {} FROM PUBLIC;", privileges, table.name);
    };
    sql!(
        "IF NOT EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = {}::pg_catalog.regclass AND pg_catalog.pg_get_userbyid(relowner) = {}) \
         THEN REVOKE {} ON {} FROM {}; END IF;",
        Literal(sql!("{}", table.name).to_string()),
        Literal(role.to_owned()),
        privileges,
        table.name,
        Ident::new(role)
    )
}
