-- Messages of results that someone deleted are kept until Discord has deleted them, like those of people who were forgotten.

ALTER TABLE forgotten_messages ADD COLUMN due_at INTEGER NOT NULL DEFAULT 0;  -- from when on it is deleted in the background, in ms since the epoch: whoever deleted the result may put a notice in its place until then
