"""What users can do, one file per capability."""

EXTENSIONS = (
    "cogs.imagine",
    "cogs.compare",
    "cogs.reroll",
    "cogs.repeat",
    "cogs.edit",
    "cogs.more",
    "cogs.details",
    "cogs.publish",
    "cogs.delete",
    "cogs.report",
    "cogs.message_menu",
    "cogs.retry",
    "cogs.catalog",
    "cogs.wildcards",
    "cogs.queue",
)
