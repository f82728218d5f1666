-- Times are milliseconds since the epoch, UTC. JSON columns hold what the named classes' to_dict gives.

CREATE TABLE jobs (
    id           TEXT PRIMARY KEY,
    origin       TEXT NOT NULL CHECK (origin IN ('discord', 'cli')),
    kind         TEXT NOT NULL CHECK (kind IN ('imagine', 'reroll', 'vary')),
    state        TEXT NOT NULL DEFAULT 'pending'
                 CHECK (state IN ('pending', 'running', 'done', 'delivered', 'failed', 'cancelled')),
    attempt      INTEGER NOT NULL DEFAULT 0,  -- times it was started; fences a stale worker
    crashes      INTEGER NOT NULL DEFAULT 0,  -- times the process died while it was running
    parent_id    TEXT REFERENCES jobs (id),   -- the job that a reroll repeats
    request      TEXT NOT NULL,               -- GenerationRequest
    user_id      INTEGER NOT NULL,            -- 0: the command line
    guild_id     INTEGER,
    channel_id   INTEGER,
    message_id   INTEGER,                     -- our message: first the status, in the end the result
    reply_to     INTEGER,                     -- the message that ours answers
    locale       TEXT NOT NULL,
    upload_limit INTEGER NOT NULL,            -- bytes that one attachment may have there
    created_at   INTEGER NOT NULL,
    started_at   INTEGER,
    finished_at  INTEGER,
    delivered_at INTEGER,
    error        TEXT,                        -- {"code": …, "params": {…}}
    recipe       TEXT,                        -- Recipe
    warnings     TEXT NOT NULL DEFAULT '[]'   -- [{"code": …, "params": {…}}]
) STRICT;

CREATE INDEX jobs_open ON jobs (state, created_at) WHERE state IN ('pending', 'running', 'done');
CREATE INDEX jobs_of_user ON jobs (user_id, created_at);
CREATE UNIQUE INDEX jobs_by_message ON jobs (message_id) WHERE message_id IS NOT NULL;

CREATE TABLE images (
    job_id        TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    n             INTEGER NOT NULL,           -- 0-based place in the job
    seed          INTEGER NOT NULL,
    path          TEXT NOT NULL,              -- relative to the images folder, or absolute
    bytes         INTEGER NOT NULL,
    width         INTEGER NOT NULL,
    height        INTEGER NOT NULL,
    sha256        TEXT NOT NULL,              -- of the PNG file
    pixels_sha256 TEXT NOT NULL,              -- of the RGB bytes
    PRIMARY KEY (job_id, n)
) STRICT;

CREATE TABLE settings (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
