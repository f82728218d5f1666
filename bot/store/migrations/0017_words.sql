-- Words and patterns that may not stand in a prompt.

CREATE TABLE blocked_words (
    community TEXT NOT NULL,                  -- the server that blocks it; '' for the owner
    text      TEXT NOT NULL,                  -- as it was entered
    kind      TEXT NOT NULL CHECK (kind IN ('word', 'pattern')),
    action    TEXT NOT NULL CHECK (action IN ('refuse', 'report', 'restrict')),
    added_by  TEXT NOT NULL,
    added_at  INTEGER NOT NULL,
    PRIMARY KEY (community, kind, text)
) STRICT, WITHOUT ROWID;
