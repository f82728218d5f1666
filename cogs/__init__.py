"""What users can do, one file per capability."""

EXTENSIONS = (
    "cogs.imagine",
    "cogs.upscale",
    "cogs.reroll",
    "cogs.retry",
    "cogs.catalog",
    "cogs.queue",
)
