-- Sets of options that people have saved.

CREATE TABLE presets (
    id        TEXT PRIMARY KEY,
    person    TEXT NOT NULL,                  -- who saved it
    community TEXT,                           -- the server that it is shared with; NULL: private
    name      TEXT NOT NULL,
    folded    TEXT NOT NULL,                  -- the name without case and accents, to find it by
    options   TEXT NOT NULL,                  -- JSON: the option's name and value
    saved_at  INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX presets_of_person ON presets (person, folded) WHERE community IS NULL;
CREATE UNIQUE INDEX presets_of_community ON presets (community, folded) WHERE community IS NOT NULL;
