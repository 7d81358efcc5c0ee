--! Previous: sha1:81eb4eb5c9d9afb4575c6c657632f1d4ae393664
--! Hash: sha1:54e236f7236d1dc2f6431d190b3587a806a9eca4
--! Message: add name

-- names are shown, but nobody must have one
ALTER TABLE users ADD COLUMN IF NOT EXISTS name text;
