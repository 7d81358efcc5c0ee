//! Reads an ugly schema from every server version at hand.
//!
//! `CROSSFADE_PG_BINS` lists the folders of the servers' binaries, separated by colons; without it those in the usual
//! place are taken. The schema stands at the end: a part for every version, and two for what came with 15 and 18.

use std::path::Path;
use std::path::PathBuf;

use crossfade::postgres::introspect;
use crossfade::scratch::ScratchOptions;
use crossfade::scratch::ScratchServer;
use crossfade_core::catalog::Catalog;
use crossfade_core::catalog::Column;
use crossfade_core::catalog::Constraint;
use crossfade_core::catalog::ConstraintKind;
use crossfade_core::catalog::Index;
use crossfade_core::catalog::Object;
use crossfade_core::catalog::Table;
use crossfade_core::catalog::TableKind;
use crossfade_core::catalog::Trigger;
use crossfade_core::catalog::Volatility::Immutable;
use crossfade_core::catalog::Volatility::Stable;
use crossfade_core::catalog::Volatility::Volatile;
use crossfade_core::sql::ServerText;
use crossfade_core::sql::TableName;
use tokio_postgres::Client;
use tokio_postgres::NoTls;

type TestResult = Result<(), Box<dyn std::error::Error>>;

const ODD: &str = "odd \"schema\"";
const LONG: &str = "éééééééééééééééééééééééééééééé_63";

#[tokio::test(flavor = "multi_thread")]
async fn an_ugly_schema_is_read_field_by_field() -> TestResult {
    let folders = binaries();
    assert!(!folders.is_empty(), "no server's binaries found: set CROSSFADE_PG_BINS");
    for folder in folders {
        let server = ScratchServer::start(ScratchOptions::new(&folder))?;
        let major = server.major_version();
        let client = connect(&server.url("postgres")).await?;
        client.batch_execute(ALL).await?;
        if major >= 15 {
            client.batch_execute(FROM_15).await?;
        }
        if major >= 18 {
            client.batch_execute(FROM_18).await?;
        }
        client
            .batch_execute("SET search_path = \"$user\", public, pg_temp, pg_catalog; SET TimeZone = 'Asia/Tokyo'")
            .await?;
        let catalog = introspect(&client, "crossfade").await?;

        assert_eq!(catalog.server_version / 10_000, major);
        assert_eq!((catalog.block_size, catalog.time_zone.as_str()), (8192, "Asia/Tokyo"));
        assert_eq!(catalog.search_path, ["public"]);
        assert_eq!(catalog.other_sessions, 0);
        check_relations(&catalog);
        check_columns(&catalog);
        check_attachments(&catalog);
        check_dependents(&catalog, major);
        check_objects(&catalog);
        if major >= 18 {
            check_from_18(&catalog);
        }
        check_settings_are_back(&client).await?;
        check_ordinary_role(&server, &catalog).await?;
    }
    Ok(())
}

