--liquibase formatted sql

--changeset "bob b":add-name runInTransaction:true
-- names are shown, but nobody must have one
ALTER TABLE users ADD COLUMN name text;
--rollback ALTER TABLE users DROP COLUMN name;
