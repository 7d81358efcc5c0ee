//! Differences of schemas that are made by hand. What a server makes of them is proven on servers.

use std::collections::BTreeSet;

use super::*;
use crate::sql::ServerText;
use crate::sql::TableName;

fn text(text: &str) -> ServerText {
    ServerText::from_server(text)
}

fn users() -> TableName {
    TableName::new("app", "users")
}

fn column(data_type: &str) -> Column {
    Column {
        data_type: text(data_type),
        collation: None,
        not_null: None,
        generated: None,
        identity: None,
        storage: None,
        usual_storage: text("PLAIN"),
        compression: None,
        statistics: None,
        options: Options::new(),
        foreign_options: Options::new(),
        inherited: false,
        local: true,
    }
}

/// A schema `app` with a table `users`, and its columns.
fn with_users(columns: &[(&str, Column)]) -> DatabaseSchema {
    let mut schema =
        DatabaseSchema { server_version: 150_004, current_user: "me".to_owned(), ..DatabaseSchema::default() };
    schema.objects.insert(ObjectId::global(Kind::Schema, "app"), Object::new(Body::Schema));
    let table = Table {
        form: TableForm::Ordinary,
        unlogged: false,
        access_method: Some(Ident::new("heap")),
        of_type: None,
        options: Options::new(),
        row_security: false,
        forced_row_security: false,
        columns: columns.iter().map(|(name, _)| Ident::new(*name)).collect(),
        inherits: Vec::new(),
    };
    let id = ObjectId::within(Kind::Table, "app", "users");
    put(&mut schema, id.clone(), Body::Table(table), &[ObjectId::global(Kind::Schema, "app")]);
    for (name, column) in columns {
        let column_id = ObjectId::on(Kind::Column, &users(), *name);
        put(&mut schema, column_id, Body::Column(Box::new(column.clone())), std::slice::from_ref(&id));
    }
    schema
}

fn put(schema: &mut DatabaseSchema, id: ObjectId, body: Body, requires: &[ObjectId]) {
    let object = Object { requires: requires.iter().cloned().collect(), ..Object::new(body) };
    schema.objects.insert(id, object);
}

fn put_view(schema: &mut DatabaseSchema, name: &str, query: &str, requires: &[ObjectId]) -> ObjectId {
    let id = ObjectId::within(Kind::View, "app", name);
    let view = View { query: text(query), options: Options::new(), columns: vec![(Ident::new("id"), text("integer"))] };
    put(schema, id.clone(), Body::View(view), requires);
    id
}

fn script(expected: &DatabaseSchema, found: &DatabaseSchema) -> String {
    let todo = difference(expected, found, Compare::default());
    let mut script: String = todo.preamble().iter().map(|statement| format!("{statement};\n")).collect();
    for change in &todo.changes {
        let loses = if change.loses_rows { " (loses rows)" } else { "" };
        script.push_str(&format!("-- {}{loses}\n", change.sentence));
        script.extend(change.statements.iter().map(|statement| format!("{statement};\n")));
    }
    script
}

#[test]
fn the_same_has_no_difference() {
    let schema = with_users(&[("id", column("integer"))]);
    assert!(difference(&schema, &schema, Compare { owners: true }).is_empty());
}

#[test]
fn a_view_makes_way_for_the_type_of_its_column() {
    let make = |data_type: &str| {
        let mut schema = with_users(&[("id", column(data_type))]);
        let id = ObjectId::on(Kind::Column, &users(), "id");
        let first = put_view(&mut schema, "ids", " SELECT users.id FROM app.users", &[id]);
        put_view(&mut schema, "again", " SELECT ids.id FROM app.ids", &[first]);
        schema
    };
    insta::assert_snapshot!(script(&make("bigint"), &make("integer")));
}

#[test]
fn a_value_leaves_an_enum_and_no_row_is_lost() {
    let make = |values: &[&str]| {
        let mut schema = with_users(&[("mood", column("app.mood"))]);
        let mood = ObjectId::within(Kind::Type, "app", "mood");
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        put(&mut schema, mood.clone(), Body::Enum(values), &[ObjectId::global(Kind::Schema, "app")]);
        let column = ObjectId::on(Kind::Column, &users(), "mood");
        let default = ObjectId { kind: Kind::Default, ..column.clone() };
        put(&mut schema, default, Body::Default(text("'sad'::app.mood")), &[column.clone(), mood.clone()]);
        if let Some(object) = schema.objects.get_mut(&column) {
            object.requires.insert(mood);
        }
        schema
    };
    insta::assert_snapshot!(script(&make(&["sad", "glad"]), &make(&["sad", "so so", "glad"])));
    insta::assert_snapshot!(script(&make(&["none", "sad", "so so", "glad"]), &make(&["sad", "glad"])));
}

