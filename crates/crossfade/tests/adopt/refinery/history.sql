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
CREATE TABLE public.posts (
    id integer NOT NULL,
    author integer NOT NULL,
    title text NOT NULL
);
CREATE TABLE public.refinery_schema_history (
    version integer NOT NULL,
    name character varying(255),
    applied_on character varying(255),
    checksum character varying(255)
);
CREATE TABLE public.users (
    id integer NOT NULL,
    email text NOT NULL,
    name text
);
INSERT INTO public.refinery_schema_history VALUES (1, 'create_users', '2026-11-25T21:56:51.138061914Z', '13714256182005945297');
INSERT INTO public.refinery_schema_history VALUES (2, 'create_posts', '2026-11-25T21:56:51.138091017Z', '5653627496005403073');
INSERT INTO public.refinery_schema_history VALUES (3, 'add_name', '2026-11-25T21:56:51.138093781Z', '9044205697625023535');
ALTER TABLE ONLY public.posts
    ADD CONSTRAINT posts_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.refinery_schema_history
    ADD CONSTRAINT refinery_schema_history_pkey PRIMARY KEY (version);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);
CREATE INDEX posts_author ON public.posts USING btree (author);
ALTER TABLE ONLY public.posts
    ADD CONSTRAINT posts_author_fkey FOREIGN KEY (author) REFERENCES public.users(id);
