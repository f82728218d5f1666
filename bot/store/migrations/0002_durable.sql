-- What a crash must not lose, and what was done about the files.

ALTER TABLE jobs ADD COLUMN interaction_id INTEGER;  -- Discord's: the command that asked; NULL for a reaction
ALTER TABLE jobs ADD COLUMN posting_at INTEGER;      -- when a message of its own was first sent, arrived or not
ALTER TABLE jobs ADD COLUMN told_at INTEGER;         -- when the person was told that it failed or was cancelled
ALTER TABLE jobs ADD COLUMN lost_to TEXT;            -- what last ended the process while it ran: died, device, hung

CREATE UNIQUE INDEX jobs_by_interaction ON jobs (interaction_id) WHERE interaction_id IS NOT NULL;
CREATE INDEX jobs_untold ON jobs (state) WHERE told_at IS NULL AND state IN ('failed', 'cancelled');

-- Nobody is told now of what ended before.
UPDATE jobs SET told_at = coalesce(finished_at, created_at) WHERE state IN ('failed', 'cancelled');

-- Secrets, each erased when it is of no more use.
CREATE TABLE tokens (
    job_id  TEXT PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    token   TEXT NOT NULL,
    good_to INTEGER NOT NULL
) STRICT;

ALTER TABLE images ADD COLUMN pruned_at INTEGER;     -- when its file was deleted to make room
CREATE INDEX images_kept ON images (job_id) WHERE pruned_at IS NULL;
