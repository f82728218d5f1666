"""The gate for buttons, selects and modals, called the way discord.py calls it."""

import itertools
import logging
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import discord
import pytest
from discord import app_commands
from discord.ui.view import ViewStore

from bot.chat.components import Component, Components
from bot.chat.tree import ImagenTree
from bot.chat.ui.buttons import cancel_view
from bot.chat.ui.custom_id import CustomId, Routed
from bot.errors import Refused
from tests.chat.found import find_nothing
from tests.language import TEXTS

BUTTON, SELECT = 2, 3
OUTDATED = "This button or menu no longer works. Please use the command again."

Interaction = discord.Interaction[Any]


@dataclass(frozen=True)
class DrawId(CustomId):
    prefix: ClassVar[str] = "draw"

    job_id: str
    number: int


class Draw(Component[DrawId]):
    """Belongs to user 1; knows the job `known`."""

    ids = DrawId

    def __init__(self) -> None:
        self.used: list[tuple[DrawId, list[str]]] = []
        self.error: Exception | None = None

    async def check(self, interaction: Interaction, custom_id: DrawId) -> None:
        if interaction.user.id != 1:
            raise app_commands.CheckFailure

    async def use(self, interaction: Interaction, custom_id: DrawId) -> None:
        if custom_id.job_id != "known":
            raise Refused("cancel.unknown", value=custom_id.job_id)
        if self.error is not None:
            raise self.error
        data = cast("dict[str, Any]", interaction.data)
        self.used.append((custom_id, data.get("values", [])))


class Desk:
    """A client's components, and discord.py's handling of an interaction that names one."""

    def __init__(self) -> None:
        self.tree = ImagenTree(discord.Client(intents=discord.Intents.none()))
        self.tree.texts = TEXTS
        self.tree.find_here = cast("Any", find_nothing)
        self.components = Components(self.tree)
        self.draw = Draw()
        self.components.add(self.draw)
        self.store = ViewStore(cast("Any", None))
        self.store.add_dynamic_items(Routed)
        self.told: list[str] = []
        self._ids = itertools.count(1)

    def interaction(self, custom_id: str, kind: int = BUTTON, user: int = 1) -> Any:
        """A user's interaction with the only component of a message."""

        async def send_message(text: str, *, ephemeral: bool) -> None:
            assert ephemeral
            self.told.append(text)

        looks = {"label": "x", "style": 1} if kind == BUTTON else {"options": []}
        component = {"type": kind, "custom_id": custom_id, **looks}
        row = discord.components.ActionRow(cast("Any", {"type": 1, "components": [component]}))
        return SimpleNamespace(
            type=None,
            id=next(self._ids),
            client=self,
            user=SimpleNamespace(id=user),
            locale="en-US",
            extras={},
            data={"custom_id": custom_id, "component_type": kind}
            | ({"values": ["red", "blue"]} if kind == SELECT else {}),
            message=SimpleNamespace(
                id=5, flags=SimpleNamespace(components_v2=False), components=[row]
            ),
            response=SimpleNamespace(is_done=lambda: False, type=None, send_message=send_message),
        )

    async def dispatch(self, interaction: Any) -> None:
        data = interaction.data
        self.store.dispatch_view(data["component_type"], data["custom_id"], interaction)
        tasks = vars(self.store)["_ViewStore__tasks"]
        while tasks:
            await next(iter(tasks))


@pytest.fixture
async def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize(
    ("kind", "values"), [(BUTTON, []), (SELECT, ["red", "blue"])], ids=["button", "select"]
)
async def test_a_good_id_reaches_its_component(desk: Desk, kind: int, values: list[str]) -> None:
    await desk.dispatch(desk.interaction("draw:known:-3", kind))
    assert desk.draw.used == [(DrawId("known", -3), values)]
    assert desk.told == []


@pytest.mark.parametrize(
    ("custom_id", "user", "error", "told"),
    [
        pytest.param("draw:known", 1, None, OUTDATED, id="too few fields"),
        pytest.param("draw:known:1:2", 1, None, OUTDATED, id="too many fields"),
        pytest.param("draw:known:one", 1, None, OUTDATED, id="not a number"),
        pytest.param("draw:known:1\n", 1, None, OUTDATED, id="line break"),
        pytest.param("draw:known:+1", 1, None, OUTDATED, id="not as written"),
        pytest.param("gone:known:1", 1, None, OUTDATED, id="unknown prefix"),
        pytest.param("draw:forged:1", 1, None, "There's no job", id="forged job id"),
        pytest.param("draw:known:1", 2, None, "You're not allowed", id="not permitted"),
        pytest.param("draw:known:1", 1, Refused("model.none"), "", id="refused"),
        pytest.param("draw:known:1", 1, RuntimeError("inner"), "Something went", id="our fault"),
        pytest.param("draw:known:1", 1, ValueError("inner"), "Something went", id="a ValueError"),
    ],
)
async def test_anything_else_is_answered_in_one_sentence(
    desk: Desk, custom_id: str, user: int, error: Exception | None, told: str
) -> None:
    desk.draw.error = error
    await desk.dispatch(desk.interaction(custom_id, user=user))
    [sentence] = desk.told
    assert sentence.startswith(told)
    assert "inner" not in sentence
    assert desk.draw.used == []


async def test_what_is_our_fault_is_logged(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.draw.error = RuntimeError("inner")
    await desk.dispatch(desk.interaction("draw:known:1"))
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.name == "bot.chat.errors"
    assert "inner" in caplog.text


async def test_a_replayed_interaction_is_dropped(desk: Desk) -> None:
    press = desk.interaction("draw:known:1")
    for _ in range(3):
        await desk.dispatch(press)
    assert len(desk.draw.used) == 1
    await desk.dispatch(desk.interaction("draw:known:1"))
    assert len(desk.draw.used) == 2


@pytest.mark.parametrize("custom_id", ["", "draw", "0123456789abcdef" * 2])
async def test_what_is_not_of_the_scheme_is_left_to_others(desk: Desk, custom_id: str) -> None:
    await desk.dispatch(desk.interaction(custom_id))
    assert (desk.draw.used, desk.told) == ([], [])


async def test_a_prefix_belongs_to_one_component(desk: Desk) -> None:
    class Again(Draw):
        pass

    with pytest.raises(ValueError, match="'draw' of Again: Draw has it"):
        desk.components.add(Again())


async def test_shown_messages_leave_nothing_behind(desk: Desk) -> None:
    for number in range(3):
        desk.store.add_view(cancel_view(desk.tree.texts.speaker(), "abc"), number)
    assert vars(desk.store)["_views"] == {}
    assert vars(desk.store)["_synced_message_views"] == {}
    assert list(vars(desk.store)["_dynamic_items"].values()) == [Routed]
