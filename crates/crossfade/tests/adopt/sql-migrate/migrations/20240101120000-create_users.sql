-- +migrate Up
CREATE TABLE users (
    id integer PRIMARY KEY,
    email text NOT NULL
);

-- +migrate Down
DROP TABLE users;
