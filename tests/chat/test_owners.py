"""Who owns the bot's application."""

from types import SimpleNamespace
from typing import Any

import pytest
from discord import TeamMemberRole, TeamMembershipState

from bot.chat.owners import KNOWN_FOR, Owners

INVITED, ACCEPTED = TeamMembershipState.invited, TeamMembershipState.accepted


class Client:
    def __init__(self) -> None:
        self.asked = 0
        self.application: Any = SimpleNamespace(owner=SimpleNamespace(id=1), team=None)

    async def application_info(self) -> Any:
        self.asked += 1
        return self.application


def member(user_id: int, role: TeamMemberRole, state: TeamMembershipState = ACCEPTED) -> Any:
    return SimpleNamespace(id=user_id, role=role, membership_state=state)


@pytest.fixture
def client() -> Client:
    return Client()


def owners_of(client: Client, clock: Any = lambda: 0.0) -> Owners:
    return Owners(client, clock)  # type: ignore[arg-type]


async def test_a_person(client: Client) -> None:
    owners = owners_of(client)
    assert await owners.include(1)
    assert not await owners.include(2)


async def test_a_team(client: Client) -> None:
    roles = TeamMemberRole
    client.application.team = SimpleNamespace(
        owner_id=2,
        members=[
            member(2, roles.read_only),
            member(3, roles.admin),
            member(4, roles.developer),
            member(5, roles.read_only),
            member(6, roles.admin, INVITED),
        ],
    )
    owners = owners_of(client)
    assert [n for n in range(1, 8) if await owners.include(n)] == [2, 3, 4]


async def test_what_is_done_is_asked_each_time_and_what_is_suggested_once_a_minute(
    client: Client,
) -> None:
    now = 100.0
    owners = owners_of(client, lambda: now)
    assert await owners.included(1)
    assert await owners.included(1)
    assert client.asked == 1
    client.application.owner.id = 2
    assert await owners.included(2)
    assert client.asked == 1
    assert not await owners.include(1)
    assert client.asked == 2
    now += KNOWN_FOR
    assert not await owners.included(1)
    assert client.asked == 3
