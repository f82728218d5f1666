"""/history, /favourites and /stats, as people use them."""

import asyncio
import io
import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image

from playground import Interaction, Message, Playground, User
from tests.e2e.acting import BUTTON, SELECT, answer
from tests.e2e.conftest import CANARY
from tests.e2e.home import LORAS, MODELS, Bot, Home
from tests.e2e.results import buttons, facts, gallery, job_of, lines, parts
from tests.e2e.test_actions import bytes_of, posted, press, public, result, said
from tests.e2e.test_imagine import painted
from tests.e2e.test_rights import GATED_LORA, NAMES, SMALL

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUICK: dict[str, Any] = {"prompt": CANARY, "seed": 7, "steps": 2}
ROW, THUMBNAIL = 9, 11


async def listed(call: Interaction) -> Message:
    """The list, or result, that answers a command or a select."""
    message = await answer(call)
    assert message.ephemeral
    return message


def rows(message: Message) -> list[str]:
    """The results on a page, as text."""
    return [line for line in lines(message) if line.startswith("**")]


def picks(message: Message) -> dict[str, Any]:
    [select] = [part for part in parts(message) if part["type"] == SELECT]
    return select


async def until(ask: Callable[[], Awaitable[list[str]]], wanted: list[str]) -> None:
    """Ask again until the answer is that; what it waits for has no answer of its own."""
    found: list[str] = []
    for _ in range(600):
        if (found := await ask()) == wanted:
            return
        await asyncio.sleep(0.05)
    assert found == wanted


async def opened(user: User, page: Message, *numbers: int) -> Message:
    select = picks(page)
    values = [select["options"][n - 1]["value"] for n in numbers]
    call = await user.select(page, select["custom_id"], values)
    return await listed(call)


def prompts(message: Message) -> list[str]:
    return [row.split(" ", 1)[1].split("\n")[0] for row in rows(message)]


async def test_what_was_painted_is_found_by_its_words(
    shared: Bot, playground: Playground, ada: User
) -> None:
    for prompt in (f"{CANARY} Café Zürich", f"{CANARY} 黒い猫と少女", f"{CANARY} lighthouse"):
        await painted(ada, **QUICK | {"prompt": prompt})
    other = playground.user("bea-history")
    await painted(other, **QUICK | {"prompt": f"{CANARY} lighthouse of bea"})
    every = await listed(await ada.slash("history"))
    assert every.ephemeral
    assert [prompt.split(" ", 1)[1] for prompt in prompts(every)] == [
        "lighthouse",
        "黒い猫と少女",
        "Café Zürich",
    ]
    for words, wanted in (
        ("cafe ZURICH", "Café Zürich"),
        ("少女", "黒い猫と少女"),
        ("light", "lighthouse"),
    ):
        found = await listed(await ada.slash("history", words=words))
        assert prompts(found) == [f"{CANARY} {wanted}"]
    none = await listed(await ada.slash("history", words="nowhere", kind="edit"))
    assert "There's nothing here." in none.text
    # Each has a small picture of itself.
    shown = [part for part in parts(every) if part["type"] == ROW]
    assert [part["accessory"]["type"] for part in shown] == [THUMBNAIL] * 3
    for data in await bytes_of(playground, every):
        assert Image.open(io.BytesIO(data)).size == (64, 64)
    thumbnails = shared.home.data_dir / "images" / ".thumbnails"
    assert len(list(thumbnails.glob("*.webp"))) >= 3


@pytest.mark.long
async def test_it_is_narrowed_and_a_wrong_day_says_what_is_allowed(ada: User) -> None:
    await painted(ada, **QUICK, lora="ember:0.5")
    await painted(ada, **QUICK | {"steps": 10}, model="second")
    options: dict[str, Any]
    for options, wanted in (
        ({"lora": "ember:0.5"}, 1),
        ({"model": "Second model"}, 1),
        ({"from": "today"}, 2),
        ({"to": "yesterday"}, 0),
        ({"from": "7d", "to": "today", "kind": "imagine"}, 2),
        ({"kind": "compare"}, 0),
    ):
        assert len(rows(await listed(await ada.slash_options("history", options)))) == wanted
    wrong = said(await ada.slash_options("history", {"from": "last week"}))
    assert "from: last week isn't a day I understand" in wrong
    assert "`today`, `yesterday`" in wrong
    assert "no day 2026-02-30" in said(await ada.slash_options("history", {"to": "2026-02-30"}))
    wrong = said(await ada.slash_options("history", {"from": "today", "to": "3d"}))
    assert "from: today is after 3d" in wrong
    many = " ".join(f"word{n}" for n in range(13))
    assert "words: 13 words are too many" in said(await ada.slash("history", words=many))


