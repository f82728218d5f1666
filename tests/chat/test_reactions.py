"""Which reactions count as there."""

from types import SimpleNamespace
from typing import Any

from bot.chat.reactions import REMEMBERED, ReactionsPresent


def event(message: int = 1, user: int = 2, emoji: str = "🎲", *, burst: bool = False) -> Any:
    return SimpleNamespace(
        message_id=message, user_id=user, emoji=SimpleNamespace(name=emoji), burst=burst
    )


def test_one_counts_once_until_it_is_taken_away() -> None:
    present = ReactionsPresent()
    assert present.add(event())
    assert not present.add(event())
    present.remove(event())
    present.remove(event())
    assert present.add(event())


def test_others_count_for_themselves() -> None:
    present = ReactionsPresent()
    others = event(message=3), event(user=3), event(emoji="🔁"), event(burst=True)
    assert all(present.add(other) for other in (event(), *others))


def test_what_a_moderator_clears_is_gone() -> None:
    present = ReactionsPresent()
    for one in (event(), event(emoji="🔁"), event(message=3)):
        present.add(one)
    present.clear(1, "🎲")
    assert [present.add(event()), present.add(event(emoji="🔁"))] == [True, False]
    present.clear(1)
    assert [present.add(event(emoji="🔁")), present.add(event(message=3))] == [True, False]


def test_the_oldest_is_forgotten() -> None:
    present = ReactionsPresent()
    for user in range(REMEMBERED + 1):
        present.add(event(user=user))
    assert present.add(event(user=0))
    assert not present.add(event(user=REMEMBERED))
