--liquibase formatted sql

--changeset ann:create-users
--comment: everybody
CREATE TABLE users (
    id integer PRIMARY KEY,
    email text NOT NULL
);
--rollback DROP TABLE users;

--changeset ann:create-posts
CREATE TABLE posts (
    id integer PRIMARY KEY,
    author integer NOT NULL REFERENCES users,
    title text NOT NULL
);
CREATE INDEX posts_author ON posts (author);
--rollback DROP TABLE posts;