async def test_one_is_opened_and_used_again(playground: Playground, ada: User) -> None:
    original = await painted(ada, **QUICK)
    before = public(playground)
    page = await listed(await ada.slash("history"))
    whole = await opened(ada, page, 1)
    assert whole.ephemeral
    assert await bytes_of(playground, whole) == await bytes_of(playground, original)
    assert facts(whole) == facts(original)
    assert public(playground) == before
    form = await ada.click(whole, buttons(whole)["edit"])
    assert form.modal is not None
    await ada.click(whole, buttons(whole)["same"])
    again = await posted(playground, whole, original, stays=True)
    assert "Identical to the original" in again.text
    await ada.submit(form, {"more": "seed: 8"})
    changed = await posted(playground, whole, original, after=again, stays=True)
    assert "seed `8`" in facts(changed)
    asked = await ada.click(whole, buttons(whole)["variations"])
    assert asked.message is not None
    await ada.select(asked.message, f"varyby:{job_of(original)}", ["0 0.2"])
    varied = await posted(playground, asked.message, original)
    assert len(varied.attachments) > 1
    assert not whole.deleted
    # In a direct message as well.
    direct = await listed(await ada.slash("history", channel=playground.dm(ada)))
    whole = await opened(ada, direct, 1)
    assert len(whole.attachments) == len(varied.attachments)
    assert "send" not in buttons(whole)


@pytest.mark.long
async def test_what_comes_of_an_opened_one_is_answered_where_nothing_can_be_posted(
    playground: Playground, ada: User
) -> None:
    original = await painted(ada, **QUICK)
    silent = playground.add_channel("silent")
    playground.deny(silent, "send_messages")
    page = await listed(await ada.slash("history", channel=silent))
    whole = await opened(ada, page, 1)
    again = await result(await ada.click(whole, buttons(whole)["same"]))
    assert again.reference == whole.id
    assert await bytes_of(playground, again) == await bytes_of(playground, original)


@pytest.mark.long
async def test_one_from_another_channel_is_made_again_where_one_is(
    playground: Playground, ada: User
) -> None:
    original = await painted(ada, **QUICK)
    other = playground.add_channel("elsewhere")
    page = await listed(await ada.slash("history", channel=other))
    whole = await opened(ada, page, 1)
    await ada.click(whole, buttons(whole)["same"])
    again = await posted(playground, whole, None, stays=True)
    assert again.channel is other
    assert await bytes_of(playground, again) == await bytes_of(playground, original)


@pytest.mark.long
async def test_an_image_of_an_opened_sheet_is_posted_in_the_channel(
    playground: Playground, ada: User
) -> None:
    call = await ada.slash("compare", prompt=CANARY, axis="steps", values="1, 2", seed=7)
    sheet = await result(call)
    whole = await opened(ada, await listed(await ada.slash("history")), 1)
    await ada.select(whole, f"opencell:{job_of(sheet)}", ["1"])
    cell = await posted(playground, whole, sheet, stays=True)
    assert "2 steps" in facts(cell)


async def test_two_are_compared(playground: Playground, ada: User) -> None:
    await painted(ada, **QUICK)
    await painted(ada, **QUICK | {"prompt": f"{CANARY} by night", "steps": 3})
    page = await listed(await ada.slash("history"))
    both = await opened(ada, page, 1, 2)
    assert both.ephemeral
    [data] = await bytes_of(playground, both)
    width, height = Image.open(io.BytesIO(data)).size
    assert width > height
    assert lines(both) == [f"**Prompt**\nA: {CANARY} by night\nB: {CANARY}\n**Steps**\nA: 3\nB: 2"]
    # The same from an opened one, whatever page the other is on.
    whole = await opened(ada, page, 1)
    choose = await listed(await ada.click(whole, buttons(whole)["comparewith"]))
    assert "Which one" in choose.text
    assert len(rows(choose)) == 1
    assert lines(await opened(ada, choose, 1)) == lines(both)


async def test_one_is_shown_in_the_channel_and_goes_with_its_result(
    playground: Playground, ada: User
) -> None:
    original = await painted(ada, **QUICK)
    other = playground.add_channel("gallery")
    page = await listed(await ada.slash("history", channel=other))
    whole = await opened(ada, page, 1)
    done = await ada.click(whole, buttons(whole)["send"])
    await done.wait(lambda m: m.content == "Everyone here can see it now.")
    [shown] = [m for m in playground.messages(other) if not m.ephemeral]
    assert f"<@{ada.id}> shows this again" in shown.text
    assert await bytes_of(playground, shown) == await bytes_of(playground, original)
    assert shown.mentions == set()
    asked = await ada.click(whole, buttons(whole)["delete"])
    assert asked.message is not None
    await ada.click(asked.message, "Delete for good")
    await asked.wait(lambda m: m.content == "Deleted.")
    assert original.deleted
    assert shown.deleted
    assert rows(await listed(await ada.slash("history"))) == []
    late = await ada.select(page, picks(page)["custom_id"], [job_of(original)])
    assert "This image was deleted." in said(late)


