"""Mentions of commands: `</imagine:123>`, which a person presses to use the command."""

from collections.abc import Mapping

Ids = Mapping[str, int]
"""The IDs of commands, by name."""


class Mentions:
    """The IDs of the commands, as far as Discord has told: call it with a command's name.

    Those of one registration hold everywhere, because the bot registers either in one server or
    globally. Besides, servers may have commands of their own, each with another ID.
    """

    def __init__(self) -> None:
        self._everywhere: Ids = {}
        self._own: Mapping[str, Ids] = {}

    def learn(self, everywhere: Ids, own: Mapping[str, Ids]) -> None:
        """From now on, these are the IDs. own: those of single servers, as of a job."""
        self._everywhere = everywhere
        self._own = own

    def __call__(self, name: str, /, server: str | None = None) -> str:
        """The mention of a command, such as `imagine` or `settings me`, in a server or where there
        is none; as plain text while its ID is not known, and where there is no such command."""
        root = name.partition(" ")[0]
        number = self._own.get(server or "", {}).get(root, self._everywhere.get(root))
        return f"/{name}" if number is None else f"</{name}:{number}>"