fn binaries() -> Vec<PathBuf> {
    if let Some(folders) = std::env::var_os("CROSSFADE_PG_BINS") {
        return std::env::split_paths(&folders).collect();
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions.map(|version| version.path().join("bin")).filter(|bin: &PathBuf| has_server(bin)).collect()
}

fn has_server(bin: &Path) -> bool {
    bin.join("initdb").exists() && bin.join("postgres").exists()
}

async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

fn check_relations(catalog: &Catalog) {
    let names: Vec<&str> = catalog.tables.iter().map(|table| table.name.name.as_str()).collect();
    for absent in ["journal", "scrap", "pg_class"] {
        assert!(!names.contains(&absent), "{absent} is not the user's");
    }
    let users = table(catalog, "public", "users");
    assert_eq!(
        (users.kind, users.fill_factor, users.access_method.as_deref()),
        (TableKind::Table, Some(70), Some("heap"))
    );
    assert_eq!(table(catalog, "public", "active_users").kind, TableKind::View);
    assert_eq!(table(catalog, "public", "counted").kind, TableKind::MaterializedView);

    let rows = |name| {
        let table = table(catalog, "public", name);
        (table.has_rows, table.blocks > 0)
    };
    assert_eq!(rows("base"), (false, false));
    assert_eq!(rows("emptied"), (false, true));
    assert_eq!(rows("one_row"), (true, true));
    let big = table(catalog, "public", "big");
    assert_eq!((big.has_rows, big.estimated_rows), (true, 50_000));

    let (events, leaf) = (table(catalog, "public", "events"), table(catalog, "public", "events_2024_rest"));
    assert_eq!((events.kind, &events.partition_of), (TableKind::Partitioned, &None));
    assert_eq!((events.has_rows, events.estimated_rows), (true, 1000));
    assert!(events.blocks > leaf.blocks && leaf.blocks > 0);
    assert_eq!(events.partition_key, ["at"]);
    assert_eq!(leaf.partition_of, Some(TableName::new("public", "events_2024")));
    assert_eq!(table(catalog, "public", "logs").partition_key, ["c", "a"]);
    assert_eq!(table(catalog, "public", "base").inheritance_children, [TableName::new("public", "child")]);
}

fn check_columns(catalog: &Catalog) {
    let users = table(catalog, "public", "users");
    assert!(users.columns.iter().all(|column| !column.name.contains("dropped")));
    assert_eq!(column(users, "SELECT").number, 25);

    let id = column(users, "id");
    assert_eq!((id.identity.as_deref(), id.not_null, &id.default), (Some("ALWAYS"), true, &None));
    assert_eq!(id.owned_sequence, Some(TableName::new("public", "users_id_seq")));
    let sequence = id.identity_sequence.as_ref().expect("an identity has a sequence");
    assert_eq!((sequence.start, sequence.increment, sequence.minimum, sequence.maximum), (1, 1, None, None));
    assert_eq!((sequence.cache, sequence.cycle, &sequence.grants, sequence.dependents.len()), (1, false, &None, 0));
    assert_eq!(column(users, "old_id").identity_sequence, None);
    assert_eq!(column(users, "old_id").owned_sequence, Some(TableName::new("public", "users_old_id_seq")));

    let first = column(users, "first");
    assert_eq!(first.comment.as_deref(), Some("it's the first"));
    assert_eq!((first.statistics, first.storage.as_deref()), (Some(500), Some("EXTERNAL")));
    assert_eq!(first.options, ["n_distinct=5"]);
    let grants: Vec<_> =
        first.grants.iter().map(|g| (g.privilege.as_str(), g.grantee.as_deref(), g.grantable)).collect();
    assert_eq!(grants, [("SELECT", Some("crossfade_reader"), true), ("UPDATE", Some("crossfade_reader"), true)]);
    assert_eq!(column(users, "last").grants[0].grantee, None);

    let types = |name| {
        let column = column(users, name);
        (column.type_name.as_str(), column.base_type.as_str(), column.type_modifier, column.constrained_domain)
    };
    assert_eq!(types("address"), ("public.work_email", "varchar", -1, true));
    assert_eq!(types("label"), ("public.plain_text", "varchar", -1, false));
    assert_eq!(types("feeling"), ("public.mood", "mood", -1, false));
    assert_eq!(types("tags"), ("text[]", "_text", -1, false));
    assert_eq!(types("amount"), ("numeric(10,2)", "numeric", 655_366, false));
    assert_eq!(types("code"), ("character varying(40)", "varchar", 44, false));
    assert_eq!(column(users, "code").collation, Some(ServerText::from_server("pg_catalog.\"C\"")));
    assert_eq!(column(users, "label").collation, None);

    let full_name = column(users, "full_name");
    assert_eq!(full_name.generated, Some(ServerText::from_server("((first || ' '::text) || last)")));
    assert_eq!(full_name.default, None);

    for (name, expression, volatility) in [
        ("old_id", "nextval('public.users_old_id_seq'::regclass)", Volatile),
        ("feeling", "'happy'::public.mood", Immutable),
        ("amount", "0.00", Immutable),
        ("made", "now()", Stable),
        ("made_on", "CURRENT_DATE", Stable),
        ("key", "gen_random_uuid()", Volatile),
        ("luck", "random()", Volatile),
        ("ticket", "nextval('public.ticket'::regclass)", Volatile),
        ("who", "CURRENT_USER", Stable),
        ("doubled", "public.twice(4)", Immutable),
        ("seen", "public.twice('a'::text)", Volatile),
        ("spread", "(3 + 4)", Immutable),
        ("later", "(now() + '1 day'::interval)", Stable),
        ("quoted", "' :funcid 1574 '::text", Immutable),
    ] {
        let default = column(users, name).default.as_ref().expect("the column has a default");
        assert_eq!((default.expression.as_str(), default.volatility), (expression, volatility), "{name}");
    }
}

fn check_attachments(catalog: &Catalog) {
    let users = table(catalog, "public", "users");
    let checked = constraint(users, "first_check");
    assert_eq!((checked.kind, checked.validated), (ConstraintKind::Check, false));
    assert_eq!(
        (checked.columns.as_slice(), checked.comment.as_deref()),
        (["first".to_owned()].as_slice(), Some("not empty"))
    );
    let unique = constraint(users, "code_unique");
    assert_eq!(
        (unique.kind, unique.deferrable, unique.index.as_deref()),
        (ConstraintKind::Unique, true, Some("code_unique"))
    );
    assert_eq!(unique.columns, ["code", "last"]);
    assert!(
        users.constraints.iter().all(|constraint| constraint.name != "checked"),
        "a constraint trigger is a trigger"
    );

    let orders = table(catalog, "public", "orders");
    let pairs = constraint(orders, "pairs");
    assert_eq!((pairs.kind, &pairs.references), (ConstraintKind::ForeignKey, &Some(TableName::new(ODD, LONG))));
    assert_eq!(
        (pairs.columns.join(","), pairs.referenced_columns.join(",")),
        ("y,x".to_owned(), "a \"b\",user".to_owned())
    );
    assert!(!constraint(orders, "late").validated && pairs.index.is_none());
    assert_eq!(constraint(orders, "whole").columns.len(), orders.columns.len());
    assert_eq!(constraint(table(catalog, ODD, LONG), "spread_out").columns, ["a \"b\"", "user"]);
    assert!(constraint(table(catalog, "public", "events_2024"), "events_2024_pkey").inherited);

    let partial = index(users, "users_code_idx");
    assert_eq!(partial.columns, ["code", "label", "touched"]);
    assert!(partial.unique && partial.expression_or_predicate && partial.valid && partial.constraint.is_none());
    assert_eq!(
        partial.definition.as_str(),
        "CREATE UNIQUE INDEX users_code_idx ON public.users USING btree (code DESC NULLS LAST) INCLUDE (label) \
         WHERE (touched IS NULL)"
    );
    let lower = index(users, "users_lower");
    assert_eq!((lower.columns.join(","), lower.clustered), ("amount,last".to_owned(), true));
    assert_eq!(lower.comment.as_deref(), Some("for the search"));
    assert!(index(users, "users_key").replica_identity);
    let primary = index(users, "users_pkey");
    assert_eq!((primary.primary, primary.constraint.as_deref()), (true, Some("users_pkey")));

    let names: Vec<&str> = users.triggers.iter().map(|trigger| trigger.name.as_str()).collect();
    assert_eq!(names, ["after_all", "checked", "touch_it"]);
    let (after, touch) = (trigger(users, "after_all"), trigger(users, "touch_it"));
    assert_eq!((after.before, after.row, after.on_update, after.enabled), (false, false, false, false));
    assert_eq!(after.function, "crossfade.sync");
    assert_eq!((touch.before, touch.row, touch.on_update, touch.enabled), (true, true, true, true));
    assert_eq!(touch.columns, ["first", "amount", "last"]);
    assert!(touch.source.contains("NEW.touched"));
    assert_eq!(trigger(table(catalog, "public", "events_2024_eu"), "event_touch").function, "crossfade.sync");
}

fn check_dependents(catalog: &Catalog, major: u32) {
    let users = table(catalog, "public", "users");
    let mut expected = vec![
        ("column tail of table \"odd \"\"schema\"\"\".\"éééééééééééééééééééééééééééééé_63\"", None),
        ("function public.takes(public.users)", None),
        ("policy own_rows on table public.users", None),
        ("publication of table public.users in publication everything", None),
        ("rule keep on table public.users", None),
        ("foreign key late of table public.orders", Some("id")),
        ("foreign key orders_user of table public.orders", Some("id")),
        ("view public.active_users", Some("id")),
        ("generated column public.users.full_name", Some("first")),
        ("view public.active_users", Some("first")),
        ("generated column public.users.full_name", Some("last")),
        ("materialized view public.counted", Some("feeling")),
        ("rule keep on table public.users", Some("luck")),
        ("policy own_rows on table public.users", Some("who")),
        ("view public.active_users", Some("touched")),
    ];
    if major >= 15 {
        expected.push(("function public.total()", Some("amount")));
    }
    expected.sort_unstable();
    assert_eq!(dependents(users), expected);
    let keys = users.dependents.iter().filter(|dependent| dependent.foreign_key);
    assert!(keys.clone().all(|key| key.description.starts_with("foreign key ")) && keys.count() == 2);
    let statistics: Vec<_> =
        users.statistics.iter().map(|one| (one.name.to_string(), one.columns.join(","), one.target)).collect();
    assert_eq!(statistics, [("public.name_stats".to_owned(), "first,last".to_owned(), None)]);
    assert_eq!(
        dependents(table(catalog, "public", "active_users")),
        [("view \"odd \"\"schema\"\"\".\"View\"", Some("id"))]
    );
    if major >= 15 {
        let narrow = ("publication of table public.one_row in publication slim", Some("id"));
        assert!(dependents(table(catalog, "public", "one_row")).contains(&narrow));
    }
    for leaf in ["events_2024_rest", "base", "child", "orders"] {
        let unexpected: Vec<_> = dependents(table(catalog, "public", leaf));
        assert!(
            unexpected.iter().all(|(text, _)| text.starts_with("foreign key event_notes")),
            "{leaf}: {unexpected:?}"
        );
    }
}

fn check_objects(catalog: &Catalog) {
    let objects: Vec<_> = catalog
        .objects
        .iter()
        .map(|object| (object.kind.as_str(), object.name.name.as_str(), object.volatility))
        .collect();
    for expected in [
        ("function", "twice", Some(Volatile)),
        ("sequence", "ticket", None),
        ("type", "mood", None),
        ("composite", "pair", None),
        ("type", "work_email", None),
    ] {
        assert!(objects.contains(&expected), "{expected:?} in {objects:?}");
    }
    assert!(!objects.iter().any(|(_, name, _)| *name == "users" || *name == "_mood" || *name == "sync"));
    let object = |kind: &str, name: &str| {
        let is = |object: &&Object| object.kind == kind && object.name.name.as_str() == name;
        catalog.objects.iter().find(is).expect("it is there")
    };
    assert_eq!(object("type", "mood").labels, ["sad", "happy"]);
    let twice = &object("function", "twice").functions;
    let types: Vec<&[String]> = twice.iter().map(|function| function.types.as_slice()).collect();
    assert_eq!(types, [["int4"], ["text"]]);
    let number = &twice[0];
    assert_eq!(
        (number.arguments.as_str(), number.procedure, &number.owner, &number.grants),
        ("integer", false, &None, &None)
    );
    let definition: Vec<&str> = number.definition.as_str().lines().map(str::trim).collect();
    assert_eq!(definition[..2], ["(n integer)", "RETURNS integer"]);
    assert!(definition.iter().any(|line| line.contains("SELECT n * 2")), "{definition:?}");
}

fn check_from_18(catalog: &Catalog) {
    let one_row = table(catalog, "public", "one_row");
    assert_eq!(column(one_row, "twice").generated, Some(ServerText::from_server("(id * 2)")));
    let never_null = constraint(one_row, "never_null");
    assert_eq!((never_null.kind, never_null.validated), (ConstraintKind::NotNull, false));
    assert!(!column(one_row, "id").not_null, "an unvalidated NOT NULL proves nothing about old rows");
    assert!(!constraint(one_row, "loose").validated);
    assert!(dependents(one_row).contains(&("generated column public.one_row.twice", Some("id"))));
}

async fn check_settings_are_back(client: &Client) -> TestResult {
    let row = client
        .query_one("SELECT current_setting('search_path'), current_setting('transaction_read_only')", &[])
        .await?;
    assert_eq!(row.try_get::<_, String>(0)?, "\"$user\", public, pg_temp, pg_catalog");
    assert_eq!(row.try_get::<_, String>(1)?, "off", "the read-only transaction is over");
    Ok(())
}

async fn check_ordinary_role(server: &ScratchServer, as_superuser: &Catalog) -> TestResult {
    let client = connect(&server.url("postgres")).await?;
    client.batch_execute("SET SESSION AUTHORIZATION crossfade_reader; SET TimeZone = 'Asia/Tokyo'").await?;
    let mut catalog = introspect(&client, "crossfade").await?;
    assert_eq!(catalog.other_sessions, 1, "the superuser's session is seen");
    let emptied = catalog.tables.iter_mut().find(|table| table.name.name.as_str() == "emptied");
    let emptied = emptied.expect("the table is seen without a privilege");
    assert!(emptied.has_rows, "what may not be read is taken to have rows");
    emptied.has_rows = false;
    emptied.estimated_rows = 0;
    catalog.other_sessions = 0;
    for table in &mut catalog.tables {
        let owner = table.owner.take();
        assert!(owner.is_some(), "the owner of {} is another role", table.name);
    }
    for function in catalog.objects.iter_mut().flat_map(|object| &mut object.functions) {
        let owner = function.owner.take();
        assert!(owner.is_some(), "the owner of a function is another role: {function:?}");
    }
    assert_eq!(&catalog, as_superuser);
    Ok(())
}

fn table<'a>(catalog: &'a Catalog, schema: &str, name: &str) -> &'a Table {
    let name = TableName::new(schema, name);
    catalog.tables.iter().find(|table| table.name == name).expect("the table is in the catalog")
}

