"""The command line: what each `python main.py …` subcommand does."""
