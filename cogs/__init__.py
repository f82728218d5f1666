"""What users can do, one file per capability."""

EXTENSIONS = (
    "cogs.imagine",
    "cogs.compare",
    "cogs.upscale",
    "cogs.reroll",
    "cogs.repeat",
    "cogs.edit",
    "cogs.more",
    "cogs.details",
    "cogs.publish",
    "cogs.delete",
    "cogs.report",
    "cogs.compare_result",
    "cogs.upscale_result",
    "cogs.reopen",
    "cogs.info",
    "cogs.message_menu",
    "cogs.retry",
    "cogs.catalog",
    "cogs.wildcards",
    "cogs.queue",
)
