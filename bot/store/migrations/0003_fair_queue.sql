ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;  -- of the user's roles when asked
ALTER TABLE jobs ADD COLUMN passed INTEGER NOT NULL DEFAULT 0;    -- times that others went ahead when it was its turn
ALTER TABLE jobs ADD COLUMN due_at INTEGER;                       -- when they first did

-- When a user was last served; and the latest jobs, to learn from how long they took.
CREATE INDEX jobs_served ON jobs (user_id, started_at) WHERE started_at IS NOT NULL;
CREATE INDEX jobs_started ON jobs (started_at) WHERE state IN ('done', 'delivered');
