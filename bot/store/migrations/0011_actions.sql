-- Results that people act on: hidden ones, deleted ones, and forms that were sent back for a mistake.

ALTER TABLE discord_jobs ADD COLUMN hidden INTEGER NOT NULL DEFAULT 0;   -- whether only the person sees it
ALTER TABLE discord_jobs ADD COLUMN spoiler INTEGER NOT NULL DEFAULT 0;  -- whether its images are blurred until clicked
ALTER TABLE jobs ADD COLUMN deleted_at INTEGER;                          -- when someone deleted its images
CREATE INDEX jobs_by_deletion ON jobs (deleted_at) WHERE deleted_at IS NOT NULL;

-- What a person entered into a form that had a mistake, so that it can be opened again as it was.
CREATE TABLE forms (
    id      TEXT PRIMARY KEY,
    person  TEXT NOT NULL,
    of      TEXT NOT NULL,                -- the custom_id of the form
    entered TEXT NOT NULL,                -- JSON: the text of each field
    made_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX forms_by_age ON forms (made_at);
