//! SET TimeZone: which zone a file's statements run in from there on.

use pg_query::NodeEnum;
use pg_query::protobuf;
use pg_query::protobuf::VariableSetKind;

use super::Sql;

/// What a SET does to the session's time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimeZoneChange {
    /// It is this one from here on.
    To(String),
    /// It is the one that the session began with.
    Back,
    /// It can't be told from the text.
    Unclear,
}

/// What a statement does to the session's time zone, where it is a SET or RESET of it.
pub fn time_zone_change(statement: &Sql) -> Option<TimeZoneChange> {
    let parsed = pg_query::parse(statement.as_str(), 0).ok()?;
    let NodeEnum::VariableSetStmt(set) = parsed.protobuf.stmts.into_iter().next()?.stmt?.node? else { return None };
    if set.kind() == VariableSetKind::VarResetAll {
        return Some(TimeZoneChange::Back);
    }
    if !set.name.eq_ignore_ascii_case("timezone") {
        return None;
    }
    let text = match set.args.as_slice() {
        [node] => match node.node.as_ref() {
            Some(NodeEnum::AConst(protobuf::AConst { val: Some(protobuf::a_const::Val::Sval(text)), .. })) => {
                Some(text.sval.clone())
            }
            _ => None,
        },
        _ => None,
    };
    Some(match (set.kind(), text) {
        (VariableSetKind::VarSetDefault | VariableSetKind::VarReset, _) => TimeZoneChange::Back,
        (VariableSetKind::VarSetValue, Some(text)) => TimeZoneChange::To(text),
        _ => TimeZoneChange::Unclear,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_set_a_time_zone_is_seen() {
        let change = |text: &str| time_zone_change(&Sql::from_source(text));
        let to = |zone: &str| Some(TimeZoneChange::To(zone.to_owned()));
        assert_eq!(change("SET timezone = 'UTC'"), to("UTC"));
        assert_eq!(change("SET LOCAL TimeZone TO utc"), to("utc"));
        assert_eq!(change("SET TIME ZONE 'Europe/Berlin'"), to("Europe/Berlin"));
        assert_eq!(change("SET TIME ZONE DEFAULT"), Some(TimeZoneChange::Back));
        assert_eq!(change("RESET timezone"), Some(TimeZoneChange::Back));
        assert_eq!(change("RESET ALL"), Some(TimeZoneChange::Back));
        assert_eq!(change("SET TIME ZONE 2"), Some(TimeZoneChange::Unclear));
        assert_eq!(change("SET TIME ZONE INTERVAL '+02:00' HOUR TO MINUTE"), Some(TimeZoneChange::Unclear));
        assert_eq!(change("SET lock_timeout = '1s'"), None);
        assert_eq!(change("SELECT 1"), None);
    }
}
