//! Names that the server gives to indexes and constraints where none is written.
//!
//! Source: PostgreSQL's makeObjectName, ChooseRelationName, ChooseIndexName and ChooseConstraintName; measured on 13 to 18. Lengths are those of
//! UTF-8.

use std::collections::BTreeSet;

use super::Catalog;
use super::Table;
use crate::sql::Ident;
use crate::sql::MAX_IDENT_BYTES;
use crate::sql::TableName;
use crate::sql::cut;

/// What a name ends in, which says what it is the name of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// An index of no constraint.
    Index,
    /// UNIQUE.
    Unique,
    /// PRIMARY KEY.
    PrimaryKey,
    /// EXCLUDE.
    Exclude,
    /// CHECK.
    Check,
    /// FOREIGN KEY.
    ForeignKey,
    /// NOT NULL, PostgreSQL 18 and up.
    NotNull,
    /// The sequence of a `serial` or an identity column.
    Sequence,
}

impl Label {
    fn text(self) -> &'static str {
        match self {
            Label::Index => "idx",
            Label::Unique => "key",
            Label::PrimaryKey => "pkey",
            Label::Exclude => "excl",
            Label::Check => "check",
            Label::ForeignKey => "fkey",
            Label::NotNull => "not_null",
            Label::Sequence => "seq",
        }
    }

    /// What it must differ from: (relations, constraints) of the schema.
    fn differs_from(self) -> (bool, bool) {
        match self {
            Label::Index | Label::Sequence => (true, false),
            Label::Unique | Label::PrimaryKey | Label::Exclude => (true, true),
            Label::Check | Label::ForeignKey | Label::NotNull => (false, true),
        }
    }
}

/// The names that are taken, and the choice of new ones. A name that was chosen is taken.
#[derive(Clone, Debug, Default)]
pub struct Names {
    relations: BTreeSet<TableName>,
    constraints: BTreeSet<TableName>,
}

impl Names {
    /// The names that are taken in a schema of this catalog.
    pub fn of(catalog: &Catalog) -> Names {
        let mut names = Names::default();
        for table in &catalog.tables {
            names.take(table);
        }
        for object in catalog.objects.iter().filter(|object| ["sequence", "composite"].contains(&object.kind.as_str()))
        {
            names.relations.insert(object.name.clone());
        }
        names
    }

    fn take(&mut self, table: &Table) {
        let beside = |name: &str| TableName { schema: table.name.schema.clone(), name: Ident::new(name) };
        self.relations.insert(table.name.clone());
        self.relations.extend(table.indexes.iter().map(|index| beside(&index.name)));
        self.constraints.extend(table.constraints.iter().map(|constraint| beside(&constraint.name)));
    }

    /// A name that is free again: its constraint goes, and the index behind it.
    pub fn free(&mut self, name: &TableName) {
        self.relations.remove(name);
        self.constraints.remove(name);
    }

    /// A name that something else gets.
    pub fn take_relation(&mut self, name: &TableName) {
        self.relations.insert(name.clone());
    }

    /// The name that the server gives to a new index or constraint of a table.
    ///
    /// `columns` are the columns that the name is made of: for an index and what an index is behind,
    /// [`column_names`](crate::sql::IndexDefinition::column_names) of it; for a FOREIGN KEY and NOT NULL the columns of the table; for a CHECK
    /// the one column that it names, none where it names several or none at all. A PRIMARY KEY's name is made of the table's alone.
    pub fn choose(&mut self, table: &TableName, columns: &[String], label: Label) -> Ident {
        let (relations, constraints) = label.differs_from();
        let full = |name: &str| TableName { schema: table.schema.clone(), name: Ident::new(name) };
        let taken = |name: &str| {
            let full = full(name);
            relations && self.relations.contains(&full) || constraints && self.constraints.contains(&full)
        };
        let chosen = full(&free_name(table.name.as_str(), columns, label, taken));
        if relations {
            self.relations.insert(chosen.clone());
        }
        if constraints {
            self.constraints.insert(chosen.clone());
        }
        chosen.name
    }
}

