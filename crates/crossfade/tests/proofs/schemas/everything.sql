CREATE SCHEMA app;
CREATE SCHEMA "Odd ""one";
COMMENT ON SCHEMA app IS 'what the application has';
GRANT USAGE ON SCHEMA app TO app_reader;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO app_reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT USAGE ON SEQUENCES TO app_writer;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
CREATE COLLATION app.by_code (provider = libc, locale = 'C');
CREATE TYPE app.mood AS ENUM ('sad', 'so so', 'it''s fine');
CREATE TYPE app.state AS ENUM ('open', 'shut');
CREATE TYPE app.address AS (street text COLLATE "C", number integer);
COMMENT ON COLUMN app.address.street IS 'without the number';
CREATE TYPE app.spans AS RANGE (subtype = double precision, subtype_diff = float8mi);
CREATE DOMAIN app.positive AS integer DEFAULT 1 NOT NULL CONSTRAINT above CHECK (VALUE > 0);
COMMENT ON DOMAIN app.positive IS 'more than none';
CREATE DOMAIN app.moods AS app.mood[];
GRANT USAGE ON TYPE app.mood TO app_writer;
CREATE SEQUENCE app.numbers AS integer INCREMENT 5 MINVALUE 5 MAXVALUE 500 CACHE 3 CYCLE;
GRANT USAGE, SELECT ON SEQUENCE app.numbers TO app_writer WITH GRANT OPTION;
CREATE FUNCTION app.twice(n integer, OUT m integer) LANGUAGE sql IMMUTABLE AS 'SELECT n * 2';
COMMENT ON FUNCTION app.twice(integer) IS 'two times';
GRANT EXECUTE ON FUNCTION app.twice(integer) TO app_reader;
CREATE FUNCTION app.twice(t text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $f$ SELECT t || '$$' || t $f$;
CREATE PROCEDURE app.clean(days integer DEFAULT 7) LANGUAGE plpgsql AS $p$ BEGIN PERFORM days; END $p$;
CREATE AGGREGATE app.total(integer) (SFUNC = int4pl, STYPE = integer, INITCOND = '0');
CREATE TABLE app.teams (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE, mood app.mood DEFAULT 'sad');
GRANT USAGE ON SEQUENCE app.teams_id_seq TO app_writer;
COMMENT ON TABLE app.teams IS 'people who work together';
CREATE TABLE app.users (
    id serial PRIMARY KEY,
    team bigint REFERENCES app.teams (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    email varchar(100) COLLATE "C" NOT NULL,
    moods app.moods,
    feeling app.mood DEFAULT 'so so' NOT NULL,
    home app.address,
    age app.positive,
    numbered integer DEFAULT nextval('app.numbers'),
    doubled integer DEFAULT (app.twice(4)) CHECK (doubled > 0),
    initial text GENERATED ALWAYS AS (left(email, 1)) STORED,
    big text,
    made_at timestamptz(3) DEFAULT now(),
    CONSTRAINT grown CHECK ((age)::integer >= 18) NO INHERIT
) WITH (autovacuum_enabled = false, fillfactor = 70, toast.autovacuum_enabled = false);
ALTER TABLE app.users ALTER big SET STORAGE EXTERNAL, ALTER email SET STATISTICS 500, ALTER email SET (n_distinct = -0.5);
ALTER TABLE app.users ALTER big SET COMPRESSION pglz; -- @14
ALTER TABLE app.users ADD CONSTRAINT late CHECK (numbered < 1000) NOT VALID;
COMMENT ON COLUMN app.users.email IS 'where letters go';
COMMENT ON CONSTRAINT grown ON app.users IS 'no children';
GRANT SELECT (id, email), UPDATE (email) ON app.users TO app_writer;
GRANT SELECT ON app.users TO PUBLIC;
REVOKE TRUNCATE ON app.users FROM CURRENT_USER;
CREATE INDEX users_email ON app.users USING btree (lower(email) text_pattern_ops DESC) INCLUDE (age) WHERE (age IS NOT NULL);
CREATE UNIQUE INDEX users_numbered ON app.users (numbered, email);
CREATE INDEX users_expression ON app.users ((numbered + 1));
ALTER INDEX app.users_expression ALTER COLUMN 1 SET STATISTICS 300;
COMMENT ON INDEX app.users_email IS 'for logging in';
ALTER TABLE app.users CLUSTER ON users_pkey;
ALTER TABLE app.users ALTER numbered SET NOT NULL;
ALTER TABLE app.users REPLICA IDENTITY USING INDEX users_numbered;
CREATE STATISTICS app.users_stats (dependencies) ON team, email FROM app.users;
ALTER TABLE app.users ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.users FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON app.users FOR SELECT TO app_reader USING (email = CURRENT_USER);
CREATE POLICY writes ON app.users AS RESTRICTIVE FOR INSERT TO app_writer, app_reader WITH CHECK (age > 3);
COMMENT ON POLICY own ON app.users IS 'only one''s own';
CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS $t$ BEGIN NEW.made_at := now(); RETURN NEW; END $t$;
CREATE TRIGGER touch BEFORE INSERT OR UPDATE OF email ON app.users FOR EACH ROW WHEN (NEW.email IS NOT NULL) EXECUTE FUNCTION app.touch();
ALTER TABLE app.users DISABLE TRIGGER touch;
CREATE CONSTRAINT TRIGGER later AFTER DELETE ON app.users DEFERRABLE FOR EACH ROW EXECUTE FUNCTION app.touch();
COMMENT ON TRIGGER touch ON app.users IS 'keeps the time';
CREATE VIEW app.adults AS SELECT id, email, age, initial FROM app.users WHERE age >= 18;
ALTER VIEW app.adults SET (security_barrier = true);
ALTER VIEW app.adults ALTER COLUMN email SET DEFAULT 'nobody';
COMMENT ON VIEW app.adults IS 'grown people';
COMMENT ON COLUMN app.adults.email IS 'as in users';
GRANT SELECT ON app.adults TO app_reader;
CREATE VIEW app.adult_names AS SELECT email AS name FROM app.adults WITH LOCAL CHECK OPTION;
CREATE RULE no_delete AS ON DELETE TO app.adult_names DO INSTEAD NOTHING;
CREATE MATERIALIZED VIEW app.counted WITH (fillfactor = 80) AS SELECT team, count(*) AS people FROM app.users GROUP BY team;
CREATE UNIQUE INDEX counted_team ON app.counted (team);
CREATE FUNCTION app.of_users() RETURNS SETOF app.users LANGUAGE sql STABLE AS 'SELECT * FROM app.users';
CREATE UNLOGGED TABLE app.scratch (a integer, b integer, EXCLUDE USING gist (int4range(a, b) WITH &&));
CREATE TABLE app.events (id bigint NOT NULL, at date NOT NULL, what text DEFAULT 'x', PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE app.events_old PARTITION OF app.events FOR VALUES FROM (MINVALUE) TO ('2020-01-01');
CREATE TABLE app.events_new PARTITION OF app.events FOR VALUES FROM ('2020-01-01') TO ('2030-01-01') PARTITION BY LIST (id);
CREATE TABLE app.events_x PARTITION OF app.events_new FOR VALUES IN (1, 2);
CREATE TABLE app.events_rest PARTITION OF app.events DEFAULT;
CREATE INDEX events_what ON app.events (what);
ALTER TABLE app.events ADD CONSTRAINT short CHECK (length(what) < 100);
ALTER TABLE app.events ADD FOREIGN KEY (id) REFERENCES app.teams (id);
CREATE TRIGGER seen AFTER INSERT ON app.events FOR EACH ROW EXECUTE FUNCTION app.touch();
CREATE TABLE app.notes (event bigint, at date, FOREIGN KEY (event, at) REFERENCES app.events (id, at));
CREATE TABLE app.animals (name text NOT NULL, legs integer DEFAULT 4, CONSTRAINT walks CHECK (legs >= 0));
CREATE TABLE app.dogs (breed text) INHERITS (app.animals);
CREATE TABLE app.things OF app.address (street NOT NULL);
CREATE TABLE "Odd ""one"."Table" ("Column ""x" text, "select" integer, PRIMARY KEY ("select"));
CREATE VIEW "Odd ""one"."View" AS SELECT "select", "Column ""x" FROM "Odd ""one"."Table";
CREATE FOREIGN DATA WRAPPER files;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER files OPTIONS (host 'there');
CREATE FOREIGN TABLE app.far (a integer OPTIONS (n '1'), b text) SERVER elsewhere OPTIONS (name 'x');
COMMENT ON FOREIGN TABLE app.far IS 'not here';
CREATE PUBLICATION feed FOR TABLE app.teams, app.events WITH (publish = 'insert, update', publish_via_partition_root = true);
CREATE FUNCTION app.ended() RETURNS event_trigger LANGUAGE plpgsql AS $e$ BEGIN END $e$;
CREATE EVENT TRIGGER watch ON ddl_command_end WHEN TAG IN ('DROP EXTENSION') EXECUTE FUNCTION app.ended();
CREATE FUNCTION app.doubled_ages() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT sum(age * 2) FROM app.users; END; -- @14
CREATE TABLE app.uniques (a integer, b integer, UNIQUE NULLS NOT DISTINCT (a, b)); -- @15
ALTER VIEW app.adult_names SET (security_invoker = true); -- @15
ALTER PUBLICATION feed ADD TABLE app.users (id, email, numbered) WHERE (id > 3); -- @15
CREATE PUBLICATION whole FOR TABLES IN SCHEMA app; -- @15
CREATE TABLE app.virtuals (a integer, b integer GENERATED ALWAYS AS (a * 2) VIRTUAL, c integer CONSTRAINT c_there NOT NULL NO INHERIT); -- @18
ALTER TABLE app.virtuals ADD CONSTRAINT a_there NOT NULL a NOT VALID; -- @18
ALTER TABLE app.virtuals ADD CONSTRAINT loose CHECK (a > 5) NOT ENFORCED; -- @18
