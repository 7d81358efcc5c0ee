-- Deploy shop:create_users to pg

BEGIN;

CREATE TABLE users (
    id integer PRIMARY KEY,
    email text NOT NULL
);

COMMIT;
