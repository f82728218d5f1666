"""Previews are painted while nobody waits, one by one, and go on after a restart."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from bot.errors import Refused
from bot.painting import Painting
from bot.previews import Pictures, Previews, Shelf
from bot.previews.painting import subjects
from bot.previews.service import WANTED
from bot.request import GenerationRequest
from bot.settings.image_check import ImageCheck
from bot.store import ActKind, JobState
from bot.worker.observers import ByOrigin
from catalog import AdapterEntry, Catalog, LiveCatalog, ModelEntry, locate_entry
from tests.catalog.fixed import fixed
from tests.catalog.home import checkpoint_bytes, weights_bytes
from tests.store.factories import painting, request
from tests.worker.bench import Bench, Build, Gate
from tests.worker.checking import FakeClassifier, inspector
from tests.worker.fakes import CheckStop, Report, Watcher, eventually

PROMPT = "a fox"
OWNER = "discord:1"
FIELDS: dict[str, Any] = {"size": (256, 256), "min_side": 64}
MODEL = ModelEntry(key="demo", name="Demo", path="checkpoints/demo.safetensors", **FIELDS)
LORA = AdapterEntry(
    key="ink", name="Ink", path="loras/ink.safetensors", trigger_words=("ink wash",), nsfw=True
)
CATALOG = Catalog({"demo": MODEL}, {"ink": LORA}, "demo")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    for path, data in ((MODEL.path, checkpoint_bytes()), (LORA.path, weights_bytes())):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    # Nothing shall be looked for on the hub.
    (folder / "config").mkdir()
    return folder


def previews_of(bench: Bench, models: Path, **more: Any) -> Previews:
    previews = Previews(
        catalog=more.pop("catalog", fixed(CATALOG)),
        store=bench.store,
        queue=bench.queue,
        workers=bench.workers,
        inspector=more.pop("inspector", inspector(bench.store)),
        pictures=Pictures(models, models.parent / "previews"),
        models_dir=models,
        images_dir=bench.images,
        prompt=PROMPT,
        **{"quiet": 0.0, **more},
    )
    bench.watcher.pass_on("previews", previews.following)  # type: ignore[attr-defined]
    return previews


@asynccontextmanager
async def running(previews: Previews) -> AsyncIterator[None]:
    task = asyncio.create_task(previews.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def bench(build: Build, models: Path) -> AsyncIterator[Bench]:
    live: LiveCatalog = fixed(CATALOG)
    async with build(watcher=ByOrigin({}, Watcher()), catalog=live) as opened:
        yield opened


@pytest.fixture(autouse=True)
def whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint needs a configuration, which would be fetched from the hub."""
    monkeypatch.setattr("bot.previews.service.locate_entry", lambda *_: Available())


class Available:
    available = True


async def test_one_picture_of_each_is_painted_and_nothing_else_is_kept(
    bench: Bench, models: Path
) -> None:
    previews = previews_of(bench, models)
    async with running(previews):
        await previews.start(OWNER)
        await eventually(lambda: not previews.progress().wanted)
    first, second = (order.request for order in bench.engine.orders)
    assert (first.prompt, first.adapters, first.width) == (PROMPT, (), 192)
    assert second.trigger_words == ("ink wash",)
    assert second.seed == first.seed
    assert [use.key for use in second.adapters] == ["ink"]
    assert previews.progress().painted == 2
    shown = await previews.pictures.of(Shelf.LORAS, [LORA], checked=False)
    assert shown["ink"].startswith(b"RIFF")
    assert await previews.pictures.of(Shelf.MODELS, [MODEL], checked=False)
    assert [*bench.images.rglob("*.png")] == []
    assert not await bench.store.setting(WANTED)


