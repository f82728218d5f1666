"""In which kinds of places each command is offered."""

import tomllib
from types import SimpleNamespace
from typing import Any

import discord
import pytest
from discord import app_commands

from bot.chat.contexts import OFFERED, Context, Contexts, context_of, reaches
from bot.errors import Refused
from bot.texts.language import TEXTS

SERVER, DIRECT, ELSEWHERE = Context.SERVER, Context.DIRECT, Context.ELSEWHERE
BOTH = Contexts(direct=True, elsewhere=True)


def interaction(
    guild_id: int | None = None, *, private: bool = False, owner: int | None = None
) -> Any:
    """The bot is in server 1 alone. owner: the server whose installation allows it."""
    return SimpleNamespace(
        guild_id=guild_id,
        context=SimpleNamespace(private_channel=private),
        client=SimpleNamespace(get_guild={1: object()}.get),
        is_guild_integration=lambda: owner is not None and owner == guild_id,
    )


WHERE = {
    "a server with the bot": (interaction(1, owner=1), SERVER, True),
    "brought by a person, where the bot is anyway": (interaction(1), SERVER, True),
    "a server that has the app without its bot": (interaction(2, owner=2), SERVER, False),
    "another server": (interaction(2), ELSEWHERE, False),
    "direct messages with the bot": (interaction(), DIRECT, True),
    "a group": (interaction(private=True), ELSEWHERE, False),
}


@pytest.mark.parametrize("place", WHERE)
def test_where_something_was_made(place: str) -> None:
    made, context, reached = WHERE[place]
    assert (context_of(made), reaches(made)) == (context, reached)


@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize("elsewhere", [True, False])
def test_the_owner_decides(direct: bool, elsewhere: bool) -> None:
    contexts = Contexts(direct=direct, elsewhere=elsewhere)
    offered = {SERVER} | ({DIRECT} if direct else set()) | ({ELSEWHERE} if elsewhere else set())
    assert contexts.of_command("imagine") == offered
    assert contexts.of_command("forget") == {SERVER, DIRECT, ELSEWHERE}
    assert contexts.of_command("pause") == {SERVER}
    assert contexts.of_command("of another version") == {SERVER}
    for context in Context:
        if context in offered:
            contexts.check(context)
        else:
            with pytest.raises(Refused, match=r"where\.(direct|elsewhere)"):
                contexts.check(context)


def test_what_discord_is_told() -> None:
    async def callback(interaction: discord.Interaction) -> None:
        """Do nothing."""

    def declared(name: str, contexts: Contexts) -> tuple[Any, Any]:
        command: Any = app_commands.Command(name=name, description="x", callback=callback)
        contexts.declare([command])
        return command.allowed_contexts.to_array(), command.allowed_installs.to_array()

    assert declared("imagine", BOTH) == ([0, 1, 2], [0, 1])
    assert declared("imagine", Contexts(direct=True, elsewhere=False)) == ([0, 1], [0])
    assert declared("imagine", Contexts(direct=False, elsewhere=False)) == ([0], [0])
    assert declared("pause", BOTH) == ([0], [0])


def test_every_command_has_its_place() -> None:
    """Those of servers alone, too, so that none is forgotten."""
    assert {"imagine", "Image info", "admin"} <= OFFERED.keys()
    assert all(SERVER in offered for offered in OFFERED.values())


def test_entries_of_the_menu_are_listed_by_the_names_that_they_have() -> None:
    """Otherwise they would be for servers."""
    menu = tomllib.loads((TEXTS / "en.toml").read_text(encoding="utf-8"))["menu"]
    assert {name for name in OFFERED if not name.islower()} == {*menu.values()}
