"""What may be shown in another channel than the one it was asked for in."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bot.errors import InvalidRequest, Refused
from bot.files.images import save_images
from bot.levels import Enforcing, Level, Levels, Place
from bot.moderation.owner_file import OwnerFile
from bot.moderation.screening import Screening
from bot.moderation.word_list import Action, Blocked
from bot.moderation.words import Words
from bot.request import AdapterUse
from bot.store import Discord, NewJob, Store
from catalog import AdapterEntry, Catalog, ModelEntry
from cogs.history.sending import Showing
from tests.store.conftest import store
from tests.store.factories import new_job, painting, request, running
from tests.worker.checking import FakeClassifier, inspector

__all__ = ["store"]

THERE = Place(person="discord:7", community="discord:200", channel_id=30)
CATALOG = Catalog(
    {
        "demo": ModelEntry(key="demo", name="Demo", path="a/b"),
        "adult": ModelEntry(key="adult", name="Adult", path="a/b", nsfw=True),
    },
    {"ink": AdapterEntry(key="ink", name="Ink", path="a/b")},
    "demo",
)


@dataclass
class Asked:
    """set: by the server that it is to be shown in. word: what is done there about the word zork.
    flagged: what the image check says. origin: of the result. nsfw: of the channel there."""

    set: dict[str, Any]
    code: str | None = None
    word: Action | None = None
    flagged: bool = False
    origin: dict[str, Any] | None = None
    nsfw: bool = False
    model: str = "demo"
    spoiler: bool = False


CASES = {
    "nothing is set": Asked({}),
    "withheld": Asked({}, "publish.withheld", origin={"withheld": "shown"}, nsfw=True),
    "no painting": Asked({"paint": False}, "levels.no_painting.server"),
    "model": Asked({"allow_models": ("other",)}, "model.not_here"),
    "LoRA": Asked({"block_loras": ("ink",)}, "lora.not_here"),
    "role": Asked({"roles": (9,)}, "queue.role"),
    "steps": Asked({"max_steps": 5}, "levels.steps"),
    "forced negative": Asked({"forced_negative": "gore"}, "history.not_as_here"),
    "blocked word": Asked({}, "words.refused", word="refuse"),
    "restricted word": Asked({}, "words.restricted", word="restrict"),
    "restricted word among adults": Asked({}, word="restrict", nsfw=True),
    "reported word": Asked({}, word="report"),
    "gated": Asked({}, "repeat.gated", model="adult"),
    "gated among adults": Asked({}, model="adult", nsfw=True),
    "forced spoiler": Asked({"forced_spoiler": True}, spoiler=True),
    "blurred before": Asked({}, origin={"spoiler": True}, spoiler=True),
    "clean": Asked({"image_check": "refuse"}),
    "flagged, private": Asked({"image_check": "private"}, "history.flagged", flagged=True),
    "flagged, refuse": Asked(
        {"image_check": "refuse"},
        "history.flagged",
        flagged=True,
        origin={"image_check": "spoiler", "spoiler": True},
    ),
    "flagged, spoiler": Asked({"image_check": "spoiler"}, flagged=True, spoiler=True),
    "flagged among adults": Asked({"image_check": "refuse"}, flagged=True, nsfw=True),
}


@pytest.mark.parametrize("case", CASES)
async def test_a_place_shows_what_it_would_have_made(
    store: Store, tmp_path: Path, case: str
) -> None:
    asked, levels = CASES[case], Levels(store)
    words = Words(store, lambda: CATALOG, OwnerFile(tmp_path / "blocked_words.txt"))
    await levels.change(Level.SERVER, THERE, asked.set)
    if asked.word is not None:
        await words.add("discord:200", Blocked("zork", "word", asked.word), "discord:1")
    admit = Screening(Enforcing(levels, lambda: CATALOG), words, levels, store, lambda: CATALOG)
    adapters = (AdapterUse("ink", 1.0),)
    wanted = request(prompt="a zork", negative="", model=asked.model, adapters=adapters)
    origin = Discord(user_id=7, **(asked.origin or {}))
    job = await running(store, NewJob(request=wanted, origin=origin))
    made = painting(wanted)
    images = save_images(made, job, tmp_path / "images")
    done = await store.finish(job, made.recipe, images, [])
    assert done is not None
    checker = inspector(store, FakeClassifier(lambda _: asked.flagged))
    showing = Showing(admit, store, checker, tmp_path / "images")
    there = new_job(
        request=wanted, guild_id=200, channel_id=30, age_restricted=asked.nsfw, id=job.id
    )
    if asked.code is not None:
        with pytest.raises((Refused, InvalidRequest)) as raised:
            await showing.admitted(there, done)
        assert raised.value.code == asked.code
        return
    shown = await showing.admitted(there, done)
    assert shown.spoiler is asked.spoiler
    reports = [act.subject for act in await store.acts.untold() if act.kind == "words_found"]
    assert reports == ([job.id] if asked.word == "report" else [])
    checker.shut_down()


@pytest.mark.parametrize(
    ("settings", "flagged", "withheld", "spoiler"),
    [
        ({}, True, None, False),
        ({"paint": False}, False, None, "levels.no_painting.server"),
        ({"block_models": ("demo",)}, False, None, "model.not_here"),
        ({"forced_spoiler": True}, False, None, True),
        ({"image_check": "spoiler"}, True, None, True),
        ({"image_check": "refuse"}, True, None, "history.flagged"),
        ({"image_check": "refuse"}, True, "hidden", False),
        ({"image_check": "refuse"}, False, None, False),
    ],
)
async def test_a_cell_is_opened_only_where_it_could_have_been_asked_for(
    store: Store,
    tmp_path: Path,
    settings: dict[str, Any],
    flagged: bool,
    withheld: str | None,
    spoiler: bool | str,
) -> None:
    levels = Levels(store)
    await levels.change(Level.SERVER, THERE, settings)
    made = painting(wanted := request(negative=""))
    job = await running(store, NewJob(request=wanted, origin=Discord(user_id=7)))
    assert await store.finish(job, made.recipe, save_images(made, job, tmp_path / "images"), [])
    checker = inspector(store, FakeClassifier(lambda _: flagged))
    admit = Enforcing(levels, lambda: CATALOG)
    showing = Showing(admit, store, checker, tmp_path / "images")
    there = new_job(request=wanted, guild_id=200, channel_id=30, withheld=withheld)
    if isinstance(spoiler, str):
        with pytest.raises(Refused) as raised:
            await showing.cell(there, job, 0)
        assert raised.value.code == spoiler
    else:
        shown = await showing.cell(there, job, 0)
        assert (shown.spoiler, shown.channel_id) == (spoiler, 30)
    checker.shut_down()
