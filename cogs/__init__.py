"""What users can do, one file per capability."""

EXTENSIONS = (
    "cogs.imagine",
    "cogs.reroll",
    "cogs.retry",
    "cogs.catalog",
    "cogs.wildcards",
    "cogs.queue",
)
