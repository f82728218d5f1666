"""What users can do, one file per capability."""

EXTENSIONS = (
    "cogs.imagine",
    "cogs.reroll",
    "cogs.repeat",
    "cogs.edit",
    "cogs.details",
    "cogs.publish",
    "cogs.delete",
    "cogs.report",
    "cogs.info",
    "cogs.message_menu",
    "cogs.retry",
    "cogs.catalog",
    "cogs.queue",
)
