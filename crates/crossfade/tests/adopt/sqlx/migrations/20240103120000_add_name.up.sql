-- names are shown, but nobody must have one
ALTER TABLE users ADD COLUMN name text;
