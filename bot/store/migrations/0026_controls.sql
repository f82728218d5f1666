-- The images that ControlNets follow, so that it is known which input images are in use.
CREATE INDEX jobs_by_control_1 ON jobs (json_extract(request, '$.controls[0].sha256'))
    WHERE json_valid(request) AND json_extract(request, '$.controls[0].sha256') IS NOT NULL;
CREATE INDEX jobs_by_control_2 ON jobs (json_extract(request, '$.controls[1].sha256'))
    WHERE json_valid(request) AND json_extract(request, '$.controls[1].sha256') IS NOT NULL;

-- ControlNets can be switched off as well.
CREATE TABLE disabled_entries_rebuilt (
    kind  TEXT NOT NULL CHECK (kind IN ('model', 'adapter', 'embedding', 'upscaler', 'control')),
    name  TEXT NOT NULL,                      -- as in the catalog
    actor TEXT NOT NULL,                      -- who disabled it
    at    INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
INSERT INTO disabled_entries_rebuilt SELECT kind, name, actor, at FROM disabled_entries;
DROP TABLE disabled_entries;
ALTER TABLE disabled_entries_rebuilt RENAME TO disabled_entries;
