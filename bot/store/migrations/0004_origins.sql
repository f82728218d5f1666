-- Separates what the queue needs to know about a job from where its answer goes, so that Discord is one of
-- several origins. SQLite cannot change a CHECK, so the table is rebuilt, with foreign keys turned off.

CREATE TABLE jobs_rebuilt (
    id           TEXT PRIMARY KEY,
    origin       TEXT NOT NULL,               -- `name` of a class in bot/store/origins.py
    kind         TEXT NOT NULL,               -- Kind in bot/store/jobs.py
    state        TEXT NOT NULL DEFAULT 'pending'
                 CHECK (state IN ('pending', 'running', 'done', 'delivered', 'failed', 'cancelled')),
    attempt      INTEGER NOT NULL DEFAULT 0,  -- times it was started; fences a stale worker
    crashes      INTEGER NOT NULL DEFAULT 0,  -- times the process died while it was running
    lost_to      TEXT,                        -- why the process last ended while it ran: died, device, hung
    parent_id    TEXT REFERENCES jobs (id),   -- the job that a reroll repeats
    request      TEXT NOT NULL,               -- GenerationRequest
    person       TEXT NOT NULL,               -- who asked, for turns, limits and quotas
    community    TEXT,                        -- the server it was asked in
    priority     INTEGER NOT NULL DEFAULT 0,  -- from the person's roles at the time
    passed       INTEGER NOT NULL DEFAULT 0,  -- times that another job went ahead when it was its turn
    due_at       INTEGER,                     -- when one first did
    created_at   INTEGER NOT NULL,
    started_at   INTEGER,
    finished_at  INTEGER,
    delivered_at INTEGER,
    told_at      INTEGER,                     -- when the person was told that it failed or was cancelled
    error        TEXT,                        -- {"code": …, "params": {…}}
    recipe       TEXT,                        -- Recipe
    warnings     TEXT NOT NULL DEFAULT '[]'   -- [{"code": …, "params": {…}}]
) STRICT;

INSERT INTO jobs_rebuilt (id, origin, kind, state, attempt, crashes, lost_to, parent_id, request, person,
                          community, priority, passed, due_at, created_at, started_at, finished_at,
                          delivered_at, told_at, error, recipe, warnings)
SELECT id, origin, kind, state, attempt, crashes, lost_to, parent_id, request,
       iif(origin = 'cli', 'cli', origin || ':' || user_id),
       iif(origin = 'cli' OR guild_id IS NULL, NULL, origin || ':' || guild_id),
       priority, passed, due_at, created_at, started_at, finished_at,
       delivered_at, told_at, error, recipe, warnings
FROM jobs ORDER BY rowid;

CREATE TABLE discord_jobs (
    job_id         TEXT PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    user_id        INTEGER NOT NULL,
    guild_id       INTEGER,
    channel_id     INTEGER,
    message_id     INTEGER,                   -- our message: first the status, finally the result
    reply_to       INTEGER,                   -- the message that ours replies to
    locale         TEXT NOT NULL,
    upload_limit   INTEGER NOT NULL,          -- bytes per attachment there
    interaction_id INTEGER,                   -- the command or button that asked; NULL for a reaction
    posting_at     INTEGER                    -- when a separate message was first sent, arrived or not
) STRICT;

INSERT INTO discord_jobs
SELECT id, user_id, guild_id, channel_id, message_id, reply_to, locale, upload_limit, interaction_id, posting_at
FROM jobs WHERE origin = 'discord' ORDER BY rowid;

DROP TABLE jobs;
ALTER TABLE jobs_rebuilt RENAME TO jobs;

CREATE INDEX jobs_open ON jobs (state, created_at) WHERE state IN ('pending', 'running', 'done');
CREATE INDEX jobs_of_person ON jobs (person, created_at);
CREATE INDEX jobs_untold ON jobs (state) WHERE told_at IS NULL AND state IN ('failed', 'cancelled');
CREATE INDEX jobs_served ON jobs (person, started_at) WHERE started_at IS NOT NULL;
CREATE INDEX jobs_started ON jobs (started_at) WHERE state IN ('done', 'delivered');
CREATE UNIQUE INDEX discord_jobs_by_message ON discord_jobs (message_id) WHERE message_id IS NOT NULL;
CREATE UNIQUE INDEX discord_jobs_by_interaction ON discord_jobs (interaction_id)
    WHERE interaction_id IS NOT NULL;
