"""Discord's REST API v10, the part that a bot of this kind uses."""
