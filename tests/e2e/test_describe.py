"""`/describe`, 💬 and 🎨 in the real process: words for an image, and an image of the words."""

import base64
import io
import json
import signal
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from playground import File, Message, Playground, User
from playground.interactions import DEFER_REPLY
from tests.e2e.conftest import CANARY
from tests.e2e.home import MODELS, Home, ImpatientBot, call
from tests.e2e.results import buttons, job_of, lines, parts
from tests.e2e.server import Server
from tests.e2e.test_actions import press, said
from tests.e2e.test_imagine import painted
from tests.e2e.test_life import until
from tests.e2e.test_pictures import picture

pytestmark = pytest.mark.asyncio(loop_scope="session")

THUMBNAIL = 11
TAGS = 'tags = "<GENERATE_TAGS>"'


@pytest.fixture(scope="session")
def seeing_dir(models_dir: Path) -> Path:
    """The shared models folder, with a network that describes images."""
    from tools.untrained import florence2

    florence2.write(models_dir / "florence", florence2.module())
    return models_dir


def seeing(folder: Path, models_dir: Path, more: str = "") -> Home:
    home = Home(folder, models_dir)
    models = MODELS.replace('default = "demo"', 'default = "bright"')  # which has other sizes, too
    text = f'{models}\n[describer]\npath = "florence"\n{more}\n'
    (home.catalog_dir / "models.toml").write_text(text, encoding="utf-8")
    return home


def words_of(message: Message) -> str:
    """The description that it shows, in a block that can be copied."""
    [block] = [line for line in lines(message) if line.startswith("```")]
    return block.removeprefix("```\n").removesuffix("\n```")


def thumbnails(message: Message) -> list[dict[str, Any]]:
    return [part["accessory"] for part in parts(message) if "accessory" in part]


def is_described(message: Message) -> bool:
    return any(line.startswith("```") for line in lines(message))


async def described(user: User, data: bytes, **options: Any) -> Message:
    asked = await user.slash("describe", image=File("me.png", data), **options)
    assert asked.acknowledged == DEFER_REPLY
    return await asked.wait(is_described, timeout=60)


async def test_words_for_an_image_and_an_image_of_the_words(
    tmp_path: Path, seeing_dir: Path
) -> None:
    home = seeing(tmp_path / "home", seeing_dir, TAGS)
    async with Playground() as playground, ImpatientBot(home, playground) as bot:
        ada = playground.user("ada")
        suggested = await ada.autocomplete("describe", "style", "")
        assert [choice.value for choice in suggested] == ["short", "detailed", "long", "tags"]
        given = picture((120, 60), shade=33)
        message = await described(ada, given, style="short")
        words = words_of(message)
        assert len(words) > 5
        assert lines(message)[-1] == "-# **florence** · one sentence"
        [small] = thumbnails(message)
        assert small["type"] == THUMBNAIL
        with Image.open(io.BytesIO(await playground.download(message.attachments[0]))) as image:
            assert (image.size, image.format) == ((120, 60), "WEBP")
        assert words_of(await described(ada, given, style="short")) == words
        assert words_of(await described(ada, given, style="tags")) != words
        assert home.rows("SELECT words FROM jobs WHERE kind = 'describe'")[0] == (words,)

        # The words as the prompt, in the size that is nearest.
        form = await ada.click(message, "Imagine it")
        assert form.modal is not None
        shown = {
            label["component"]["custom_id"]: label["component"]
            for label in form.modal["components"]
        }
        assert len(shown["prompt"]["value"]) >= len(words)
        width, height = next(
            line.removeprefix("size: ").split("x")
            for line in shown["more"]["value"].splitlines()
            if line.startswith("size: ")
        )
        assert int(width) > int(height)
        made = await (await ada.submit(form, {"prompt": CANARY})).wait(
            lambda m: bool(m.attachments), timeout=60
        )
        with Image.open(io.BytesIO(await playground.download(made.attachments[0]))) as image:
            assert image.size == (int(width), int(height))

        # 💬 behind ➕ describes a result.
        again = await (await press(ada, made, "describe")).wait(lambda m: True, timeout=60)
        del again
        found = await playground.wait_message(
            lambda m: m.reference == made.id and is_described(m), timeout=60
        )
        assert words_of(found) != words

        # It is in one's history, can be opened there, and is gone once it is deleted.
        page = await (await ada.slash("history")).wait(lambda m: bool(m.components))
        assert words[:20] in page.text
        asked = (await ada.click(message, "Delete")).message
        assert asked is not None
        await ada.click(asked, "Delete for good")
        await until(lambda: message.deleted)
        [(kept,)] = home.rows(f"SELECT words FROM jobs WHERE id = '{job_of(message)}'")
        assert kept is None
        await bot.end()
        assert "Traceback" not in bot.log
        assert words not in bot.log
        assert playground.violations == []


