-- What servers, channels and people have set for themselves.

CREATE TABLE level_settings (
    level      TEXT NOT NULL CHECK (level IN ('server', 'channel', 'person')),
    place      TEXT NOT NULL,                 -- `discord:` and the ID of the server, channel or person
    community  TEXT,                          -- the server of a channel or of the row itself
    settings   TEXT NOT NULL,                 -- JSON, see bot/levels
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (level, place)
) STRICT, WITHOUT ROWID;
