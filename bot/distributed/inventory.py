"""Inventory: which files of models, LoRAs and the rest a machine has, by what is in them."""

from typing import Protocol


class Inventory(Protocol):
    """digests: the sha256 of every file that can be used here."""

    @property
    def digests(self) -> frozenset[str]: ...


class Unlisted:
    """Of a worker that shares the bot's folders, and so has whatever the bot has."""

    digests: frozenset[str] = frozenset()