fn column<'a>(table: &'a Table, name: &str) -> &'a Column {
    table.columns.iter().find(|column| column.name == name).expect("the column is in the table")
}

fn constraint<'a>(table: &'a Table, name: &str) -> &'a Constraint {
    table.constraints.iter().find(|constraint| constraint.name == name).expect("the constraint is in the table")
}

fn index<'a>(table: &'a Table, name: &str) -> &'a Index {
    table.indexes.iter().find(|index| index.name == name).expect("the index is in the table")
}

fn trigger<'a>(table: &'a Table, name: &str) -> &'a Trigger {
    table.triggers.iter().find(|trigger| trigger.name == name).expect("the trigger is in the table")
}

fn dependents(table: &Table) -> Vec<(&str, Option<&str>)> {
    let mut dependents: Vec<_> =
        table.dependents.iter().map(|one| (one.description.as_str(), one.column.as_deref())).collect();
    dependents.sort_unstable();
    dependents
}

const ALL: &str = r#"
CREATE SCHEMA crossfade;
CREATE TABLE crossfade.journal (id int PRIMARY KEY);
CREATE FUNCTION crossfade.sync() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE SCHEMA "odd ""schema""";
SET search_path = "odd ""schema""", public;
CREATE ROLE crossfade_reader;
CREATE TYPE public.mood AS ENUM ('sad', 'happy');
CREATE TYPE public.pair AS (a int, b text);
CREATE DOMAIN public.plain_text AS varchar(20);
CREATE DOMAIN public.email AS public.plain_text CHECK (VALUE LIKE '%@%');
CREATE DOMAIN public.work_email AS public.email;
CREATE SEQUENCE public.ticket;
CREATE FUNCTION public.twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n * 2';
CREATE FUNCTION public.twice(n text) RETURNS text LANGUAGE sql VOLATILE AS 'SELECT n || n';
CREATE FUNCTION public.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.touched := now(); RETURN NEW; END';

