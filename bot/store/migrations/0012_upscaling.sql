-- Which jobs enlarge an input image, likewise without reading every job.

CREATE INDEX jobs_by_upscale ON jobs (json_extract(request, '$.upscale.sha256'))
    WHERE json_valid(request) AND json_extract(request, '$.upscale.sha256') IS NOT NULL;
