"""Scripts that made what is shipped; nothing here runs with the bot."""
