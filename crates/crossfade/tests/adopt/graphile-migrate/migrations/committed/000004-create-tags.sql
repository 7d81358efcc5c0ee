--! Previous: sha1:54e236f7236d1dc2f6431d190b3587a806a9eca4
--! Hash: sha1:99902de3be3c8dfd68bec7e7ca29eb0dce6063f7
--! Message: create tags

CREATE TABLE IF NOT EXISTS tags (id integer PRIMARY KEY, label text NOT NULL);
