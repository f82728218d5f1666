-- Keys of workers: for the files that a worker lacks, and for nothing else.

ALTER TABLE api_keys ADD COLUMN worker INTEGER NOT NULL DEFAULT 0;  -- whether it is one
