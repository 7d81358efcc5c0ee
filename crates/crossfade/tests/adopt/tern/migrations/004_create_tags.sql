CREATE TABLE tags (
    id integer PRIMARY KEY,
    label text NOT NULL
);

---- create above / drop below ----

DROP TABLE tags;
