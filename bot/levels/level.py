"""The levels, from the one that all others stay within to the nearest."""

from enum import StrEnum


class Level(StrEnum):
    """Each may only narrow what those before it allow."""

    OWNER = "owner"
    SERVER = "server"
    CHANNEL = "channel"
    PERSON = "person"
