-- ControlNets can be disabled as well.
CREATE TABLE disabled_entries_now (
    kind  TEXT NOT NULL
        CHECK (kind IN ('model', 'adapter', 'embedding', 'upscaler', 'controlnet')),
    name  TEXT NOT NULL,                      -- as in the catalog
    actor TEXT NOT NULL,                      -- who disabled it
    at    INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
INSERT INTO disabled_entries_now SELECT kind, name, actor, at FROM disabled_entries;
DROP TABLE disabled_entries;
ALTER TABLE disabled_entries_now RENAME TO disabled_entries;
