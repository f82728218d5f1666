-- Jobs that were asked for over HTTP, and the keys of those who may ask.

CREATE TABLE api_keys (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    digest     TEXT NOT NULL UNIQUE,          -- SHA-256 of the key, which itself is not kept
    created_at INTEGER NOT NULL,
    revoked_at INTEGER,
    rate       INTEGER,                       -- requests a minute; NULL for no limit
    daily      INTEGER,                       -- images in any 24 hours; NULL for no limit
    nsfw       INTEGER NOT NULL DEFAULT 0,    -- whether it may use what is for age-restricted channels
    admin      INTEGER NOT NULL DEFAULT 0,    -- whether it may see and cancel the jobs of other keys
    priority   INTEGER NOT NULL DEFAULT 0     -- of its jobs: higher goes first
) STRICT;
CREATE UNIQUE INDEX api_keys_by_name ON api_keys (name) WHERE revoked_at IS NULL;

CREATE TABLE api_jobs (
    job_id      TEXT PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    key_id      TEXT NOT NULL,                -- 'local' for a caller on this machine without a key
    repeat_key  TEXT,                         -- the caller's Idempotency-Key
    asked       TEXT                          -- SHA-256 of what was asked with it
) STRICT;
CREATE UNIQUE INDEX api_jobs_by_repeat_key ON api_jobs (key_id, repeat_key) WHERE repeat_key IS NOT NULL;

-- What each key has uploaded within about an hour: only that key may name it in a request.
CREATE TABLE api_uploads (
    key_id     TEXT NOT NULL,
    sha256     TEXT NOT NULL,
    bytes      INTEGER NOT NULL,
    given_at   INTEGER NOT NULL,
    PRIMARY KEY (key_id, sha256)
) STRICT, WITHOUT ROWID;
