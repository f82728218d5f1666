"""Workers on other machines, reached through SAQ on a Redis or Valkey broker.

The broker carries only what a worker can begin now: who is next is decided by the bot's queue, and
what is waiting is in its store. Nothing here is imported unless IMAGEN_BROKER is set.
"""
