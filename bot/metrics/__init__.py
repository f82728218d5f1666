"""Numbers for whoever watches over the bot."""
