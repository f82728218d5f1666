-- Several GPUs: where a job was generated, and which are too small for it.

ALTER TABLE jobs ADD COLUMN lane TEXT;  -- the name of the lane that last started it; NULL: not started, or by an earlier version
ALTER TABLE jobs ADD COLUMN memory_above INTEGER NOT NULL DEFAULT 0;  -- bytes of the largest GPU on which it ran out of memory; 0: none
ALTER TABLE jobs ADD COLUMN isolated INTEGER NOT NULL DEFAULT 0;  -- whether it was last started in another process than the bot's
ALTER TABLE jobs ADD COLUMN deaths INTEGER NOT NULL DEFAULT 0;  -- how often the bot died while it ran in another process, and was not blamed
