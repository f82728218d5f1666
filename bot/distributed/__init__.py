"""Workers on other machines, and the files that they need. The broker between them and the bot is
Redis or Valkey, through SAQ; nothing of it is imported unless IMAGEN_BROKER is set.

The broker carries only what a worker can begin now: who is next is decided by the bot's queue, and
what waits is in its store.

broker.py        where the broker is, and what it takes to be trusted with that
pace.py, keys.py how often both ends hear of each other; names of keys in the broker
saq_parts.py     what of SAQ is used
worker.py        the worker; device.py: one of its devices; announcement.py: what it says of itself
running.py       an order that a device has; transfers.py: what it fetches and brings for it
roster.py        the bot's list of its workers, whose devices come and go as lanes
remote.py        the engine of a worker as if it were here; exchange.py: one order there and back
pieces.py        what is too large for one command; patience.py: with transfers that do not get on
answers.py       what a worker leaves in the broker for an order
access.py        logins of the broker that are limited to one worker; manage.py: the owner's view

parts.py         what an entry of the catalog needs of the disk, as files
inventory.py     the digest of each part, and where the part with a digest is on this machine
readings.py      which of a part's files an engine reads; expecting.py: what a recipe says of them
localising.py    orders in which digests stand in place of paths, and the other way round
fetched.py       the folder of what was fetched; fetching.py: fetching from the bot
"""
