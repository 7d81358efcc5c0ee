-- +goose Up
CREATE TABLE tags (
    id integer PRIMARY KEY,
    label text NOT NULL
);

-- +goose Down
DROP TABLE tags;