@pytest.mark.long
async def test_a_pruned_file_is_said_and_painted_again_with_the_same_bytes(
    shared: Bot, playground: Playground, ada: User
) -> None:
    original = await painted(ada, **QUICK)
    before = await bytes_of(playground, original)
    job_id = job_of(original)
    [(path,)] = shared.home.rows(f"SELECT path FROM images WHERE job_id = '{job_id}'")
    (shared.home.data_dir / "images" / path).unlink()
    with closing(sqlite3.connect(shared.home.database, timeout=10)) as database:
        database.execute("UPDATE images SET pruned_at = 1 WHERE job_id = ?", (job_id,))
        database.commit()
    page = await listed(await ada.slash("history"))
    assert "files deleted" in rows(page)[0]
    whole = await opened(ada, page, 1)
    assert whole.attachments == []
    assert "Files of this were deleted to make room." in whole.text
    assert "Would it be the same today? Yes" in whole.text
    await ada.click(whole, buttons(whole)["same"])
    again = await posted(playground, whole, original, stays=True)
    assert await bytes_of(playground, again) == before


async def test_a_star_keeps_it_for_whoever_gives_it(playground: Playground, ada: User) -> None:
    original = await painted(ada, **QUICK | {"prompt": f"{CANARY} of ada"})
    bea = playground.user("bea-keeps")
    empty = await listed(await bea.slash("favourites"))
    assert "There's nothing here yet." in empty.text
    await bea.react(original, "⭐")

    async def kept() -> list[str]:
        return prompts(await listed(await bea.slash("favourites")))

    await until(kept, [f"{CANARY} of ada"])
    whole = await opened(bea, await listed(await bea.slash("favourites")), 1)
    assert len(whole.attachments) == 1
    assert {"send", "delete"}.isdisjoint(buttons(whole))
    await bea.unreact(original, "⭐")
    await until(kept, [])
    assert "Kept" in said(await press(bea, original, "keep"))
    assert await kept() == [f"{CANARY} of ada"]
    assert "⭐" not in rows(await listed(await ada.slash("history")))[0]
    assert "no longer" in said(await press(bea, original, "keep"))
    assert await kept() == []


async def test_figures_are_shown_as_a_picture(playground: Playground, ada: User) -> None:
    await painted(ada, **QUICK, count=2, lora="ember:0.5")
    mine = await listed(await ada.slash("stats me", days=7))
    assert mine.ephemeral
    [item] = gallery(mine)
    for text in ("Your images", "images: 2", "request: 1", "Demo 1", "Ember glow 1"):
        assert text in item["description"]
    [data] = await bytes_of(playground, mine)
    assert Image.open(io.BytesIO(data)).width == 900
    assert "Manage Server" in said(await ada.slash("stats server"))
    manager = playground.user("manager-of-figures")
    playground.give_role(manager, playground.add_role("manager", "manage_guild"))
    theirs = await listed(await manager.slash("stats server"))
    assert "images:" in gallery(theirs)[0]["description"]
    german = playground.user("zahlen", locale="de")
    assert "Deine Bilder" in gallery(await listed(await german.slash("stats me")))[0]["description"]


# What takes a bot of its own


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def own(
    tmp_path_factory: pytest.TempPathFactory, models_dir: Path
) -> AsyncIterator[tuple[Bot, Playground]]:
    home = Home(tmp_path_factory.mktemp("history"), models_dir)
    models = MODELS.replace("nsfw = true", SMALL)
    (home.catalog_dir / "models.toml").write_text(models, encoding="utf-8")
    (home.catalog_dir / "loras.toml").write_text(LORAS + GATED_LORA, encoding="utf-8")
    async with Playground() as playground, Bot(home, playground) as bot:
        yield bot, playground
        assert CANARY not in bot.log
        assert "Traceback" not in bot.log
        assert playground.violations == []


def write_many(bot: Bot, job_id: str, count: int) -> None:
    """Copies of a job, each a minute older than the last, as an earlier version has left them."""
    with closing(sqlite3.connect(bot.home.database, timeout=10)) as database:
        [request] = database.execute("SELECT request FROM jobs WHERE id = ?", (job_id,)).fetchone()
        for n in range(count):
            asked = json.dumps({**json.loads(request), "prompt": f"{CANARY} number {n}"})
            for table in ("jobs", "discord_jobs", "images"):
                names = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
                values: dict[str, Any] = {
                    "id": f"'many{n:06}'",
                    "job_id": f"'many{n:06}'",
                    "request": "?",
                    "created_at": f"created_at - {n + 1} * 60000",
                    "interaction_id": "NULL",
                    "message_id": "NULL",
                }
                columns = ", ".join(values.get(name, name) for name in names)
                key = "id" if table == "jobs" else "job_id"
                database.execute(
                    f"INSERT INTO {table} SELECT {columns} FROM {table} WHERE {key} = ?",
                    (*((asked,) if table == "jobs" else ()), job_id),
                )
        database.execute("UPDATE history_progress SET format = ''")
        database.commit()


