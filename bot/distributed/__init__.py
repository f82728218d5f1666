"""Engines on other machines, and the files that they need.

parts.py       what an entry of the catalog needs of the disk, as files
inventory.py   the digest of each part, and where the part with a digest is on this machine
localising.py  orders in which digests stand in place of paths, and the other way round
fetched.py     the folder of what was fetched; fetching.py: fetching from the bot
"""
