-- What people keep, and an index of what they wrote.

CREATE TABLE favourites (
    person  TEXT NOT NULL,
    job_id  TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    kept_at INTEGER NOT NULL,
    PRIMARY KEY (person, job_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX favourites_by_job ON favourites (job_id);