CREATE TABLE public.users (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    old_id serial,
    first text NOT NULL,
    last text NOT NULL,
    full_name text GENERATED ALWAYS AS (first || ' ' || last) STORED,
    address public.work_email,
    label public.plain_text,
    feeling public.mood DEFAULT 'happy',
    tags text[] DEFAULT '{}',
    amount numeric(10, 2) DEFAULT 0.00,
    code varchar(40) COLLATE "C" DEFAULT 'x'::varchar,
    made timestamptz DEFAULT now(),
    made_on date DEFAULT CURRENT_DATE,
    key uuid DEFAULT gen_random_uuid(),
    luck float8 DEFAULT random(),
    ticket int DEFAULT nextval('public.ticket'),
    who text DEFAULT current_user,
    doubled int DEFAULT public.twice(4),
    seen text DEFAULT public.twice('a'::text),
    spread int DEFAULT 3 + 4,
    later timestamptz DEFAULT (now() + '1 day'::interval),
    cast_from text DEFAULT ('today'::text)::date,
    touched timestamptz,
    dropped int,
    "SELECT" int,
    quoted text DEFAULT ' :funcid 1574 ',
    CONSTRAINT code_unique UNIQUE (code, last) DEFERRABLE
);
ALTER TABLE public.users DROP COLUMN dropped;
ALTER TABLE public.users ADD CONSTRAINT first_check CHECK (length(first) > 0) NOT VALID;
COMMENT ON COLUMN public.users.first IS 'it''s the first';
COMMENT ON CONSTRAINT first_check ON public.users IS 'not empty';
ALTER TABLE public.users ALTER COLUMN first SET STATISTICS 500;
ALTER TABLE public.users ALTER COLUMN first SET STORAGE EXTERNAL;
ALTER TABLE public.users ALTER COLUMN first SET (n_distinct = 5);
ALTER TABLE public.users SET (fillfactor = 70);
GRANT SELECT (first), UPDATE (first) ON public.users TO crossfade_reader WITH GRANT OPTION;
GRANT SELECT (last) ON public.users TO PUBLIC;
CREATE UNIQUE INDEX users_code_idx ON public.users (code DESC NULLS LAST) INCLUDE (label) WHERE touched IS NULL;
CREATE INDEX users_lower ON public.users (lower(last), amount);
COMMENT ON INDEX public.users_lower IS 'for the search';
CREATE UNIQUE INDEX users_key ON public.users (old_id, id);
ALTER TABLE public.users ALTER COLUMN old_id SET NOT NULL;
ALTER TABLE public.users REPLICA IDENTITY USING INDEX users_key;
ALTER TABLE public.users CLUSTER ON users_lower;
CREATE TRIGGER touch_it BEFORE INSERT OR UPDATE OF first, amount ON public.users
    FOR EACH ROW WHEN (NEW.last <> 'x') EXECUTE FUNCTION public.touch();
