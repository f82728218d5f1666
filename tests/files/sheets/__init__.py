"""The room bot.files.sheets."""
