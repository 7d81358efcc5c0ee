CREATE TABLE posts (
    id integer PRIMARY KEY,
    author integer NOT NULL REFERENCES users,
    title text NOT NULL
);
CREATE INDEX posts_author ON posts (author);
