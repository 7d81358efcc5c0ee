-- migrate:up
CREATE TABLE tags (
    id integer PRIMARY KEY,
    label text NOT NULL
);

-- migrate:down
DROP TABLE tags;
