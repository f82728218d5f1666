-- The images that a job edits, so that it is known which input images are in use.
CREATE INDEX jobs_by_picture_1 ON jobs (json_extract(request, '$.pictures[0]'))
    WHERE json_valid(request) AND json_extract(request, '$.pictures[0]') IS NOT NULL;
CREATE INDEX jobs_by_picture_2 ON jobs (json_extract(request, '$.pictures[1]'))
    WHERE json_valid(request) AND json_extract(request, '$.pictures[1]') IS NOT NULL;
CREATE INDEX jobs_by_picture_3 ON jobs (json_extract(request, '$.pictures[2]'))
    WHERE json_valid(request) AND json_extract(request, '$.pictures[2]') IS NOT NULL;
CREATE INDEX jobs_by_picture_4 ON jobs (json_extract(request, '$.pictures[3]'))
    WHERE json_valid(request) AND json_extract(request, '$.pictures[3]') IS NOT NULL;
