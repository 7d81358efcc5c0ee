ALTER TABLE visits ADD COLUMN at timestamptz NOT NULL DEFAULT now();
