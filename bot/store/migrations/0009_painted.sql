-- Tells a job that was only being saved from the one that was being generated meanwhile.

ALTER TABLE jobs ADD COLUMN painted_at INTEGER;  -- when the engine had generated all of this attempt, if known