@pytest.mark.long
async def test_killed_it_goes_on_and_cancelled_it_ends(tmp_path: Path, seeing_dir: Path) -> None:
    home = seeing(tmp_path / "home", seeing_dir)
    async with Playground() as playground, ImpatientBot(home, playground) as bot:
        ada = playground.user("ada")
        given = picture((60, 60), shade=90)
        whole = words_of(await described(ada, given, style="long"))

        asked = await ada.slash("describe", image=File("me.png", given), style="long")
        await asked.wait(lambda m: "Looking at the image" in m.text, timeout=60)
        await bot.end(signal.SIGKILL)
        await bot.start()
        message = await asked.wait(is_described, timeout=60)
        assert words_of(message) == whole

        asked = await ada.slash("describe", image=File("me.png", given), style="long")
        waiting = await asked.wait(lambda m: "Looking at the image" in m.text, timeout=60)
        await ada.click(waiting, "Cancel")
        await asked.wait(lambda m: "Cancelled" in m.text, timeout=60)
        assert home.states() == ["delivered", "delivered", "cancelled"]
        refused = await ada.slash("describe", image=File("me.png", given), style="tags")
        assert "style: tags won't work. Choose short, detailed, or long." in said(refused)
        assert playground.violations == []


async def test_where_nothing_describes_it_says_so_and_offers_nothing(ada: User) -> None:
    refused = await ada.slash("describe", image=File("me.png", picture((60, 50), shade=3)))
    assert "I can't describe images: nothing is set up for that here." in said(refused)
    assert await ada.autocomplete("describe", "style", "") == []
    more = await ada.click(await painted(ada, prompt=CANARY, seed=7), "More…")
    assert more.message is not None
    assert "describe" not in buttons(more.message)


@pytest.mark.long
async def test_over_http_and_on_the_command_line(tmp_path: Path, seeing_dir: Path) -> None:
    home = seeing(tmp_path / "home", seeing_dir)
    given = picture((90, 60), shade=50)
    file = tmp_path / "me.png"
    file.write_bytes(given)
    encoded = base64.b64encode(given).decode()
    async with Server(home) as server:
        body = {"image": encoded, "style": "short"}
        accepted = await server.client.post("/describe", json=body)
        assert accepted.status_code == 202, accepted.text
        assert accepted.json()["seed"] == 0
        done = await server.done(accepted.json()["job_id"])
        words = done["words"]
        assert len(words) > 5
        assert done["images"] == []
        assert done["metadata"]["style"] == "short"
        assert done["metadata"]["hashes"].keys() == {"[describer]"}

        handed = await call(home, "describe", str(file), "--style", "short")
        assert handed == (0, f"{words}\n", handed[2])
        told = await call(home, "describe", str(file), "--json", "--style", "short")
        assert json.loads(told[1])["words"] == words
        remotely = await call(
            home, "describe", str(file), "--style", "short", "--server", server.url
        )
        assert remotely[:2] == (0, f"{words}\n")

        path = "/sdapi/v1/interrogate"
        answer = await server.client.post(path, json={"image": encoded, "model": "clip"})
        assert answer.status_code == 200, answer.text
        assert answer.json().keys() == {"caption"}
        same = await call(home, "describe", str(file))
        assert same[1] == f"{answer.json()['caption']}\n"
        tags = await server.client.post(path, json={"image": encoded, "model": "deepdanbooru"})
        assert tags.status_code == 400
        assert "deepdanbooru" in tags.json()["detail"]
        wrong = await server.client.post("/describe", json={"image": encoded, "style": "loud"})
        assert wrong.json()["field"] == "style"
        assert "Traceback" not in server.log
    # And without a server beside it.
    alone = await call(home, "describe", str(file), "--style", "short")
    assert alone[:2] == (0, f"{words}\n")
