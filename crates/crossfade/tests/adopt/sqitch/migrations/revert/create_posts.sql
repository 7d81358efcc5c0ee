-- Revert shop:create_posts from pg

BEGIN;

DROP TABLE posts;

COMMIT;
