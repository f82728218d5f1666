-- What is in an image, as it was described; NULL for a job that generates images.
ALTER TABLE jobs ADD COLUMN words TEXT;
-- Which jobs describe an input image, so that it is known to be in use.
CREATE INDEX jobs_by_describe ON jobs (json_extract(request, '$.describe.sha256'))
    WHERE json_valid(request) AND json_extract(request, '$.describe.sha256') IS NOT NULL;
