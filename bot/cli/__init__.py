"""The command line: what `python main.py …` does besides the bot itself."""
