//! Type changes for which the server touches neither a row nor an index.

use super::super::whole::array_of;
use super::NewType;
use crate::catalog::Column;
use crate::catalog::ConstraintKind;
use crate::catalog::Table;
use crate::sql::ServerText;
use crate::sql::Sql;
use crate::sql::SqlPart;

/// Whether the server changes the type without touching a row or an index.
///
/// Source: reference lint-rules A4, measured on 13 to 18; a CHECK, or an expression or partial index on the column, brings the work back. So
/// does any index where the operator class changes: from `timestamp` to `timestamptz` (measured on 13 to 18).
pub(crate) fn is_catalog_only(table: &Table, column: &Column, to: &NewType, time_zone: Option<&str>) -> bool {
    let hidden_work = table
        .constraints_on(&column.name)
        .any(|constraint| constraint.kind == ConstraintKind::Check && constraint.validated)
        || table.indexes_on(&column.name).any(|index| index.expression_or_predicate);
    let identity = to.using.as_ref().is_none_or(|using| using.as_column() == Some(&column.name));
    if hidden_work || !identity || to.collation.is_some() || to.array || column.collation.is_some() {
        return false;
    }
    let old = column.type_modifier;
    let (from, into) = (column.base_type.as_str(), to.base_type.as_str());
    let finer = |modifiers: &[i64]| match modifiers {
        [] => true,
        [size] => old >= 0 && *size >= i64::from(old),
        _ => false,
    };
    match (from, into, to.modifiers.as_slice()) {
        ("varchar" | "varbit", _, []) if from == into => true,
        ("varchar", "varchar", [size]) => old >= 0 && *size >= i64::from(old - 4),
        ("varbit", "varbit", [size]) => old >= 0 && *size >= i64::from(old),
        ("varchar", "text", _) | ("text", "varchar", []) | ("cidr", "inet", _) => true,
        ("numeric", "numeric", []) => true,
        ("numeric", "numeric", [precision, rest @ ..]) if old >= 4 => {
            let (old_precision, old_scale) = (i64::from((old - 4) >> 16), i64::from((old - 4) & 0x7ff));
            rest.first().copied().unwrap_or(0) == old_scale && *precision >= old_precision
        }
        ("timestamp" | "timestamptz" | "time" | "timetz", _, modifiers) if from == into => finer(modifiers),
        ("timestamp", "timestamptz", modifiers) | ("timestamptz", "timestamp", modifiers) => {
            finer(modifiers) && time_zone.is_some_and(is_utc) && table.indexes_on(&column.name).next().is_none()
        }
        _ => false,
    }
}

/// Zones that never had another offset than none. A name that is not known here is none of them: that costs a copy and nothing else.
fn is_utc(time_zone: &str) -> bool {
    let bare = time_zone.to_ascii_lowercase();
    let bare = bare.strip_prefix("etc/").unwrap_or(&bare);
    matches!(bare, "utc" | "uct" | "gmt" | "gmt0" | "gmt+0" | "gmt-0" | "zulu" | "universal" | "greenwich")
}

/// Changes the type in the model of a column.
pub(crate) fn retype_in(column: &mut Column, type_name: &Sql, base_type: &str, modifiers: &[i64]) {
    let mut text = String::new();
    type_name.write_sql(&mut text);
    column.type_name = ServerText::from_server(text.as_str());
    column.base_type = if text.ends_with(']') { array_of(base_type) } else { base_type.to_owned() };
    column.type_modifier = super::super::add_column::type_modifier(base_type, modifiers);
}
