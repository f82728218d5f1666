"""What a bot does that does not know all of its servers yet, because some shards are missing."""

from collections.abc import Collection
from types import SimpleNamespace
from typing import Any, cast

import discord
import pytest

from bot.chat.owners import NotOwner
from cogs.queue import _check_owner
from cogs.welcome import Welcome


def administrator(*, known: bool, servers: int) -> Any:
    async def include(_: int) -> bool:
        return False

    client = SimpleNamespace(
        knows_its_servers=known,
        guilds=[object()] * servers,
        services=SimpleNamespace(owners=SimpleNamespace(include=include)),
    )
    permissions = discord.Permissions(administrator=True)
    return SimpleNamespace(client=client, permissions=permissions, user=SimpleNamespace(id=1))


async def test_the_administrator_of_the_only_server_may_stop_the_queue() -> None:
    await _check_owner(administrator(known=True, servers=1))


@pytest.mark.parametrize(("known", "servers"), [(False, 1), (True, 2)])
async def test_one_of_the_first_server_of_several_may_not(known: bool, servers: int) -> None:
    with pytest.raises(NotOwner):
        await _check_owner(administrator(known=known, servers=servers))


class Greeted(Welcome):
    """Records whom it would greet. missed: asked with all servers that are known."""

    def __init__(self, *, ready: bool) -> None:
        self.asked: list[list[int]] = []
        self.greeted: list[int] = []

        async def missed(guilds: Collection[int]) -> list[int]:
            self.asked.append(sorted(guilds))
            return [2]

        bot = SimpleNamespace(
            is_ready=lambda: ready, guilds=[SimpleNamespace(id=1), SimpleNamespace(id=2)]
        )
        store = SimpleNamespace(greetings=SimpleNamespace(missed=missed))
        super().__init__(cast("Any", bot), cast("Any", None), cast("Any", store), "none")

    async def on_guild_join(self, guild: discord.Guild) -> None:
        self.greeted.append(guild.id)


async def test_nobody_is_greeted_while_servers_are_missing() -> None:
    """The first time, those that are there count as greeted: a part would have the rest greeted."""
    welcome = Greeted(ready=False)
    await welcome.on_shard_ready(0)
    assert welcome.asked == []


async def test_a_new_session_of_one_shard_may_have_a_new_server() -> None:
    welcome = Greeted(ready=True)
    await welcome.on_shard_ready(1)
    assert welcome.asked == [[1, 2]]
    assert welcome.greeted == [2]
