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
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public._sqlx_migrations (
    version bigint NOT NULL,
    description text NOT NULL,
    installed_on timestamp with time zone DEFAULT now() NOT NULL,
    success boolean NOT NULL,
    checksum bytea NOT NULL,
    execution_time bigint NOT NULL
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
INSERT INTO public._sqlx_migrations VALUES (20240101120000, 'create users', '2026-11-25 21:50:00.60915+00', true, '\x1a68cf4bfe9ff694115163bec08148f67f892d4961c2f2fa02ce0c17329b3aa4778343cf5dfe0fe4beda65727f7a0121', 1280191);
INSERT INTO public._sqlx_migrations VALUES (20240102120000, 'create posts', '2026-11-25 21:50:00.610662+00', true, '\x90fa07cac95805758776c098285b3ebd29a7d79e53ceb22de5abc317699ff76133a06a6847d1a186a894805a0488bf6f', 1284617);
INSERT INTO public._sqlx_migrations VALUES (20240103120000, 'add name', '2026-11-25 21:50:00.612042+00', true, '\x45909524475aa956e61639c0fc84aad371cf28c69034cb41f720f85df2263f27e763392eb0a9f131df8069d8958e28f4', 223364);
ALTER TABLE ONLY public._sqlx_migrations
    ADD CONSTRAINT _sqlx_migrations_pkey PRIMARY KEY (version);
ALTER TABLE ONLY public.posts
    ADD CONSTRAINT posts_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);
CREATE INDEX posts_author ON public.posts USING btree (author);
ALTER TABLE ONLY public.posts
    ADD CONSTRAINT posts_author_fkey FOREIGN KEY (author) REFERENCES public.users(id);
