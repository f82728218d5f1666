"""Mentions of commands: `</imagine:123>`, which a person presses to use the command."""

from collections.abc import Mapping


class Mentions:
    """The IDs of the commands, as far as Discord has told: call it with a command's name.

    Those of one registration hold everywhere, because the bot registers either in one server or
    globally.
    """

    def __init__(self) -> None:
        self._ids: Mapping[str, int] = {}

    def learn(self, ids: Mapping[str, int]) -> None:
        """From now on, these are the IDs of the commands, by name."""
        self._ids = dict(ids)

    def __call__(self, name: str) -> str:
        """The mention of a command, such as `imagine` or `settings me`; as plain text while its ID
        is not known."""
        number = self._ids.get(name.partition(" ")[0])
        return f"/{name}" if number is None else f"</{name}:{number}>"
