-- Revert shop:create_tags from pg

BEGIN;

DROP TABLE tags;

COMMIT;
