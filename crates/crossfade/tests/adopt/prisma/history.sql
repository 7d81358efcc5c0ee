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
CREATE TABLE public._prisma_migrations (
    id character varying(36) NOT NULL,
    checksum character varying(64) NOT NULL,
    finished_at timestamp with time zone,
    migration_name character varying(255) NOT NULL,
    logs text,
    rolled_back_at timestamp with time zone,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    applied_steps_count integer DEFAULT 0 NOT NULL
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
INSERT INTO public._prisma_migrations VALUES ('0575349e-36fe-47c5-8b4d-da0c497d9c3c', 'f68ffcbe6451adff618b98493b72e77a4d3b4505ee45a3986558815ed5e65117', '2026-11-25 21:45:48.151126+00', '20240101120000_create_users', NULL, NULL, '2026-11-25 21:45:48.151126+00', 1);
INSERT INTO public._prisma_migrations VALUES ('b9ba90ae-1b82-4696-9c04-e2cbc45dd483', 'd869b2b09a111c9f8c35da5b7661a8db2d27bdc88ddae6c8ba2d1c4dc083f37b', '2026-11-25 21:45:48.161988+00', '20240102120000_create_posts', NULL, NULL, '2026-11-25 21:45:48.161988+00', 1);
INSERT INTO public._prisma_migrations VALUES ('86d875af-a478-4827-874f-6262994b3bac', 'b9dbb93f6c61bc280f5930075ac68673e459bad872337e91e42a7c53b7aee383', '2026-11-25 21:45:48.16225+00', '20240103120000_add_name', NULL, NULL, '2026-11-25 21:45:48.16225+00', 1);
INSERT INTO public._prisma_migrations VALUES ('b9a1909e-9db3-4ca6-85f4-5986f75cfbc5', 'f68ffcbe6451adff618b98493b72e77a4d3b4505ee45a3986558815ed5e65117', NULL, '20240101120000_create_users', 'syntax error', '2026-11-25 21:45:48.162307+00', '2026-11-25 21:45:48.162307+00', 0);
ALTER TABLE ONLY public._prisma_migrations
    ADD CONSTRAINT _prisma_migrations_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.posts
    ADD CONSTRAINT posts_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);
CREATE INDEX posts_author ON public.posts USING btree (author);
ALTER TABLE ONLY public.posts
    ADD CONSTRAINT posts_author_fkey FOREIGN KEY (author) REFERENCES public.users(id);
