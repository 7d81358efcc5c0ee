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
CREATE SCHEMA graphile_migrate;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE graphile_migrate.current (
    filename text DEFAULT 'current.sql'::text NOT NULL,
    content text NOT NULL,
    date timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE graphile_migrate.migrations (
    hash text NOT NULL,
    previous_hash text,
    filename text NOT NULL,
    date timestamp with time zone DEFAULT now() NOT NULL
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
INSERT INTO graphile_migrate.migrations VALUES ('sha1:246c201b9b4ba621046a5dfa6076439188ea296b', NULL, '000001.sql', '2026-11-25 22:00:27.577808+00');
INSERT INTO graphile_migrate.migrations VALUES ('sha1:81eb4eb5c9d9afb4575c6c657632f1d4ae393664', 'sha1:246c201b9b4ba621046a5dfa6076439188ea296b', '000002.sql', '2026-11-25 22:00:29.100748+00');
INSERT INTO graphile_migrate.migrations VALUES ('sha1:54e236f7236d1dc2f6431d190b3587a806a9eca4', 'sha1:81eb4eb5c9d9afb4575c6c657632f1d4ae393664', '000003.sql', '2026-11-25 22:00:30.475429+00');
ALTER TABLE ONLY graphile_migrate.current
    ADD CONSTRAINT current_pkey PRIMARY KEY (filename);
ALTER TABLE ONLY graphile_migrate.migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (hash);
ALTER TABLE ONLY public.posts
    ADD CONSTRAINT posts_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);
CREATE INDEX posts_author ON public.posts USING btree (author);
ALTER TABLE ONLY graphile_migrate.migrations
    ADD CONSTRAINT migrations_previous_hash_fkey FOREIGN KEY (previous_hash) REFERENCES graphile_migrate.migrations(hash);
ALTER TABLE ONLY public.posts
    ADD CONSTRAINT posts_author_fkey FOREIGN KEY (author) REFERENCES public.users(id);
