-- The images that ControlNets follow, so that it is known which input images are in use.
CREATE INDEX jobs_by_control_1 ON jobs (json_extract(request, '$.controls[0].sha256'))
    WHERE json_valid(request) AND json_extract(request, '$.controls[0].sha256') IS NOT NULL;
CREATE INDEX jobs_by_control_2 ON jobs (json_extract(request, '$.controls[1].sha256'))
    WHERE json_valid(request) AND json_extract(request, '$.controls[1].sha256') IS NOT NULL;