/// The first name of the server's for a new index or constraint that is not taken. `columns` as [`Names::choose`] has them.
pub(crate) fn free_name(table: &str, columns: &[String], label: Label, taken: impl Fn(&str) -> bool) -> String {
    let addition = match label {
        Label::PrimaryKey => None,
        Label::Index
        | Label::Unique
        | Label::Exclude
        | Label::Check
        | Label::ForeignKey
        | Label::NotNull
        | Label::Sequence => addition(columns),
    };
    let mut name = object_name(table, addition.as_deref(), label.text());
    let mut pass = 0;
    while taken(&name) {
        pass += 1;
        name = object_name(table, addition.as_deref(), &format!("{}{pass}", label.text()));
    }
    name
}

/// The columns' names, joined; what lies behind the 64th byte is left out.
fn addition(columns: &[String]) -> Option<String> {
    let mut all = String::new();
    for column in columns {
        if !all.is_empty() {
            all.push('_');
        }
        all.push_str(column);
        if all.len() > MAX_IDENT_BYTES {
            break;
        }
    }
    (!all.is_empty()).then_some(all)
}

/// `first_second_label` in at most 63 bytes: what is too long is cut from the longer one of the first two.
pub fn object_name(first: &str, second: Option<&str>, label: &str) -> String {
    let room = MAX_IDENT_BYTES - label.len() - 1 - usize::from(second.is_some());
    let (mut one, mut two) = (first.len(), second.map_or(0, str::len));
    while one + two > room {
        if one > two {
            one -= 1;
        } else {
            two -= 1;
        }
    }
    let first = cut(first, one);
    match second {
        Some(second) => format!("{first}_{}_{label}", cut(second, two)),
        None => format!("{first}_{label}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Constraint;
    use crate::catalog::ConstraintKind;
    use crate::catalog::Object;
    use crate::sql::ServerText;

    const LONG: &str = "a_very_long_table_name_that_has_sixty_three_bytes_exactly_01234";

    fn choose(names: &mut Names, table: &str, columns: &[&str], label: Label, expected: &str) {
        let columns: Vec<String> = columns.iter().map(|&column| column.to_owned()).collect();
        assert_eq!(names.choose(&TableName::new("public", table), &columns, label).as_str(), expected);
    }

    #[test]
    fn names_are_those_that_the_servers_gave() {
        let mut names = Names::default();
        let mut check = |table, columns: &[&str], label, expected| choose(&mut names, table, columns, label, expected);
        check("t", &["a"], Label::Index, "t_a_idx");
        check("t", &["a"], Label::Index, "t_a_idx1");
        check("t", &["a"], Label::Index, "t_a_idx2");
        check("t", &["a", "b"], Label::Index, "t_a_b_idx");
        check("u", &["a", "b"], Label::Unique, "u_a_b_key");
        check("u", &["a"], Label::PrimaryKey, "u_pkey");
        check("u", &["expr", "lower"], Label::Exclude, "u_expr_lower_excl");
        check("u", &["a"], Label::Check, "u_a_check");
        check("u", &[], Label::Check, "u_check");
        check("u", &[], Label::Check, "u_check1");
        check("u", &["a", "b"], Label::ForeignKey, "u_a_b_fkey");
        check("u", &["a"], Label::ForeignKey, "u_a_fkey");
        check("u", &["a"], Label::ForeignKey, "u_a_fkey1");
        check("u", &["a"], Label::NotNull, "u_a_not_null");
    }

    #[test]
    fn long_names_are_cut_as_the_servers_cut_them() {
        let mut names = Names::default();
        let mut check = |table, columns: &[&str], label, expected| choose(&mut names, table, columns, label, expected);
        check(LONG, &["v"], Label::Index, "a_very_long_table_name_that_has_sixty_three_bytes_exactly_v_idx");
        check(LONG, &["v"], Label::Index, "a_very_long_table_name_that_has_sixty_three_bytes_exactl_v_idx1");
        check(LONG, &["v", "w"], Label::Unique, "a_very_long_table_name_that_has_sixty_three_bytes_exact_v_w_key");
        check(LONG, &["id"], Label::PrimaryKey, "a_very_long_table_name_that_has_sixty_three_bytes_exactly__pkey");
        check(LONG, &["w"], Label::Check, "a_very_long_table_name_that_has_sixty_three_bytes_exact_w_check");
        check(LONG, &["w"], Label::Check, "a_very_long_table_name_that_has_sixty_three_bytes_exac_w_check1");
        check(LONG, &[], Label::Check, "a_very_long_table_name_that_has_sixty_three_bytes_exactly_check");
        check(LONG, &["id"], Label::NotNull, "a_very_long_table_name_that_has_sixty_three_bytes_e_id_not_null");
        let column = "long_column_name_that_is_really_quite_long_indeed_0123456789abc";
        check("t", &[column], Label::Index, "t_long_column_name_that_is_really_quite_long_indeed_0123456_idx");
        let (a, b) = ("a".repeat(40), "b".repeat(41));
        let expected = "longcols_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_bbbbbbbbb_idx";
        check("longcols", &[&a, &b, "cccccccccccccccccccc"], Label::Index, expected);
    }

    #[test]
    fn a_character_is_never_cut_in_two() {
        let mut names = Names::default();
        let (table, column) = ("é".repeat(30), "ü".repeat(31));
        let mut check = |columns: &[&str], label, expected| choose(&mut names, &table, columns, label, expected);
        check(&[&column], Label::Index, "éééééééééééééé_üüüüüüüüüüüüüü_idx");
        check(&["id", &column], Label::Index, "éééééééééééééé_id_üüüüüüüüüüüüü_idx");
        check(&["id", &column], Label::Unique, "éééééééééééééé_id_üüüüüüüüüüüüü_key");
        check(&[], Label::PrimaryKey, "ééééééééééééééééééééééééééééé_pkey");
        check(&["id"], Label::NotNull, "ééééééééééééééééééééééééé_id_not_null");
    }

    #[test]
    fn a_taken_name_gets_a_number() {
        let check = |name: &str| Constraint {
            name: name.to_owned(),
            kind: ConstraintKind::Check,
            columns: Vec::new(),
            definition: ServerText::default(),
            validated: true,
            deferrable: false,
            index: None,
            references: None,
            referenced_columns: Vec::new(),
            inherited: false,
            comment: None,
        };
        let object = |kind: &str, name: &str| Object {
            kind: kind.to_owned(),
            name: TableName::new("public", name),
            volatility: None,
            constrained: false,
            labels: Vec::new(),
            functions: Vec::new(),
        };
        let mut table = Table::empty(TableName::new("public", "u3"));
        table.constraints = ["u3_pkey", "u3_a_idx", "u3_b_not_null"].map(check).to_vec();
        let catalog = Catalog {
            tables: ["u2_a_key", "u2_a_check"]
                .map(|name| Table::empty(TableName::new("public", name)))
                .into_iter()
                .chain([table])
                .collect(),
            objects: vec![
                object("sequence", "u2_a_idx"),
                object("composite", "u2_a_idx1"),
                object("type", "u2_a_idx2"),
            ],
            ..Catalog::default()
        };
        let mut names = Names::of(&catalog);
        choose(&mut names, "u2", &["a"], Label::Index, "u2_a_idx2");
        choose(&mut names, "u2", &["a"], Label::Unique, "u2_a_key1");
        choose(&mut names, "u2", &["a"], Label::Check, "u2_a_check");
        // An index of no constraint may be named as a constraint is, a primary key not.
        choose(&mut names, "u3", &["a"], Label::Index, "u3_a_idx");
        choose(&mut names, "u3", &[], Label::PrimaryKey, "u3_pkey1");
        choose(&mut names, "u3", &["b"], Label::NotNull, "u3_b_not_null1");
    }
}
