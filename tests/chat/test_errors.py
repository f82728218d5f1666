"""Any exception becomes one sentence; only unexpected ones are logged, with an id."""

import logging
from functools import partial
from types import SimpleNamespace
from typing import Any

import aiohttp
import discord
import pytest
from discord import app_commands

from bot.chat.copies import Copies
from bot.chat.errors import answer_error, sentence
from bot.chat.owners import NotOwner
from bot.chat.tree import ImagenTree
from bot.errors import InvalidRequest, JobFailed, Refused
from tests.chat.delivery.discord_fakes import http_error
from tests.chat.found import find_nothing
from tests.language import TEXTS

SAY = TEXTS.speaker()


class FakeInteraction:
    """Records what it is told, or raises `error` if there is one."""

    type = None

    def __init__(
        self,
        *,
        done: bool = False,
        deferred: bool = False,
        hidden: bool = False,
        error: Exception | None = None,
    ) -> None:
        self.id = 7
        self.locale = "en-US"
        self.extras: dict[str, object] = {}
        self.data = {"options": [{"name": "prompt", "value": "canarybird"}, {"name": "model"}]}
        self.told: list[tuple[str, str]] = []
        self._done = done
        self._error = error
        self._hidden = hidden
        types = discord.InteractionResponseType
        self.response = SimpleNamespace(
            is_done=lambda: done or deferred,
            type=types.deferred_channel_message if deferred else None,
            send_message=self._tell("response"),
        )
        self.followup = SimpleNamespace(send=self._tell("followup"))

    async def original_response(self) -> Any:
        if self._error is not None:
            raise self._error
        return SimpleNamespace(flags=discord.MessageFlags(ephemeral=self._hidden))

    async def edit_original_response(self, *, content: str) -> None:
        self.told.append(("edit", content))

    async def delete_original_response(self) -> None:
        if self._error is not None:
            raise self._error
        self.told.append(("delete", ""))

    def _tell(self, way: str) -> Any:
        async def tell(text: str, *, ephemeral: bool) -> None:
            assert ephemeral
            assert 1 <= len(text) <= 2000
            if self._error is not None:
                raise self._error
            self.told.append((way, text))

        return tell


def invoked(error: Exception) -> app_commands.CommandInvokeError:
    command: Any = SimpleNamespace(name="imagine")
    return app_commands.CommandInvokeError(command, error)


async def answered(error: Exception, interaction: FakeInteraction | None = None) -> str:
    told = interaction or FakeInteraction()
    await answer_error(told, error, TEXTS)  # type: ignore[arg-type]
    [(_, text)] = told.told
    return text


