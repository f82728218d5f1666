"""Who may request now: each limit with its sentence, and the order in which they are checked."""

import pytest

from bot.chat.ui.markdown import plain
from bot.errors import Refused
from bot.queue.limits import Limits, check
from bot.store.usage import DAY, Usage
from tests.language import TEXTS

NOW = 1_000_000.0
EVERYTHING = Limits(
    size=10,
    per_user=3,
    per_guild=5,
    cooldown=60,
    quota=4,
    blocked=frozenset({"u7"}),
    roles=(50, 51),
    priorities={50: 1, 60: 5},
)
WORST = Usage(
    asked_at=NOW - 1, images=(NOW - 9, NOW - 5, NOW - 5, NOW - 5), own=3, in_community=5, in_all=10
)
FINE = Usage()


def refusal(
    limits: Limits,
    usage: Usage = FINE,
    *,
    person: str = "u1",
    roles: frozenset[int] = frozenset({50}),
    count: int = 1,
) -> tuple[str, dict[str, object]]:
    """Code and params of the refusal; its text can be formatted with them in each language."""
    with pytest.raises(Refused) as refused:
        check(limits, usage, person=person, roles=roles, count=count, now=NOW)
    texts = TEXTS
    for locale in ("en", "de", "fr"):
        said = texts.speaker(locale)(refused.value.code, **plain(refused.value.params))
        assert said != refused.value.code
        assert "{" not in said
    return refused.value.code, dict(refused.value.params)


def test_without_limits_everybody_may_always() -> None:
    check(Limits(), WORST, person="u7", roles=frozenset(), count=4, now=NOW)


def test_they_are_checked_in_their_order() -> None:
    """Everything is wrong at once; fixing each in turn shows the next refusal."""
    codes = []
    person, roles, usage = "u7", frozenset[int](), WORST
    for mend in (
        "person",
        "roles",
        "asked_at",
        "images",
        "own",
        "in_community",
        "in_all",
    ):
        codes.append(refusal(EVERYTHING, usage, person=person, roles=roles)[0])
        match mend:
            case "person":
                person = "u1"
            case "roles":
                roles = frozenset({51})
            case "asked_at":
                usage = Usage(NOW - 60, usage.images, 3, 5, 10)
            case "images":
                usage = Usage(NOW - 60, usage.images[1:], 3, 5, 10)
            case "own":
                usage = Usage(NOW - 60, (), 2, 5, 10)
            case "in_community":
                usage = Usage(NOW - 60, (), 2, 4, 10)
            case _:
                usage = Usage(NOW - 60, (), 2, 4, 9)
    assert codes == [
        "queue.blocked",
        "queue.roles",
        "queue.cooldown",
        "queue.quota",
        "queue.user_full",
        "queue.guild_full",
        "queue.full",
    ]
    check(EVERYTHING, usage, person=person, roles=roles, count=1, now=NOW)


def test_a_role_is_named() -> None:
    assert refusal(Limits(roles=(50,)), roles=frozenset({9})) == ("queue.role", {"role": 50})
    found = refusal(Limits(roles=(50, 51, 52)), roles=frozenset())
    assert found == ("queue.roles", {"role": 50, "others": 2})


def test_a_cooldown_says_when() -> None:
    limits = Limits(cooldown=10)
    assert refusal(limits, Usage(asked_at=NOW - 9.5)) == ("queue.cooldown", {"when": 1_000_001})
    check(limits, Usage(asked_at=NOW - 10), person="u1", roles=frozenset(), count=1, now=NOW)


class TestQuota:
    limits = Limits(quota=3)

    def test_what_fits_is_allowed(self) -> None:
        usage = Usage(images=(NOW - 5,))
        check(self.limits, usage, person="u1", roles=frozenset(), count=2, now=NOW)

    def test_it_says_when_there_is_room_for_all_of_them(self) -> None:
        usage = Usage(images=(NOW - 300, NOW - 200, NOW - 100))
        for count, oldest in ((1, 300), (2, 200), (3, 100)):
            found = refusal(self.limits, usage, count=count)
            assert found == ("queue.quota", {"limit": 3, "when": int(NOW - oldest + DAY)})

    def test_what_never_fits_is_said_so(self) -> None:
        found = refusal(self.limits, count=4)
        assert found == ("queue.quota_small", {"limit": 3, "value": 4})


@pytest.mark.parametrize(
    ("roles", "priority"), [((), 0), ((1,), 0), ((50,), 1), ((50, 60), 5), ((60, 1), 5)]
)
def test_the_highest_role_counts(roles: tuple[int, ...], priority: int) -> None:
    assert EVERYTHING.priority(frozenset(roles)) == priority
