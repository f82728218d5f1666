-- What was asked for in an age-restricted channel is posted in no other, whatever becomes of the channel.

ALTER TABLE discord_jobs ADD COLUMN age_restricted INTEGER NOT NULL DEFAULT 0;  -- whether it was when asked
