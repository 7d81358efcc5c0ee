SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE SCHEMA atlas_schema_revisions;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE atlas_schema_revisions.atlas_schema_revisions (
    version character varying NOT NULL,
    description character varying NOT NULL,
    type bigint DEFAULT 2 NOT NULL,
    applied bigint DEFAULT 0 NOT NULL,
    total bigint DEFAULT 0 NOT NULL,
    executed_at timestamp with time zone NOT NULL,
    execution_time bigint NOT NULL,
    error text,
    error_stmt text,
    hash character varying NOT NULL,
    partial_hashes jsonb,
    operator_version character varying NOT NULL
);
CREATE TABLE public.posts (
    id integer NOT NULL,
    author integer NOT NULL,
    title text NOT NULL
);
CREATE TABLE public.users (
    id integer NOT NULL,
    email text NOT NULL,
    name text
);
INSERT INTO atlas_schema_revisions.atlas_schema_revisions VALUES ('20240101120000', 'create_users', 2, 1, 1, '2026-11-25 21:44:50.17418+00', 1, NULL, NULL, '+673kSU5HFoh8IdanGoH5vblkChcm9lDkw/Fsu00v4w=', NULL, 'Atlas CLI');
INSERT INTO atlas_schema_revisions.atlas_schema_revisions VALUES ('20240102120000', 'create_posts', 2, 2, 2, '2026-11-25 21:44:50.183269+00', 1, NULL, NULL, 'ZXydMeqx5u0Dmb4Kf/qT2Fp73AyiK3Z2BS/ia0FZKnc=', NULL, 'Atlas CLI');
INSERT INTO atlas_schema_revisions.atlas_schema_revisions VALUES ('20240103120000', 'add_name', 2, 1, 1, '2026-11-25 21:44:50.183503+00', 1, NULL, NULL, 'fCqZWQIoBfEgFTizTAwAqrQAoV5ot0wFFsykfmy7vFI=', NULL, 'Atlas CLI');
ALTER TABLE ONLY atlas_schema_revisions.atlas_schema_revisions
    ADD CONSTRAINT atlas_schema_revisions_pkey PRIMARY KEY (version);
ALTER TABLE ONLY public.posts
    ADD CONSTRAINT posts_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);
CREATE INDEX posts_author ON public.posts USING btree (author);
ALTER TABLE ONLY public.posts
    ADD CONSTRAINT posts_author_fkey FOREIGN KEY (author) REFERENCES public.users(id);
