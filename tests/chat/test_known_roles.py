"""Which roles a person is known to have where Discord does not send them."""

from types import SimpleNamespace
from typing import Any

import discord

from bot.chat.known_roles import ASK_AGAIN, FAILED_FOR, KnownRoles
from tests.chat.delivery.discord_fakes import http_error

MEMBER, OTHER = 5, 6


class Server:
    """One that has these roles. members: the roles of each."""

    def __init__(self, roles: set[int], members: dict[int, set[int]]) -> None:
        self.roles = [SimpleNamespace(id=role) for role in roles]
        self.members = members
        self.asked = 0
        self.error: Exception | None = None

    async def fetch_member(self, user_id: int) -> Any:
        self.asked += 1
        if self.error is not None:
            raise self.error
        if user_id not in self.members:
            raise http_error(404, 10007)
        return SimpleNamespace(roles=[SimpleNamespace(id=r) for r in self.members[user_id]])


def known(*servers: Server, wanted: tuple[int, ...] = (1, 2)) -> tuple[KnownRoles, list[float]]:
    now = [1_000.0]
    client: Any = SimpleNamespace(guilds=servers)
    return KnownRoles(client, wanted, lambda: now[0]), now


async def test_only_servers_with_such_a_role_are_asked_and_once_in_a_while() -> None:
    first, second = Server({1, 9}, {MEMBER: {1, 9}}), Server({8}, {MEMBER: {8}})
    roles, now = known(first, second)
    assert await roles.of(MEMBER) == {1}
    assert await roles.of(MEMBER) == {1}
    assert await roles.of(OTHER) == frozenset()
    assert (first.asked, second.asked) == (2, 0)
    first.members[MEMBER] = {9}
    now[0] += ASK_AGAIN
    assert await roles.of(MEMBER) == frozenset()


async def test_what_is_not_known_is_not_granted_and_soon_asked_again() -> None:
    server = Server({1}, {MEMBER: {1}})
    roles, now = known(server)
    for number, error in enumerate((http_error(503), TimeoutError(), OSError()), 1):
        server.error = error
        for _ in range(3):  # as with each key that is typed
            assert await roles.of(MEMBER) == frozenset()
        assert server.asked == number
        now[0] += FAILED_FOR
    server.error = None
    assert await roles.of(MEMBER) == {1}


async def test_nobody_is_asked_where_no_role_matters() -> None:
    server = Server({1}, {MEMBER: {1}})
    roles, _ = known(server, wanted=())
    assert await roles.of(MEMBER) == frozenset()
    assert server.asked == 0
    assert isinstance(http_error(404), discord.NotFound)
