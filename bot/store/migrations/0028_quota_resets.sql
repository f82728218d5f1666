-- Requests that no longer count towards a limit, because a moderator or the owner let their person start over.
CREATE TABLE quota_resets (
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    within TEXT NOT NULL,                     -- the server whose limits it no longer counts towards; '' for all
    PRIMARY KEY (job_id, within)
) STRICT, WITHOUT ROWID;
