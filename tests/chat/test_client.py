"""The client: loading its cogs."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from bot.chat.client import ImagenBot


async def test_others_have_their_turn_between_two_cogs() -> None:
    """Importing all of them at once would hold the event loop."""
    turns: list[str] = []

    async def nothing(*_: object) -> None: ...

    async def load_extension(name: str) -> None:
        turns.append(name)

    async def other() -> None:
        while True:
            turns.append("other")
            await asyncio.sleep(0)

    tree = SimpleNamespace(
        set_translator=nothing, get_commands=lambda **_: [], walk_commands=lambda **_: []
    )
    services = SimpleNamespace(
        find_here=None,
        contexts=SimpleNamespace(declare=lambda _: None),
        backend=SimpleNamespace(settings=SimpleNamespace(admin_servers=())),
    )
    stub = SimpleNamespace(
        tree=tree, _texts=None, add_dynamic_items=lambda _: None, load_extension=load_extension
    )
    beside = asyncio.create_task(other())
    await ImagenBot.load(cast("Any", stub), cast("Any", services), ["first", "second", "third"])
    beside.cancel()
    assert [turn for turn in turns if turn != "other"] == ["first", "second", "third"]
    assert turns[turns.index("first") + 1] == turns[turns.index("second") + 1] == "other"
