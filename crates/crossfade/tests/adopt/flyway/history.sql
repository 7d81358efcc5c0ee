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
CREATE TABLE public.flyway_schema_history (
    installed_rank integer NOT NULL,
    version character varying(50),
    description character varying(200) NOT NULL,
    type character varying(20) NOT NULL,
    script character varying(1000) NOT NULL,
    checksum integer,
    installed_by character varying(100) NOT NULL,
    installed_on timestamp without time zone DEFAULT now() NOT NULL,
    execution_time integer NOT NULL,
    success boolean NOT NULL
);
CREATE TABLE public.users (
    id integer NOT NULL,
    email text NOT NULL,
    name text
);
CREATE VIEW public.names AS
 SELECT users.id,
    COALESCE(users.name, users.email) AS name
   FROM public.users;
CREATE TABLE public.posts (
    id integer NOT NULL,
    author integer NOT NULL,
    title text NOT NULL
);
INSERT INTO public.flyway_schema_history VALUES (1, '1.1', 'create users', 'SQL', 'V1_1__create_users.sql', 297679915, 'postgres', '2026-11-25 21:43:51.441331', 57, true);
INSERT INTO public.flyway_schema_history VALUES (2, '1.2', 'create posts', 'SQL', 'V1_2__create_posts.sql', -310980487, 'postgres', '2026-11-25 21:43:51.557546', 44, true);
INSERT INTO public.flyway_schema_history VALUES (3, '1.3', 'add name', 'SQL', 'V1_3__add_name.sql', -1089086783, 'postgres', '2026-11-25 21:43:51.632309', 7, true);
INSERT INTO public.flyway_schema_history VALUES (4, NULL, 'names', 'SQL', 'R__names.sql', 1425695880, 'postgres', '2026-11-25 21:43:51.655745', 10, true);
ALTER TABLE ONLY public.flyway_schema_history
    ADD CONSTRAINT flyway_schema_history_pk PRIMARY KEY (installed_rank);
ALTER TABLE ONLY public.posts
    ADD CONSTRAINT posts_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);
CREATE INDEX flyway_schema_history_s_idx ON public.flyway_schema_history USING btree (success);
CREATE INDEX posts_author ON public.posts USING btree (author);
ALTER TABLE ONLY public.posts
    ADD CONSTRAINT posts_author_fkey FOREIGN KEY (author) REFERENCES public.users(id);