CREATE TRIGGER after_all AFTER DELETE ON public.users FOR EACH STATEMENT EXECUTE FUNCTION crossfade.sync();
ALTER TABLE public.users DISABLE TRIGGER after_all;
CREATE CONSTRAINT TRIGGER checked AFTER UPDATE ON public.users DEFERRABLE FOR EACH ROW EXECUTE FUNCTION public.touch();
CREATE VIEW public.active_users AS SELECT id, first FROM public.users WHERE touched IS NULL;
CREATE VIEW "odd ""schema"""."View" AS SELECT id FROM public.active_users;
CREATE MATERIALIZED VIEW public.counted AS SELECT feeling, count(*) FROM public.users GROUP BY 1;
ALTER TABLE public.users ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON public.users USING (who = current_user);
CREATE STATISTICS public.name_stats ON first, last FROM public.users;
CREATE RULE keep AS ON DELETE TO public.users WHERE OLD.luck > 1 DO INSTEAD NOTHING;
CREATE PUBLICATION everything FOR TABLE public.users;
CREATE FUNCTION public.takes(u public.users) RETURNS int LANGUAGE sql AS 'SELECT 1';

CREATE TABLE "odd ""schema"""."éééééééééééééééééééééééééééééé_63" (
    "a ""b""" int, "user" int NOT NULL, tail public.users,
    CONSTRAINT both_unique UNIQUE ("a ""b""", "user"),
    CONSTRAINT spread_out EXCLUDE USING btree (("a ""b""" + 1) WITH =) WHERE ("user" > 0)
);
CREATE TABLE public.orders (
    id bigint GENERATED BY DEFAULT AS IDENTITY,
    user_id int NOT NULL CONSTRAINT orders_user REFERENCES public.users ON DELETE CASCADE,
    x int, y int,
    parent bigint,
    PRIMARY KEY (id),
    CONSTRAINT self FOREIGN KEY (parent) REFERENCES public.orders,
    CONSTRAINT whole CHECK (orders IS NOT NULL) NO INHERIT,
    CONSTRAINT pairs FOREIGN KEY (y, x) REFERENCES "odd ""schema"""."éééééééééééééééééééééééééééééé_63" ("a ""b""", "user")
);
ALTER TABLE public.orders ADD CONSTRAINT late FOREIGN KEY (x) REFERENCES public.users NOT VALID;
CREATE TABLE public.events (id int, at date NOT NULL, region text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE public.events_2024 PARTITION OF public.events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') PARTITION BY LIST (id);
CREATE TABLE public.events_2024_eu PARTITION OF public.events_2024 FOR VALUES IN (1);
CREATE TABLE public.events_2024_rest PARTITION OF public.events_2024 DEFAULT;
CREATE TRIGGER event_touch AFTER INSERT ON public.events FOR EACH ROW EXECUTE FUNCTION crossfade.sync();
CREATE TABLE public.event_notes (event_id int, event_at date, FOREIGN KEY (event_id, event_at) REFERENCES public.events);
INSERT INTO public.events SELECT n, '2024-05-05', 'eu' FROM generate_series(1, 1000) n;
CREATE TABLE public.logs (a text, b int, c int) PARTITION BY RANGE (c, lower(a));
CREATE TABLE public.base (id int, note text);
CREATE TABLE public.child (extra int) INHERITS (public.base);
CREATE TABLE public.emptied (id int) WITH (autovacuum_enabled = off);
INSERT INTO public.emptied SELECT generate_series(1, 100);
DELETE FROM public.emptied;
CREATE TABLE public.one_row (id int) WITH (autovacuum_enabled = off);
INSERT INTO public.one_row VALUES (1);
CREATE TABLE public.hidden (id int);
INSERT INTO public.hidden VALUES (1);
ALTER TABLE public.hidden ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE TABLE public.big (id int) WITH (autovacuum_enabled = off);
INSERT INTO public.big SELECT generate_series(1, 50000);
ANALYZE public.big, public.events;
CREATE TEMP TABLE scrap (id int);
"#;

const FROM_15: &str = r"
CREATE PUBLICATION slim FOR TABLE public.one_row (id);
CREATE FUNCTION public.total() RETURNS numeric LANGUAGE sql BEGIN ATOMIC SELECT sum(amount) FROM public.users; END;
";

const FROM_18: &str = r"
ALTER TABLE public.one_row ADD COLUMN twice int GENERATED ALWAYS AS (id * 2) VIRTUAL;
ALTER TABLE public.one_row ADD CONSTRAINT never_null NOT NULL id NOT VALID;
ALTER TABLE public.one_row ADD CONSTRAINT loose CHECK (id > 100) NOT ENFORCED;
";