class TestSentences:
    @pytest.mark.parametrize(
        ("error", "text"),
        [
            (Refused("queue.full", limit=5), "The queue is full (5 jobs)"),
            (
                InvalidRequest("steps", "number.range", value=5, min=10, max=100),
                "steps: 5 won't work. Choose a value from 10 to 100.",
            ),
            (
                InvalidRequest("negative", "prompt.weight", value=16.0, min=-10, max=10),
                "negative: some words end up with a weight of 16. ",
            ),
            (
                InvalidRequest("negative", "prompt.long", value=2001, max=2000),
                "negative: 2,001 characters is too long. The limit is 2,000.",
            ),
            (JobFailed("delivery.gone"), "The channel no longer exists."),
            (
                app_commands.MissingPermissions(["manage_guild"]),
                "For this, you need the permission *Manage Server* here.",
            ),
            (
                app_commands.MissingPermissions(["send_messages", "use_application_commands"]),
                "For this, you need the permissions *Send Messages* and *Use",
            ),
            (NotOwner(), "Only the owner of this bot can use this."),
            (app_commands.CheckFailure(), "You're not allowed to use this here."),
            (app_commands.CommandNotFound("gone", []), "That command has changed."),
        ],
    )
    async def test_what_is_known(
        self, error: Exception, text: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert (await answered(error)).startswith(text)
        assert (await answered(invoked(error))).startswith(text)
        assert "incident" not in caplog.text

    async def test_everyone_is_told_in_their_language(self) -> None:
        french = FakeInteraction()
        french.locale = "fr"
        error = InvalidRequest("model", "model.unknown", value="dmo", nearest="demo")
        assert await answered(error, french) == (
            "Il n’y a pas de modèle «\u00a0dmo\u00a0». Voulais-tu dire demo\u00a0?"
        )

    def test_what_is_not_theirs_to_know(self) -> None:
        assert sentence(RuntimeError("secret"), SAY) is None
        assert sentence(KeyError("secret"), SAY) is None

    async def test_a_value_of_any_length_can_be_quoted(self) -> None:
        text = await answered(
            InvalidRequest("model", "model.unknown", value="x" * 6000, nearest="a" * 6000)
        )
        assert "x…" in text


class TestAnswering:
    async def test_anything_else_is_logged_with_the_id_that_is_told(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        text = await answered(invoked(RuntimeError("inner fault in canarybird")))
        assert "inner fault" not in text
        incident = text.split("`")[1]
        [record] = [r for r in caplog.records if r.levelno >= logging.ERROR]
        assert incident in record.getMessage()
        assert "inner fault" in caplog.text
        assert "canarybird" not in caplog.text
        assert text.split("`")[1] != (await answered(RuntimeError())).split("`")[1]

    @pytest.mark.parametrize("error", [http_error(400, 50035), aiohttp.ServerDisconnectedError()])
    async def test_a_refusal_by_discord_is_one_line_in_the_log(
        self, error: Exception, caplog: pytest.LogCaptureFixture
    ) -> None:
        incident = (await answered(invoked(error))).split("`")[1]
        [record] = [r for r in caplog.records if r.levelno >= logging.ERROR]
        assert incident in record.getMessage()
        assert "\n" not in record.getMessage()

    @pytest.mark.parametrize(("done", "way"), [(False, "response"), (True, "followup")])
    async def test_it_answers_by_the_way_that_is_open(self, done: bool, way: str) -> None:
        interaction = FakeInteraction(done=done)
        await answered(Refused("model.none"), interaction)
        assert interaction.told[0][0] == way

    async def test_what_everyone_sees_is_taken_away_first(self) -> None:
        """The follow-up to a deferred answer replaces it, and would be just as public."""
        interaction: Any = FakeInteraction(deferred=True)
        await answer_error(interaction, Refused("model.none"), TEXTS)
        assert [way for way, _ in interaction.told] == ["delete", "followup"]

    async def test_what_only_the_person_sees_is_changed_into_it(self) -> None:
        """A follow-up would stand below "The original message was deleted"."""
        interaction: Any = FakeInteraction(deferred=True, hidden=True)
        await answer_error(interaction, Refused("model.none"), TEXTS)
        assert [way for way, _ in interaction.told] == ["edit"]

    @pytest.mark.parametrize("failure", [http_error(403, 50001), http_error(404, 10008), OSError()])
    async def test_if_that_fails_it_is_told_all_the_same(self, failure: Exception) -> None:
        interaction: Any = FakeInteraction(deferred=True)

        async def fail() -> None:
            raise failure

        interaction.delete_original_response = fail
        await answer_error(interaction, Refused("model.none"), TEXTS)
        assert [way for way, _ in interaction.told] == ["followup"]

    @pytest.mark.parametrize("deferred", [False, True])
    @pytest.mark.parametrize(
        "failure",
        [
            discord.NotFound(SimpleNamespace(status=404, reason=""), "x"),  # type: ignore[arg-type]
            OSError(),
            TimeoutError(),
            aiohttp.ServerDisconnectedError(),
        ],
    )
    async def test_when_nobody_can_be_told_nothing_is_raised(
        self, failure: Exception, deferred: bool
    ) -> None:
        interaction: Any = FakeInteraction(deferred=deferred, error=failure)
        await answer_error(interaction, Refused("model.none"), TEXTS)

    @pytest.mark.parametrize(("code", "late"), [(10062, True), (10003, False)])
    async def test_after_a_late_answer_no_other_is_tried(
        self, caplog: pytest.LogCaptureFixture, code: int, *, late: bool
    ) -> None:
        gone: Any = SimpleNamespace(status=404, reason="")
        error = discord.NotFound(gone, {"code": code, "message": "Unknown"})
        interaction: Any = FakeInteraction()
        await answer_error(interaction, invoked(error), TEXTS)
        assert (interaction.told == []) is late
        assert ("interaction 7: answered too late" in caplog.text) is late
        assert ("incident" in caplog.text) is not late

    async def test_what_came_before_is_not_done_again(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bot.chat.tree.REMEMBERED", 2)
        tree: Any = ImagenTree(discord.Client(intents=discord.Intents.none()))
        tree.find_here = find_nothing
        interactions: list[Any] = [SimpleNamespace(id=number) for number in range(4)]
        done: list[int] = []

        async def press(number: int) -> None:
            done.append(number)

        for number in (0, 0, 1, 0):
            await tree.run_once(interactions[number], partial(press, number))
        assert done == [0, 1]
        assert not await tree.interaction_check(interactions[1])
        assert await tree.interaction_check(interactions[2])
        # The memory is limited.
        assert await tree.interaction_check(interactions[0])

    async def test_the_tree_answers_its_errors(self) -> None:
        tree: Any = SimpleNamespace(texts=TEXTS, copies=Copies())
        interaction: Any = FakeInteraction()
        await ImagenTree.on_error(tree, interaction, Refused("model.none"))
        assert len(interaction.told) == 1
