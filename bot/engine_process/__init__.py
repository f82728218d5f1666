"""An engine in a process of its own, which can be killed and replaced without ending the bot.

engine.py        ProcessEngine: one lane's engine as the bot sees it, whichever process it is in
process.py       one such process: its pipes, what it sends, how it ended
environment.py   what it gets of this process's environment: no setting and no token
child.py         what runs in it: the engine, and the threads that listen meanwhile
frames.py        what is written to a pipe: a kind, JSON and bytes; messages.py: what is in them
logs.py          its lines, which go through the bot's own logging

The two talk through the process's standard input and output. It ends when its input does, and so
with the bot, however that ends.
"""

from bot.engine_process.engine import ProcessEngine

__all__ = ["ProcessEngine"]
