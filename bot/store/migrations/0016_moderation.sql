-- Who changed or moderated what, who is blocked, what was reported, and what the owner switched off.

CREATE TABLE acts (
    id        INTEGER PRIMARY KEY,
    at        INTEGER NOT NULL,
    community TEXT,                           -- the server it concerns; NULL: the bot as a whole
    actor     TEXT NOT NULL,                  -- the person who did it
    kind      TEXT NOT NULL,                  -- see bot/store/acts.py
    subject   TEXT,                           -- the person, server, job or entry that it was done to
    details   TEXT NOT NULL DEFAULT '{}',     -- JSON
    told_at   INTEGER                         -- when its channel was told, or need not be; NULL: not yet
) STRICT;
CREATE INDEX acts_of_community ON acts (community, id);
CREATE INDEX acts_of_actor ON acts (actor);
CREATE INDEX acts_on_subject ON acts (subject) WHERE subject IS NOT NULL;
CREATE INDEX acts_untold ON acts (id) WHERE told_at IS NULL;

CREATE TABLE blocks (
    kind    TEXT NOT NULL CHECK (kind IN ('person', 'server')),
    blocked TEXT NOT NULL,                    -- the person or server
    within  TEXT NOT NULL,                    -- the server whose managers blocked them; '' for everywhere
    actor   TEXT NOT NULL,                    -- who blocked them
    at      INTEGER NOT NULL,
    PRIMARY KEY (kind, blocked, within)
) STRICT, WITHOUT ROWID;
CREATE INDEX blocks_within ON blocks (within, at);

CREATE TABLE reports (
    id         TEXT PRIMARY KEY,
    job_id     TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    reporter   TEXT NOT NULL,
    reason     TEXT NOT NULL,
    made_at    INTEGER NOT NULL,
    decision   TEXT CHECK (decision IN ('deleted', 'blocked', 'dismissed')),  -- NULL: open
    decided_by TEXT,
    decided_at INTEGER,
    shown      INTEGER NOT NULL DEFAULT 0     -- 1: deleted, but its message could not be taken down
) STRICT;
CREATE UNIQUE INDEX reports_once ON reports (job_id, reporter);
CREATE INDEX reports_of_reporter ON reports (reporter);
CREATE INDEX reports_open ON reports (made_at) WHERE decision IS NULL;

CREATE TABLE disabled_entries (
    kind  TEXT NOT NULL CHECK (kind IN ('model', 'adapter', 'embedding', 'upscaler')),
    name  TEXT NOT NULL,                      -- as in the catalog
    actor TEXT NOT NULL,                      -- who disabled it
    at    INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX jobs_failed ON jobs (finished_at) WHERE state = 'failed';
-- What happens to images that are flagged, and whether they were.
ALTER TABLE discord_jobs ADD COLUMN image_check TEXT NOT NULL DEFAULT 'off';
ALTER TABLE discord_jobs ADD COLUMN withheld TEXT CHECK (withheld IN ('shown', 'hidden'));
