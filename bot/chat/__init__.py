"""The Discord side: the client, its commands and buttons, and what users see."""
