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
CREATE TABLE public.databasechangelog (
    id character varying(255) NOT NULL,
    author character varying(255) NOT NULL,
    filename character varying(255) NOT NULL,
    dateexecuted timestamp without time zone NOT NULL,
    orderexecuted integer NOT NULL,
    exectype character varying(10) NOT NULL,
    md5sum character varying(35),
    description character varying(255),
    comments character varying(255),
    tag character varying(255),
    liquibase character varying(20),
    contexts character varying(255),
    labels character varying(255),
    deployment_id character varying(10)
);
CREATE TABLE public.databasechangeloglock (
    id integer NOT NULL,
    locked boolean NOT NULL,
    lockgranted timestamp without time zone,
    lockedby character varying(255)
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
INSERT INTO public.databasechangelog VALUES ('create-users', 'ann', 'changelog/001_users.sql', '2026-11-25 21:43:56.968839', 1, 'EXECUTED', '9:da4537b7b76f8e351d4101e506669f31', 'sql', 'everybody', NULL, '4.33.0', NULL, NULL, '5643035901');
INSERT INTO public.databasechangelog VALUES ('create-posts', 'ann', 'changelog/001_users.sql', '2026-11-25 21:43:56.99373', 2, 'EXECUTED', '9:25d2000dc31f621bbf11339d287133fd', 'sql', '', NULL, '4.33.0', NULL, NULL, '5643035901');
INSERT INTO public.databasechangelog VALUES ('add-name', 'bob b', 'changelog/002_names.sql', '2026-11-25 21:43:57.241859', 3, 'EXECUTED', '9:a120fa5f5d1048a94a853b5450aac520', 'sql', '', NULL, '4.33.0', NULL, NULL, '5643035901');
INSERT INTO public.databasechangeloglock VALUES (1, false, NULL, NULL);
ALTER TABLE ONLY public.databasechangeloglock
    ADD CONSTRAINT databasechangeloglock_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.posts
    ADD CONSTRAINT posts_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);
CREATE INDEX posts_author ON public.posts USING btree (author);
ALTER TABLE ONLY public.posts
    ADD CONSTRAINT posts_author_fkey FOREIGN KEY (author) REFERENCES public.users(id);
