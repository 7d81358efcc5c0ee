//! What a part of a statement names: relations, columns, functions.

use serde_json::Value;

use crate::sql::ObjectRef;

/// Functions whose result hangs on all rows at once. Source: `pg_proc` with `prokind = 'a'`, by name.
const AGGREGATES: &[&str] = &[
    "any_value",
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "every",
    "json_agg",
    "json_agg_strict",
    "json_object_agg",
    "json_object_agg_strict",
    "json_object_agg_unique",
    "jsonb_agg",
    "jsonb_agg_strict",
    "jsonb_object_agg",
    "jsonb_object_agg_strict",
    "max",
    "min",
    "mode",
    "percentile_cont",
    "percentile_disc",
    "range_agg",
    "range_intersect_agg",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "string_agg",
    "sum",
    "var_pop",
    "var_samp",
    "variance",
    "xmlagg",
];

/// What a part of a statement names.
#[derive(Default)]
pub(super) struct Found {
    pub relations: Vec<ObjectRef>,
    pub functions: Vec<(Option<String>, String)>,
    pub columns: Vec<String>,
    pub whole_row: bool,
    pub windows: bool,
}

impl Found {
    fn walk(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.walk(item)),
            Value::Object(fields) => fields.iter().for_each(|(key, field)| self.node(key, field)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn node(&mut self, key: &str, field: &Value) {
        match key {
            "RangeVar" => {
                self.relations.extend(super::super::expr::relation_of(field));
            }
            "ColumnRef" => {
                let last =
                    field["fields"].as_array().and_then(|fields| fields.last()).and_then(super::super::expr::string_of);
                match last {
                    Some(name) => self.columns.push(name),
                    None => self.whole_row = true,
                }
            }
            "FuncCall" => {
                let names = field["funcname"].as_array().into_iter().flatten();
                let names: Vec<String> = names.filter_map(super::super::expr::string_of).collect();
                if let Some((name, schema)) = names.split_last() {
                    self.functions.push((schema.last().cloned(), name.clone()));
                }
                self.windows |= !field["over"].is_null();
                self.walk(field);
            }
            _ => self.walk(field),
        }
    }

    /// Whether it calls a function whose result hangs on all rows at once.
    pub fn aggregates(&self) -> bool {
        self.functions.iter().any(|(_, name)| AGGREGATES.contains(&name.as_str()))
    }

    pub fn of(nodes: &impl serde::Serialize) -> Found {
        let mut found = Found::default();
        if let Ok(value) = serde_json::to_value(nodes) {
            found.walk(&value);
        }
        found
    }
}
