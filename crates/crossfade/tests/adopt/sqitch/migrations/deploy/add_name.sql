-- Deploy shop:add_name to pg

BEGIN;

-- names are shown, but nobody must have one
ALTER TABLE users ADD COLUMN name text;

COMMIT;
