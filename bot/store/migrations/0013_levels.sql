-- What servers, channels and people have set for themselves.

CREATE TABLE level_settings (
    level      TEXT NOT NULL CHECK (level IN ('server', 'channel', 'person')),
    place      TEXT NOT NULL,                 -- `discord:` and the ID of the server, channel or person
    community  TEXT,                          -- the server of a channel or of the row itself
    settings   TEXT NOT NULL,                 -- JSON, see bot/levels
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (level, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX level_settings_of_community ON level_settings (community)
    WHERE community IS NOT NULL;

-- The channel that a thread belongs to: what is set for it holds in the thread.
ALTER TABLE discord_jobs ADD COLUMN parent_channel_id INTEGER;
