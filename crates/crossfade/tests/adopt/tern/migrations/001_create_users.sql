CREATE TABLE users (
    id integer PRIMARY KEY,
    email text NOT NULL
);

---- create above / drop below ----

DROP TABLE users;
