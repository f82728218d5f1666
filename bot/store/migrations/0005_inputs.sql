-- Which jobs refer to an input image, without reading every job.

CREATE INDEX jobs_by_init_image ON jobs (json_extract(request, '$.init_image.sha256'))
    WHERE json_valid(request) AND json_extract(request, '$.init_image.sha256') IS NOT NULL;
CREATE INDEX jobs_by_reference ON jobs (json_extract(request, '$.reference.sha256'))
    WHERE json_valid(request) AND json_extract(request, '$.reference.sha256') IS NOT NULL;
