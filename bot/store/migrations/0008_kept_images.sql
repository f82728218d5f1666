-- The images whose files are still there: in the order they were made, and how much room they take.

DROP INDEX images_kept;
CREATE INDEX images_kept ON images (pruned_at) WHERE pruned_at IS NULL;
CREATE INDEX images_kept_bytes ON images (bytes) WHERE pruned_at IS NULL;