#[test]
fn what_should_not_be_there_goes_and_what_is_missing_is_made() {
    let mut not_null = column("text");
    not_null.not_null = Some(NotNull { name: None, no_inherit: false, validated: true });
    let mut expected = with_users(&[("id", column("integer")), ("email", not_null)]);
    let email = ObjectId::on(Kind::Column, &users(), "email");
    let table = ObjectId::within(Kind::Table, "app", "users");
    put(&mut expected, ObjectId { kind: Kind::Default, ..email.clone() }, Body::Default(text("''::text")), &[email]);
    let reader = Grantee::Role(Ident::new("reader"));
    let grant = |privilege: &str| Grant { grantee: reader.clone(), grantable: false, privilege: text(privilege) };
    let object = expected.objects.get_mut(&table).unwrap();
    object.comment = Some("it's people".to_owned());
    object.grants = BTreeSet::from([grant("SELECT"), grant("INSERT")]);
    let mut found = with_users(&[("id", column("integer")), ("name", column("text"))]);
    found.objects.get_mut(&table).unwrap().grants = BTreeSet::from([grant("SELECT"), grant("DELETE")]);
    insta::assert_snapshot!(script(&expected, &found));
    insta::assert_snapshot!(script(&expected, &DatabaseSchema { current_user: "me".to_owned(), ..Default::default() }));
}

#[test]
fn owners_count_only_where_that_is_asked() {
    let mut expected = with_users(&[]);
    let mut found = expected.clone();
    let table = ObjectId::within(Kind::Table, "app", "users");
    expected.objects.get_mut(&table).unwrap().owner = Some(Ident::new("one"));
    found.objects.get_mut(&table).unwrap().owner = Some(Ident::new("other"));
    assert!(difference(&expected, &found, Compare { owners: false }).is_empty());
    let todo = difference(&expected, &found, Compare { owners: true });
    let said: Vec<&str> = todo.changes.iter().map(|change| change.sentence.as_str()).collect();
    assert_eq!(said, ["table app.users belongs to other, and should belong to one"]);
}

/// Before PostgreSQL 18 a NOT NULL has no name, so one of 18 can't differ in it.
#[test]
fn names_of_not_null_do_not_differ_between_an_old_and_a_new_server() {
    let make = |version: u32, name: Option<&str>| {
        let mut id = column("integer");
        id.not_null = Some(NotNull { name: name.map(Ident::new), no_inherit: false, validated: true });
        DatabaseSchema { server_version: version, ..with_users(&[("id", id)]) }
    };
    let (old, new, other) = (make(150_000, None), make(180_000, Some("there")), make(180_000, Some("here")));
    assert!(difference(&old, &new, Compare::default()).is_empty());
    assert!(difference(&new, &old, Compare::default()).is_empty());
    assert!(script(&new, &other).contains("RENAME CONSTRAINT \"here\" TO \"there\""));
}

/// Two functions that need each other can't be sorted; it ends all the same.
#[test]
fn a_ring_of_requirements_is_no_trap() {
    let mut expected = with_users(&[]);
    let one = ObjectId::within(Kind::View, "app", "one");
    let other = ObjectId::within(Kind::View, "app", "other");
    put_view(&mut expected, "one", "SELECT 1", std::slice::from_ref(&other));
    put_view(&mut expected, "other", "SELECT 2", std::slice::from_ref(&one));
    assert_eq!(difference(&expected, &with_users(&[]), Compare::default()).changes.len(), 2);
    assert_eq!(difference(&with_users(&[]), &expected, Compare::default()).changes.len(), 2);
}

#[test]
fn what_is_ignored_goes_with_all_that_hangs_on_it() {
    let make = || {
        let mut schema = with_users(&[("id", column("integer"))]);
        let index = ObjectId::within(Kind::Index, "app", "users_id");
        let body =
            Index { definition: text("CREATE INDEX users_id ON app.users (id)"), statistics: Default::default() };
        put(&mut schema, index, Body::Index(body), &[ObjectId::within(Kind::Table, "app", "users")]);
        schema
    };
    let left = |patterns: &[&str]| {
        let mut schema = make();
        let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        schema.ignore(&patterns);
        schema.objects.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(left(&[]), "schema app, table app.users, column app.users.id, index app.users_id");
    assert_eq!(left(&["index *"]), "schema app, table app.users, column app.users.id");
    assert_eq!(left(&["app.users"]), "schema app");
    assert_eq!(left(&["schema app"]), "");
}
