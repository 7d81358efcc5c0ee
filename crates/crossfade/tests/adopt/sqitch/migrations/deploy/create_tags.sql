-- Deploy shop:create_tags to pg

BEGIN;

CREATE TABLE tags (
    id integer PRIMARY KEY,
    label text NOT NULL
);

COMMIT;
