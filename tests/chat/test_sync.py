"""Where commands are registered: everywhere, in one server, and in those that have their own."""

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from discord import AppCommandType

from bot.chat.sync import register, register_if_changed
from bot.store import Store


class Command:
    id = 1
    type = AppCommandType.chat_input

    def __init__(self, name: str) -> None:
        self.name = name

    def to_dict(self, tree: Any) -> dict[str, str]:
        return {"name": self.name}


class Tree:
    """Records what is registered where; None stands for everywhere."""

    translator = None
    client = SimpleNamespace(application_id=1)

    def __init__(self, **servers: str) -> None:
        self.commands: dict[int | None, list[Command]] = {None: [Command("imagine")]}
        for server, name in servers.items():
            self.commands[int(server[1:])] = [Command(name)]
        self.registered: dict[int | None, list[str]] = {}
        self.refused: set[int | None] = set()

    def get_commands(self, guild: Any = None) -> list[Command]:
        return self.commands.get(guild and guild.id, [])

    def copy_global_to(self, guild: Any) -> None:
        own = self.commands.get(guild.id, [])
        known = {command.name for command in own}
        extra = [each for each in self.commands[None] if each.name not in known]
        self.commands[guild.id] = [*own, *extra]

    async def sync(self, guild: Any = None) -> list[Command]:
        scope = guild and guild.id
        if scope in self.refused:
            raise RuntimeError("refused")
        self.registered[scope] = [command.name for command in self.get_commands(guild)]
        return self.get_commands(guild)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "x.sqlite3") as opened:
        yield opened


async def synced(store: Store, tree: Any, guild: int | None, *servers: int) -> Any:
    await register_if_changed(tree, store, guild, servers)
    return tree.registered


async def test_a_server_gets_its_own_and_nobody_else(store: Store) -> None:
    assert await synced(store, Tree(s5="admin"), None, 5) == {None: ["imagine"], 5: ["admin"]}
    assert await synced(store, Tree(s5="admin"), None, 5) == {}
    assert await synced(store, Tree(s5="other"), None, 5) == {5: ["other"]}


async def test_what_a_server_had_is_taken_away(store: Store) -> None:
    await synced(store, Tree(s5="admin"), None, 5)
    assert await synced(store, Tree(s6="admin"), None, 6) == {6: ["admin"], 5: []}
    assert await synced(store, Tree(s6="admin"), None, 6) == {}


async def test_the_only_server_may_be_one_of_them(store: Store) -> None:
    assert await synced(store, Tree(s5="admin"), 5, 5) == {5: ["admin", "imagine"]}
    assert await synced(store, Tree(), 5) == {5: ["imagine"]}


async def test_one_that_refuses_keeps_nobody_from_theirs_and_is_tried_again(store: Store) -> None:
    tree = Tree(s5="admin", s6="admin")
    tree.refused = {5}
    assert await synced(store, tree, None, 5, 6) == {None: ["imagine"], 6: ["admin"]}
    assert await synced(store, Tree(s5="admin", s6="admin"), None, 5, 6) == {5: ["admin"]}


async def test_registering_by_hand_returns_those_for_everyone(store: Store) -> None:
    tree: Any = Tree(s5="admin")
    names = [command.name for command in await register(tree, store, None, (5,))]
    assert names == ["imagine"]
    assert tree.registered == {None: ["imagine"], 5: ["admin"]}
