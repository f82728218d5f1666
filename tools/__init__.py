"""Scripts that made the shipped files; nothing here runs with the bot."""
