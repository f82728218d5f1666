"""An export that breaks off: what was sent stays, and one sentence says how it ended."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import discord
import pytest

from bot.chat.ui.privacy import ForgetId
from bot.errors import Refused, StoreError
from bot.privacy import Contents, Exporter, Part
from bot.store import Span
from cogs.privacy import Privacy
from tests.chat.delivery.discord_fakes import http_error
from tests.chat.found import found_here

FULL, CLOSED = http_error(400, 40094), http_error(403, 50007)


class Discord:
    """Takes so many follow-ups, and direct messages or not."""

    def __init__(self, followups: int, *, direct: bool) -> None:
        self.said: list[str] = []
        self.files: list[str] = []
        self.extras = found_here()
        self.user = SimpleNamespace(id=7)
        self.filesize_limit = 10_000_000
        self.followup = SimpleNamespace(send=self._followup)
        self.client = SimpleNamespace(create_dm=self._dm)
        self._left = followups
        self._direct = direct

    def is_expired(self) -> bool:
        return False

    async def edit_original_response(self, *, content: str) -> None:
        self.said.append(content)

    async def delete_original_response(self) -> None:
        raise AssertionError("what was sent is deleted")

    async def _followup(self, *, file: discord.File, ephemeral: bool) -> None:
        file.close()
        if not self._left:
            raise FULL
        self._left -= 1
        self.files.append(f"here: {file.filename}")

    async def _dm(self, user: object) -> Any:
        async def send(*, file: discord.File) -> None:
            file.close()
            if not self._direct:
                raise CLOSED
            self.files.append(f"direct: {file.filename}")

        return SimpleNamespace(send=send)


def exporter(folder: Path, parts: int, error: Exception | None = None) -> Any:
    async def send(
        person: str, span: Span, limit: int, readme: Callable[[Contents], str], contents: Contents
    ) -> AsyncIterator[Part]:
        for number in range(1, parts + 1):
            path = folder / f"{number}.zip"
            path.write_bytes(b"PK")
            yield Part(path, number)
        if error is not None:
            raise error

    return SimpleNamespace(parts=send)


async def export(asked: Discord, given: Any) -> None:
    nothing = cast("Any", None)
    cog = Privacy(nothing, nothing, nothing, given)
    await cog._export(cast("Any", asked), "discord:7", Span.everything())


@pytest.mark.parametrize(
    "error", [StoreError("the disk is full"), OSError("no room"), RuntimeError("a mistake")]
)
async def test_what_was_sent_stays_when_it_breaks_off(tmp_path: Path, error: Exception) -> None:
    asked = Discord(5, direct=True)
    await export(asked, exporter(tmp_path, 2, error))
    assert len(asked.files) == 2
    assert asked.said[-1].startswith("2 files came, and then it broke off. Something went wrong")


async def test_nothing_was_sent_yet(tmp_path: Path) -> None:
    asked = Discord(5, direct=True)
    with pytest.raises(StoreError):
        await export(asked, exporter(tmp_path, 0, StoreError("the disk is full")))


async def test_with_five_follow_ups_the_rest_comes_directly(tmp_path: Path) -> None:
    asked = Discord(5, direct=True)
    await export(asked, exporter(tmp_path, 7))
    assert [name.partition(":")[0] for name in asked.files] == ["here"] * 5 + ["direct"] * 2
    assert "everything, in 7 files" in asked.said[-1]


async def test_without_direct_messages_it_is_said_that_the_rest_is_missing(tmp_path: Path) -> None:
    asked = Discord(5, direct=False)
    await export(asked, exporter(tmp_path, 7))
    assert len(asked.files) == 5
    assert asked.said[-1].startswith("5 files came, and then it broke off. Discord doesn't take")


async def test_nobody_is_forgotten_while_their_export_is_sent(tmp_path: Path) -> None:
    nothing = cast("Any", None)
    sending = Exporter(nothing, images_dir=tmp_path, inputs=nothing, folder=tmp_path)
    cog = Privacy(nothing, nothing, nothing, sending)
    asked = cast("Any", Discord(5, direct=True))
    with sending.alone("discord:7"), pytest.raises(Refused, match=r"export\.running"):
        await cog.carry_out(asked, ForgetId(0, 9, 0))
