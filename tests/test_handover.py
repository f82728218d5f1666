"""Jobs that are handed over to the bot beside: what fits, and that nothing is left unanswered."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from bot.cli.beside import BesideBot
from bot.cli.result import BAD_REQUEST, NotDone
from bot.files.inputs import BYTES_MAX, Inputs
from bot.handover import LINE_MAX, PICTURES, VERSION, Handover, encoded
from bot.request import EDITED, AxisAsk, CompareDraft, Draft, UpscaleDraft
from bot.store import NewJob, Store
from bot.worker.following import Following
from catalog import Catalog, ModelEntry, UpscalerEntry
from catalog.families.flux2 import FLUX2
from catalog.upscalers import Upscalers
from tests.files.keeping import png
from tests.language import TEXTS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no Unix sockets")

KLEIN = ModelEntry(key="klein", name="klein", path="a/b", family=FLUX2, variant="distilled")
SHARP = UpscalerEntry(key="sharp", name="Sharp", path="a/b")
DRAFT = Draft(prompt="a fox")


@pytest.fixture
def accepted() -> list[NewJob]:
    return []


@pytest.fixture
async def bot(
    tmp_path: Path, accepted: list[NewJob], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[BesideBot]:
    """A command line's connection to a bot that generates nothing."""
    monkeypatch.chdir(tmp_path)

    async def knowing(*_: object) -> Catalog:
        return Catalog({"klein": KLEIN}, {}, "klein", upscalers=Upscalers({"sharp": SHARP}))

    @asynccontextmanager
    async def accepting(new: NewJob) -> AsyncIterator[None]:
        accepted.append(new)
        yield

    async with Store.open(tmp_path / "x.sqlite3") as store:
        backend: Any = SimpleNamespace(
            settings=SimpleNamespace(
                data_dir=Path(), inputs_dir=tmp_path / "inputs", max_adapters=4
            ),
            catalog=SimpleNamespace(knowing=knowing),
            queue=SimpleNamespace(accepting=accepting),
            inputs=Inputs(tmp_path / "inputs"),
            store=store,
        )
        following = Following(MagicMock())
        handover = Handover(backend, MagicMock(), following, TEXTS.speaker())
        async with handover.offered():
            connected = await BesideBot.connect(Path())
            assert connected is not None
            yield connected
            connected._writer.close()


async def test_as_many_images_as_a_request_takes(bot: BesideBot, accepted: list[NewJob]) -> None:
    files = {name: png(shade, side=64) for shade, name in enumerate(EDITED)}
    job_id = await bot.hand_over(DRAFT, files)
    [new] = accepted
    assert job_id == new.id
    assert len(new.request.inputs) == len(EDITED)


async def test_a_comparison_and_an_enlargement(bot: BesideBot, accepted: list[NewJob]) -> None:
    compared = CompareDraft(draft=DRAFT, asks=(AxisAsk("seed", "1, 2"),))
    await bot.hand_over(compared, {})
    other = await BesideBot.connect(Path())
    assert other is not None
    await other.hand_over(UpscaleDraft(scale=1.5), {"image": png(1, side=64)})
    other._writer.close()
    sheet, larger = accepted
    assert (sheet.kind, [cell.seed for cell in sheet.request.each]) == ("compare", [1, 2])
    assert (larger.kind, larger.request.final_size) == ("upscale", (96, 96))


@pytest.mark.parametrize(
    "wrong", [{"kind": "paint"}, {"kind": "upscale", "draft": {}}, {"kind": "compare"}]
)
async def test_what_is_no_draft_of_its_kind_is_dropped(
    bot: BesideBot, accepted: list[NewJob], wrong: dict[str, Any]
) -> None:
    message = {"version": VERSION, "kind": "imagine", "draft": asdict(DRAFT), "pictures": {}}
    bot._writer.write(encoded({**message, **wrong}))
    assert await bot._reader.read() == b""
    assert accepted == []


async def test_as_large_as_they_may_be(bot: BesideBot, accepted: list[NewJob]) -> None:
    files = dict.fromkeys(PICTURES, bytes(BYTES_MAX))
    with pytest.raises(NotDone, match="image") as caught:  # it is none, and was looked at
        await bot.hand_over(DRAFT, files)
    assert caught.value.code == BAD_REQUEST
    assert accepted == []


async def test_what_is_too_large_is_refused(bot: BesideBot, accepted: list[NewJob]) -> None:
    with pytest.raises(NotDone, match="20 MB"):
        await bot.hand_over(DRAFT, {"image": png(1), "edit": bytes(BYTES_MAX + 1)})
    assert accepted == []


@pytest.mark.parametrize("over", [0, 1, LINE_MAX, 5 * LINE_MAX + 3])
async def test_a_text_that_is_too_long_is_refused(bot: BesideBot, over: int) -> None:
    with pytest.raises(NotDone) as caught:
        await bot.hand_over(Draft(prompt="a" * (LINE_MAX + over)), {})
    assert caught.value.code == BAD_REQUEST


async def test_so_is_an_image_that_cannot_be_kept(
    bot: BesideBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "inputs").write_bytes(b"a file where the folder should be")
    with pytest.raises(NotDone, match="inputs"):
        await bot.hand_over(DRAFT, {"edit": png(1)})


async def test_whoever_ends_early_is_no_error(
    bot: BesideBot, caplog: pytest.LogCaptureFixture
) -> None:
    other = await BesideBot.connect(Path())
    assert other is not None
    caplog.set_level("INFO")
    other._writer.write(json.dumps({"version": 2})[:5].encode())
    other._writer.write_eof()
    assert await other._reader.read() == b""
    assert "ended before its job was accepted" in caplog.text
    assert "Unhandled" not in caplog.text
    other._writer.close()
    await asyncio.sleep(0)