async def test_a_model_of_which_only_configurations_are_here_is_not_downloaded_for_it(
    bench: Bench, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.previews.service.locate_entry", locate_entry)
    snapshot = models / "hub/models--org--far/snapshots/abc"
    snapshot.mkdir(parents=True)
    (snapshot / "model_index.json").write_bytes(b"{}")
    far = ModelEntry(key="far", name="Far", path="org/far")
    catalog = Catalog({"demo": MODEL, "far": far}, {}, "demo")
    previews = previews_of(bench, models, catalog=fixed(catalog))
    async with running(previews):
        await previews.start(OWNER)
        await eventually(lambda: not previews.progress().wanted)
    assert (bench.engine.orders, previews.progress().failed) == ([], ())


async def test_unchanged_ones_are_not_painted_again_and_changed_ones_are(
    bench: Bench, models: Path
) -> None:
    previews = previews_of(bench, models)
    async with running(previews):
        await previews.start(OWNER)
        await eventually(lambda: not previews.progress().wanted)
        await previews.start(OWNER)
        await eventually(lambda: not previews.progress().wanted)
        assert len(bench.engine.orders) == 2
        (models / LORA.path).write_bytes(weights_bytes({"another": "one"}))
        await previews.start(OWNER)
        await eventually(lambda: not previews.progress().wanted)
    assert len(bench.engine.orders) == 3
    assert len([*(models.parent / "previews" / "loras").iterdir()]) == 1


async def test_people_go_first_and_the_picture_is_painted_later(bench: Bench, models: Path) -> None:
    gate = Gate()
    bench.engine.work = gate
    previews = previews_of(bench, models)
    async with running(previews):
        await previews.start(OWNER)
        await gate.entered()
        job_id = await bench.take()
        await eventually(lambda: previews._withdrawing is not None and previews._withdrawing.done())
        gate.go_on.set()
        await eventually(lambda: not previews.progress().wanted)
    # The first picture was given up at its next step, and painted when all others were there.
    assert bench.engine.orders[1].request == request()
    assert len(bench.engine.orders) == 4
    assert bench.engine.orders[3].request == bench.engine.orders[0].request
    assert (await bench.store.job(job_id)).state is JobState.DONE
    cancelled = await bench.store.untold(("previews",))
    assert cancelled == []  # it is told, so that it is not reported at the next start
    assert previews.progress().painted == 2
    assert previews.progress().failed == ()


async def test_none_is_asked_for_while_somebody_waits(bench: Bench, models: Path) -> None:
    gate = Gate()
    bench.engine.work = gate
    await bench.take()
    await gate.entered()
    previews = previews_of(bench, models)
    async with running(previews):
        await previews.start(OWNER)
        await asyncio.sleep(0.05)
        assert len(bench.queue) == 1
        gate.go_on.set()
        await eventually(lambda: not previews.progress().wanted)


async def test_stopping_gives_up_the_one_that_is_painted(bench: Bench, models: Path) -> None:
    gate = Gate()
    bench.engine.work = gate
    previews = previews_of(bench, models)
    async with running(previews):
        await previews.start(OWNER)
        await gate.entered()
        await previews.stop(OWNER)
        gate.go_on.set()
        await eventually(lambda: len(bench.queue) == 0)
    assert previews.progress().painted == 0
    assert len(bench.engine.orders) == 1
    assert not await bench.store.setting(WANTED)


async def test_who_starts_and_stops_it_is_kept(bench: Bench, models: Path) -> None:
    previews = previews_of(bench, models)
    for _ in range(2):
        await previews.stop(OWNER)  # changes nothing the first time
        await previews.start(OWNER)
        await previews.start(OWNER)
    acts = await bench.store.acts.untold()
    assert {(act.kind, act.actor, act.community) for act in acts} == {
        (ActKind.PREVIEWS, OWNER, None)
    }
    assert [act.details["state"] for act in acts] == ["started", "stopped", "started"]


async def test_it_goes_on_after_an_unexpected_error(
    bench: Bench, models: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    previews = previews_of(bench, models)
    monkeypatch.setattr("bot.previews.service.AGAIN", 0)
    tidy = iter([MemoryError("no room")])

    def failing(entries: object) -> None:
        if (error := next(tidy, None)) is not None:
            raise error

    monkeypatch.setattr(previews.pictures, "tidy", failing)
    async with running(previews):
        await previews.start(OWNER)
        await eventually(lambda: previews.progress().painted == 2)
    assert "MemoryError: no room" in caplog.text


async def test_it_goes_on_after_a_restart(bench: Bench, models: Path) -> None:
    await bench.store.set_setting(WANTED, "yes")
    previews = previews_of(bench, models)
    async with running(previews):
        await eventually(lambda: previews.progress().painted == 2)


async def test_one_that_fails_is_named_and_the_others_are_painted(
    bench: Bench, models: Path
) -> None:
    def work(asked: GenerationRequest, report: Report, check: CheckStop) -> Painting:
        if not asked.adapters:
            raise Refused("memory.out")
        return painting(asked)

    bench.engine.work = work
    previews = previews_of(bench, models)
    async with running(previews):
        await previews.start(OWNER)
        await eventually(lambda: not previews.progress().wanted)
    assert previews.progress().failed == ("demo",)
    assert await previews.pictures.of(Shelf.LORAS, [LORA], checked=False)


def broken(_: object) -> bool:
    raise RuntimeError("out of order")


@pytest.mark.parametrize(
    ("mode", "flag", "kept"),
    [
        ("refuse", lambda _: False, {"demo": True, "ink": False}),
        ("refuse", lambda _: True, {"ink": False}),
        ("spoiler", broken, {"ink": False}),
        ("off", broken, {"demo": False, "ink": False}),
    ],
)
async def test_what_the_image_check_flags_is_kept_for_age_restricted_channels_alone(
    bench: Bench, models: Path, mode: ImageCheck, flag: Any, kept: dict[str, bool]
) -> None:
    """kept: whether each picture is shown where images are checked, too."""
    checking = inspector(bench.store, FakeClassifier(flag), mode)
    previews = previews_of(bench, models, inspector=checking)
    async with running(previews):
        await previews.start(OWNER)
        await eventually(lambda: not previews.progress().wanted)
    assert previews.progress().failed == (() if "demo" in kept else ("demo",))
    for checked in (False, True):
        shown = {
            **await previews.pictures.of(Shelf.MODELS, [MODEL], checked=checked),
            **await previews.pictures.of(Shelf.LORAS, [LORA], checked=checked),
        }
        assert {*shown} == {key for key, also in kept.items() if also or not checked}


def test_what_is_shown_everywhere_is_painted_with_a_model_that_is() -> None:
    adult = ModelEntry(key="adult", name="Adult", path=MODEL.path, nsfw=True, **FIELDS)
    plain = AdapterEntry(key="plain", name="Plain", path=LORA.path)
    catalog = Catalog({"adult": adult, "demo": MODEL}, {"ink": LORA, "plain": plain}, "demo")
    painted = [(each.entry.key, each.model.key) for each in subjects(catalog, [adult, MODEL])]
    assert painted == [("adult", "adult"), ("ink", "adult"), ("demo", "demo"), ("plain", "demo")]


async def test_before_an_update_it_waits_and_nothing_counts_as_failed(
    bench: Bench, models: Path
) -> None:
    gate = Gate()
    bench.engine.work = gate
    previews = previews_of(bench, models)
    async with running(previews):
        await previews.start(OWNER)
        await gate.entered()
        bench.queue.blocked.close(closing=True)
        gate.go_on.set()
        await eventually(lambda: previews.progress().painted == 1 and len(bench.queue) == 0)
        await asyncio.sleep(0.05)
        assert previews.progress().failed == ()
        assert previews.progress().left == 1
        assert await bench.store.setting(WANTED)
        bench.queue.blocked.close(closing=False)
        await eventually(lambda: previews.progress().painted == 2)


async def test_one_refused_as_the_bot_begins_to_stop_is_painted_later(
    bench: Bench, models: Path
) -> None:
    previews = previews_of(bench, models)
    bench.queue.blocked.close(closing=True)
    subject = (await asyncio.to_thread(previews._missing, CATALOG))[0]
    assert not await previews._paint(subject, CATALOG)
    assert previews.progress().failed == ()
