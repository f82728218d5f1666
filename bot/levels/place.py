"""Where something is asked for, and by whom."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """person, community: as of a job; see bot.store.origins.

    channel_id: of the channel, a thread's parent; None where it is not known. roles: IDs of the
    person's roles there.
    """

    person: str
    community: str | None = None
    channel_id: int | None = None
    roles: frozenset[int] = frozenset()
