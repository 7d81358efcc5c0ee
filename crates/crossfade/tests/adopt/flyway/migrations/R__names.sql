CREATE OR REPLACE VIEW names AS SELECT id, coalesce(name, email) AS name FROM users;
