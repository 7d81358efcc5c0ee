--! Previous: sha1:246c201b9b4ba621046a5dfa6076439188ea296b
--! Hash: sha1:81eb4eb5c9d9afb4575c6c657632f1d4ae393664
--! Message: create posts

DROP TABLE IF EXISTS posts;
CREATE TABLE posts (id integer PRIMARY KEY, author integer NOT NULL REFERENCES users, title text NOT NULL);
CREATE INDEX posts_author ON posts (author);
