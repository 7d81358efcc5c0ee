-- +migrate Up
CREATE TABLE tags (
    id integer PRIMARY KEY,
    label text NOT NULL
);

-- +migrate Down
DROP TABLE tags;
