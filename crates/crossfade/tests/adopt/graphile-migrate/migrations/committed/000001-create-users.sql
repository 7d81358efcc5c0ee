--! Previous: -
--! Hash: sha1:246c201b9b4ba621046a5dfa6076439188ea296b
--! Message: create users

CREATE TABLE IF NOT EXISTS users (
    id integer PRIMARY KEY,
    email text NOT NULL
);
