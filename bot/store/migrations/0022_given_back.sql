-- Workers that give their jobs back: how often that happened to each.

ALTER TABLE jobs ADD COLUMN given_back INTEGER NOT NULL DEFAULT 0;  -- how often it had to go elsewhere through no fault of its own
