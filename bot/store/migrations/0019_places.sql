-- Where the bot itself is not, and the servers that were greeted.

ALTER TABLE discord_jobs ADD COLUMN absent INTEGER NOT NULL DEFAULT 0;  -- whether only the interaction's token answers there

CREATE TABLE greetings (
    guild_id   INTEGER PRIMARY KEY,            -- kept when the bot leaves: who invites it again knows it
    greeted_at INTEGER NOT NULL                -- when a message was first tried, whether or not it arrived
) STRICT;
