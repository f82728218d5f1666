-- What people asked to have forgotten, until it is; and what is found only with these indexes.

CREATE TABLE forgettings (
    id        TEXT PRIMARY KEY,
    person    TEXT NOT NULL,
    since     INTEGER NOT NULL,               -- what is older stays; 0: nothing does
    until     INTEGER NOT NULL,               -- what is younger stays
    hand_over INTEGER NOT NULL,               -- whether presets shared with a server stay there, without a name
    asked_at  INTEGER NOT NULL,
    token     TEXT,                           -- with which the answer can be changed; a secret
    good_to   INTEGER,                        -- until when, in ms since the epoch
    locale    TEXT                            -- the language of the answer
) STRICT, WITHOUT ROWID;
CREATE INDEX forgettings_of_person ON forgettings (person);

-- What is still to be deleted of jobs whose rows are gone. None of it names a person.
CREATE TABLE forgotten_inputs (
    sha256 TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE forgotten_messages (
    message_id INTEGER PRIMARY KEY,
    channel_id INTEGER NOT NULL,
    asked      TEXT,                          -- ID of the request to forget that waits for it
    reach      TEXT NOT NULL DEFAULT 'channel', -- or 'answer': by a token alone; 'hidden': and one person sees it
    token      TEXT,                          -- of the interaction that it answers; a secret
    good_to    INTEGER,                       -- until when, in ms since the epoch
    tries      INTEGER NOT NULL DEFAULT 0,    -- how often Discord could not be reached for it
    refused    INTEGER NOT NULL DEFAULT 0     -- whether Discord does not let it be deleted
) STRICT;
CREATE INDEX forgotten_messages_next ON forgotten_messages (refused, tries, message_id);
CREATE INDEX forgotten_messages_asked ON forgotten_messages (asked);

-- A job that another was made from is not deleted, but reduced.
CREATE INDEX jobs_by_parent ON jobs (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX forms_of_person ON forms (person);
CREATE INDEX presets_by_person ON presets (person, saved_at);
-- What the owner does not keep any longer.
CREATE INDEX jobs_by_age ON jobs (created_at) WHERE state IN ('delivered', 'failed', 'cancelled');

-- Who has done what, to take them out of it.
CREATE INDEX blocks_by_actor ON blocks (actor);
CREATE INDEX blocked_words_by_person ON blocked_words (added_by);
CREATE INDEX reports_by_decision ON reports (decided_by) WHERE decided_by IS NOT NULL;