@pytest.mark.long
async def test_pages_survive_a_restart_and_older_jobs_are_found(
    own: tuple[Bot, Playground],
) -> None:
    bot, playground = own
    ada = playground.user("ada")
    original = await painted(ada, **QUICK)
    words = "canary number " * 15
    await bot.end()
    write_many(bot, job_of(original), 20)
    await bot.start()

    async def found() -> list[str]:
        return prompts(await listed(await ada.slash("history", words=words)))

    await until(found, [f"{CANARY} number {n}" for n in range(6)])
    first = await listed(await ada.slash("history", words=words))
    await bot.end()
    await bot.start()
    await ada.click(first, "Older →")
    await playground.wait_for(lambda: "number 11" in first.text)
    assert prompts(first) == [f"{CANARY} number {n}" for n in range(6, 12)]
    await ada.click(first, "← Newer")
    await playground.wait_for(lambda: "number 0" in first.text)
    assert prompts(first) == [f"{CANARY} number {n}" for n in range(6)]
    with closing(sqlite3.connect(bot.home.database, timeout=10)) as database:
        database.execute("UPDATE forms SET made_at = 0")
        database.commit()
    assert "more than a day old" in said(await ada.click(first, "Older →"))


async def test_what_was_made_for_adults_is_listed_only_among_them(
    own: tuple[Bot, Playground],
) -> None:
    _, playground = own
    ada = playground.user("ada of age")
    room = playground.add_channel("adults", nsfw=True)
    await painted(ada, **QUICK | {"prompt": f"{CANARY} plain"}, channel=room)
    result_ = await painted(
        ada, **QUICK | {"steps": 10}, model="adults", lora="velvet", channel=room
    )
    inside = await listed(await ada.slash("history", channel=room))
    assert len(rows(inside)) == 2
    figures = await listed(await ada.slash("stats me", channel=room))
    assert [name for name in NAMES if name in gallery(figures)[0]["description"]]
    job_id = job_of(result_)
    for where in (playground.channel, playground.dm(ada)):
        for words in (None, CANARY):
            options = {} if words is None else {"words": words}
            outside = await listed(await ada.slash("history", channel=where, **options))
            assert rows(outside) == []
            assert "only listed there" in outside.text
        figures = await listed(await ada.slash("stats me", channel=where))
        assert not [name for name in NAMES if name in figures.text + str(gallery(figures))]
        picked = said(await forged(playground, ada, where, "historypick", job_id))
        assert "age-restricted" in picked
    sent = said(await forged(playground, ada, playground.channel, "send", job_id))
    assert "age-restricted" in sent
    refused = said(await forged(playground, ada, playground.dm(ada), "send", job_id))
    assert "nobody to show it to" in refused


async def forged(
    playground: Playground, user: User, channel: Any, action: str, job_id: str
) -> Interaction:
    """A button or select as anyone's client could send it."""
    page = await listed(await user.slash("history", channel=channel))
    kind = SELECT if action == "historypick" else BUTTON
    custom_id = f"{action}:" if kind == SELECT else f"{action}:{job_id}"
    component: dict[str, Any] = {"type": kind, "custom_id": custom_id, "id": 90}
    if kind == BUTTON:
        component |= {"style": 2, "label": "it"}
    if kind == SELECT:
        component |= {"min_values": 1, "max_values": 1}
        component["options"] = [{"label": "it", "value": job_id}]
    page.components.append({"type": 1, "id": 91, "components": [component]})
    if kind == SELECT:
        return await user.select(page, custom_id, [job_id])
    return await user.click(page, custom_id)


FOREIGN: dict[str, str] = {
    "historypick": "I no longer know this image.",
    "send": "I no longer know this image.",
    "delete": "and moderators can delete this.",
    "keep": "Kept",
}
"""What comes of using these on a result of somebody else that one sees in its channel."""


async def test_only_ones_own_is_opened_and_shown(own: tuple[Bot, Playground]) -> None:
    _, playground = own
    ada, bea = playground.user("ada"), playground.user("bea")
    seen = job_of(await painted(ada, **QUICK))
    hidden = job_of(await result(await ada.slash("imagine", **QUICK, hidden=True)))
    for action, wanted in FOREIGN.items():
        call = await forged(playground, bea, playground.channel, action, seen)
        assert wanted in said(call), action
    for action in (*FOREIGN, "comparewith", "details"):
        call = await forged(playground, bea, playground.channel, action, hidden)
        assert "I no longer know this image." in said(call), action
