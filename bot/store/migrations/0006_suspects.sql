-- Tells crashes that a job caused from those that it only witnessed.

ALTER TABLE jobs ADD COLUMN own_crashes INTEGER NOT NULL DEFAULT 0;  -- of `crashes`, those that it surely caused
ALTER TABLE jobs ADD COLUMN boot TEXT;  -- the machine's boot during which it was last started; NULL: unknown
