-- The masks of jobs, so that it is known which input images are in use.
CREATE INDEX jobs_by_mask ON jobs (json_extract(request, '$.init_image.mask'))
    WHERE json_valid(request) AND json_extract(request, '$.init_image.mask') IS NOT NULL;
