-- Revert shop:add_name from pg

BEGIN;

ALTER TABLE users DROP COLUMN name;

COMMIT;
