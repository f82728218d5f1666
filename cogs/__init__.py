"""What users can do, one file per capability."""

EXTENSIONS = ("cogs.imagine", "cogs.reroll", "cogs.lighter", "cogs.catalog", "cogs.queue")
