"""Everything of Discord: the client, its commands and buttons, and what people see."""
