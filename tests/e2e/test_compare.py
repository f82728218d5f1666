"""/compare as users use it, with the real process and the real discord.py."""

import asyncio
import io
import signal
import sqlite3
from typing import Any

import pytest
from PIL import Image

from bot.files.metadata import read_png
from bot.files.sheets.metadata import read_sheet
from bot.request import cells
from playground import Message, Playground, User
from tests.e2e.conftest import CANARY
from tests.e2e.home import Bot, Home

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_sheet_is_the_one_picture_and_its_cells_are_those_of_imagine(
    shared: Bot, playground: Playground, ada: User
) -> None:
    options: dict[str, Any] = {"prompt": f"a {CANARY}", "seed": 42, "lora": "ember:0.5"}
    call = await ada.slash("compare", axis="model", values="demo, second", axis2="lora", **options)
    assert call.message is not None
    assert "Comparison" in call.message.embeds[0]["title"]
    message = await call.wait(lambda m: _finished(m), timeout=90)

    [attachment] = message.attachments
    data = await playground.download(attachment)
    assert attachment.filename == "comparison-42.png"
    said = read_sheet(data)
    assert said is not None
    assert read_png(data).recipe is None
    made = cells(said.request)
    assert [cell.values for cell in made] == [
        *(("demo", "off"), ("second", "off"), ("demo", "on"), ("second", "on"))
    ]
    width, height = Image.open(io.BytesIO(data)).size
    assert width * height <= 16_000_000

    files = sorted((shared.home.data_dir / "images" / said.job_id).iterdir())
    assert len(files) == 5
    by_seed_and_n = {file.name: file.read_bytes() for file in files}
    for cell in made:
        lora: dict[str, Any] = {} if cell.values[1] == "off" else {"lora": options["lora"]}
        fresh = await ada.slash(
            "imagine", prompt=options["prompt"], seed=42, model=cell.values[0], **lora
        )
        alone = await fresh.wait(lambda m: _finished(m), timeout=60)
        one = await playground.download(alone.attachments[0])
        assert one == by_seed_and_n[f"{cell.values[0]}-42-{cell.n + 1}.png"]


async def test_what_cannot_be_compared_is_said_privately(ada: User) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"axis": "steps", "values": "1, many"}, "many"),
        ({"axis": "steps", "values": "1, 900"}, "from 1 to 100"),
        ({"axis": "lora"}, "There's no LoRA to compare"),
        ({"axis": "seed", "values": "1"}, "needs two or more"),
        ({"axis": "seed", "values": ",".join(map(str, range(17)))}, "up to 16"),
        ({"axis": "prompt"}, "Write it as {red"),
        ({"axis": "steps", "values2": "1, 2"}, "axis2"),
    ]
    for options, expected in wrong:
        call = await ada.slash("compare", prompt=CANARY, **options)
        assert call.ephemeral
        assert call.message is not None
        assert expected in call.message.content, call.message.content


async def test_values_are_offered_by_axis(ada: User) -> None:
    async def offered(axis: str, text: str, **more: Any) -> list[str]:
        found = await ada.autocomplete("compare", "values", text, axis=axis, **more)
        return [str(choice.value) for choice in found]

    assert await offered("steps", "") == ["2, 3, 4, 6"]
    assert (await offered("model", ""))[0] == "demo, second, bright"
    assert (await offered("model", "demo, sec"))[:2] == ["demo, sec", "demo, second"]
    assert (await offered("lora", "ember, fro"))[1] == "ember, frost"
    assert "Euler a" in (await offered("scheduler", "euler"))
    assert await offered("weight", "", lora="ember") == ["0, 0.4, 0.7, 1"]


@pytest.mark.long
async def test_killed_in_the_middle_it_goes_on_with_what_is_missing(home: Home) -> None:
    async with Playground() as playground, Bot(home, playground) as bot:
        ada = playground.user("ada")
        call = await ada.slash(
            "compare", prompt=CANARY, axis="seed", values="1,2,3,4,5,6", size="256x256", steps=40
        )
        assert call.message is not None
        images = home.data_dir / "images"
        async with asyncio.timeout(90):
            while len([*images.glob("*/*.png")]) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        bot.send(signal.SIGKILL)
        await bot.wait()
        before = {file: file.stat().st_mtime_ns for file in images.glob("*/*.png")}
        with sqlite3.connect(home.data_dir / "imagen.sqlite3") as database:
            recorded = {path for (path,) in database.execute("SELECT path FROM images")}
        assert 0 < len(recorded) < 6
        await playground.wait_offline()
        await bot.start()
        await playground.wait_for(
            lambda: any(_finished(message) for message in playground.messages()), timeout=120
        )
        [message] = [m for m in playground.messages() if _finished(m)]
        said = read_sheet(await playground.download(message.attachments[0]))
        after = {file: file.stat().st_mtime_ns for file in images.glob("*/*.png")}
        kept = {file for file in before if f"{file.parent.name}/{file.name}" in recorded}
        assert {file: after[file] for file in kept} == {file: before[file] for file in kept}
    assert said is not None
    assert None not in said.pixels_sha256
    assert len(set(said.pixels_sha256)) == len(after) - 1 == 6


def _finished(message: Message) -> bool:
    return any(attachment.filename.endswith(".png") for attachment in message.attachments)


async def test_it_can_be_hidden_and_says_what_a_prompt_of_another_program_became(ada: User) -> None:
    call = await ada.slash(
        "compare", prompt=f"{CANARY} --seed 5 --v 6", axis="steps", values="2, 3", hidden=True
    )
    message = await call.wait(_finished, timeout=60)
    assert message.ephemeral
    assert "--v" in message.text
    assert "publish:" in message.text
