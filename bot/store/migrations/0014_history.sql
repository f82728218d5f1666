-- What people keep, an index of what they wrote, and where their results were shown again.

CREATE TABLE favourites (
    person  TEXT NOT NULL,
    job_id  TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    kept_at INTEGER NOT NULL,
    PRIMARY KEY (person, job_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX favourites_by_job ON favourites (job_id);
CREATE INDEX favourites_by_time ON favourites (person, kept_at);

-- The words of prompts and negative prompts; see bot/store/history/words.py for what is in it.
CREATE VIRTUAL TABLE history USING fts5 (
    prompt, negative, tags,
    content = '', columnsize = 0, tokenize = "ascii tokenchars '_:=.-~%'"
);
INSERT INTO history (history, rank) VALUES ('automerge', 0);  -- see History.tend
CREATE VIRTUAL TABLE history_terms USING fts5vocab (history, instance);

-- Whose rows these are. A job that is still in the index cannot be deleted.
CREATE TABLE history_entries (
    number INTEGER PRIMARY KEY,               -- rowid in history; grows with the time of the job
    job_id TEXT NOT NULL UNIQUE REFERENCES jobs (id)
) STRICT;

-- Jobs with a smaller rowid than this may not be in the index yet; '' as the format: none is.
CREATE TABLE history_progress (
    only   INTEGER PRIMARY KEY CHECK (only = 1),
    format TEXT NOT NULL,
    below  INTEGER NOT NULL
) STRICT;
INSERT INTO history_progress VALUES (1, '', 0);

-- Messages that show a result a second time, so that deleting it takes them down as well.
CREATE TABLE sent_again (
    message_id INTEGER PRIMARY KEY,
    channel_id INTEGER NOT NULL,
    job_id     TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE
) STRICT;
CREATE INDEX sent_again_by_job ON sent_again (job_id);

CREATE INDEX jobs_of_community ON jobs (community, created_at) WHERE community IS NOT NULL;
