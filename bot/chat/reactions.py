"""Which reactions are on a message, as far as Discord has told: one is a request only once.

A reaction that was taken away and added again is a new request. Nothing is kept across a restart,
because Discord repeats nothing to a new session. What a resumed one repeats, the client drops; this
is for a reaction that comes twice as two events.
"""

import discord

REMEMBERED = 10_000
"""How many reactions are remembered."""

Key = tuple[int, int, str, bool]


class ReactionsPresent:
    """The latest reactions that were requests."""

    def __init__(self) -> None:
        self._present: dict[Key, None] = {}

    def add(self, event: discord.RawReactionActionEvent) -> bool:
        """Note a reaction; returns False if it is there already."""
        key = _key(event)
        if key in self._present:
            return False
        self._present[key] = None
        if len(self._present) > REMEMBERED:
            del self._present[next(iter(self._present))]
        return True

    def remove(self, event: discord.RawReactionActionEvent) -> None:
        self._present.pop(_key(event), None)

    def clear(self, message_id: int, emoji: str | None = None) -> None:
        """Forget all reactions on a message, or all with that emoji."""
        for key in [*self._present]:
            if key[0] == message_id and emoji in (None, key[2]):
                del self._present[key]


def _key(event: discord.RawReactionActionEvent) -> Key:
    # A person may add the same emoji twice: as a normal and as a super reaction.
    return event.message_id, event.user_id, event.emoji.name, event.burst
