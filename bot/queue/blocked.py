"""Who was blocked while the bot ran, in memory: it is asked at every keystroke of a suggestion."""

from collections.abc import Callable, Iterable

from bot.errors import Refused
from bot.store import EVERYWHERE, Block


class Blocked:
    """Kept in step with the store by bot.worker.blocking. Whom the owner's settings block is among
    the limits.

    changed: called, and must return at once, when requests are taken again or no longer.
    """

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        self._changed = changed
        self._closing = False
        self._people: frozenset[tuple[str, str]] = frozenset()
        self._servers: frozenset[str] = frozenset()

    def hold(self, blocks: Iterable[Block]) -> None:
        """From now on, these are all that the store has."""
        every = tuple(blocks)
        self._people = frozenset((b.blocked, b.within) for b in every if b.kind == "person")
        self._servers = frozenset(block.blocked for block in every if block.kind == "server")

    @property
    def closing(self) -> bool:
        """Whether nobody may ask for anything, because the bot is about to stop; not stored."""
        return self._closing

    def close(self, *, closing: bool) -> None:
        """Take no more requests, or take them again."""
        self._closing = closing
        self._changed()

    def server(self, community: str | None) -> bool:
        """Whether the owner has blocked that server."""
        return community in self._servers

    def check_open(self) -> None:
        """Raise Refused if nobody may ask for anything."""
        if self.closing:
            raise Refused("queue.closing")

    def check(self, person: str, community: str | None) -> None:
        """Raise Refused if `person` is blocked, or the server that they are in."""
        if (person, EVERYWHERE) in self._people:
            raise Refused("queue.blocked")
        if community in self._servers:
            raise Refused("queue.server_blocked")
        if community is not None and (person, community) in self._people:
            raise Refused("queue.blocked_here")
