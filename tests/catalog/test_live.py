"""The catalog reloads changed files and survives a broken edit."""

import asyncio
import contextlib
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from catalog import CatalogError, LiveCatalog, read_catalog
from catalog import live as live_module
from catalog.live import REPORTED
from tests.catalog.home import ONE_MODEL, Home

TWO_MODELS = ONE_MODEL + '[models.two]\nname = "Two"\npath = "org/two"\n'


@pytest.fixture
def live(home: Home) -> LiveCatalog:
    return LiveCatalog(home.catalog_dir, home.models_dir)


def test_it_is_there_from_the_start(live: LiveCatalog) -> None:
    assert list(live.current.models) == ["base"]


def test_a_catalog_that_cannot_be_read_stops_the_start(home: Home) -> None:
    home.write(b"=")
    with pytest.raises(CatalogError, match=r"models\.toml"):
        LiveCatalog(home.catalog_dir, home.models_dir)


def test_nothing_is_read_while_nothing_changes(
    live: LiveCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = live.current
    monkeypatch.setattr(live_module, "read_catalog", None)
    assert not live.refresh()
    assert live.current is before


def test_an_edit_is_taken_over(home: Home, live: LiveCatalog) -> None:
    before = live.current
    home.write(TWO_MODELS)
    assert live.current is before
    assert live.refresh()
    assert list(live.current.models) == ["base", "two"]
    assert list(before.models) == ["base"]
    assert not live.refresh()


def test_a_change_of_either_file_counts(home: Home, live: LiveCatalog) -> None:
    home.write(loras='[loras.a]\nname = "A"\npath = "org/a"\n')
    assert live.refresh()
    assert list(live.current.adapters) == ["a"]


def test_the_file_of_an_entry_is_followed_wherever_it_is(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.write(
        loras='[loras.far]\nname = "Far"\npath = "loras/sub/far.safetensors"\n'
        '[loras.hub]\nname = "Hub"\npath = "org/name"\n'
    )
    far = home.weights("loras/sub/far.safetensors", {"ss_output_name": "One"})
    live = LiveCatalog(home.catalog_dir, home.models_dir)
    assert not live.refresh()
    home.weights("loras/sub/far.safetensors", {"ss_output_name": "Two"})
    assert live.refresh()
    assert live.current.facts("far").title == "Two"  # type: ignore[union-attr]
    assert not live.refresh()
    home.weights("hub/models--org--name/snapshots/abc/a.safetensors")
    assert live.refresh()
    assert live.current.facts("hub") is not None
    assert not live.refresh()
    far.unlink()
    assert live.refresh()
    assert live.current.facts("far") is None
    monkeypatch.setattr(live_module, "read_catalog", None)
    assert not live.refresh()


def test_a_changed_file_beside_a_broken_catalog_is_tried_once(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    home.write(loras='[loras.far]\nname = "Far"\npath = "far.safetensors"\n')
    home.weights("far.safetensors", {"ss_output_name": "One"})
    live = LiveCatalog(home.catalog_dir, home.models_dir)
    home.write(b"=")
    home.weights("far.safetensors", {"ss_output_name": "Two"})
    for _ in range(3):
        assert not live.refresh()
    assert caplog.text.count("keeping the last good one") == 1


@pytest.mark.parametrize("broken", [b"default = ", b"\xff", b"", b"[models.base]\n"])
def test_a_broken_edit_keeps_the_last_good_one_and_is_logged_once(
    home: Home, live: LiveCatalog, caplog: pytest.LogCaptureFixture, broken: bytes
) -> None:
    good = live.current
    home.write(broken)
    with caplog.at_level(logging.ERROR):
        assert not live.refresh()
        assert not live.refresh()
        assert not live.refresh()
    assert live.current is good
    (record,) = caplog.records
    assert str(home.catalog_dir / "models.toml") in record.getMessage()
    home.write(TWO_MODELS)
    assert live.refresh()
    assert list(live.current.models) == ["base", "two"]


def test_a_second_broken_edit_is_logged_again(
    home: Home, live: LiveCatalog, caplog: pytest.LogCaptureFixture
) -> None:
    for broken in (b"a =", b"bb ="):
        home.write(broken)
        live.refresh()
    assert len([r for r in caplog.records if r.levelno == logging.ERROR]) == 2


def test_a_removed_file_keeps_the_last_good_one(home: Home, live: LiveCatalog) -> None:
    good = live.current
    (home.catalog_dir / "loras.toml").unlink()
    assert not live.refresh()
    assert live.current is good


def test_a_problem_is_logged_when_it_is_new(
    home: Home, live: LiveCatalog, caplog: pytest.LogCaptureFixture
) -> None:
    bad = ONE_MODEL + '[models.bad]\nname = ""\npath = "a/b"\n'
    for text in (bad, bad + "# touched\n"):
        home.write(text)
        assert live.refresh()
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "bad: name must not be empty" in warnings[0]


def test_ten_thousand_entries_and_loops_of_links_are_read(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    """Valid and broken ones alternately; every weights folder is a link to itself."""
    for folder in ("loras", "checkpoints"):
        (home.models_dir / folder).rmdir()
    for folder in ("loras", "checkpoints", "hub"):
        (home.models_dir / folder).symlink_to(home.models_dir / folder)
    entry = '[loras.l-{0}]\nname = "{0}"\npath = "{1}"\n'
    home.write(
        loras="".join(entry.format(n, "../out" if n % 2 else "org/name") for n in range(10_000))
    )
    live = LiveCatalog(home.catalog_dir, home.models_dir)
    assert len(live.current.adapters) == len(live.current.problems) == 5_000
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == REPORTED + 1
    assert warnings[-1] == "Catalog: 4980 more problems; `main.py check` lists them all"
    assert not live.refresh()


def test_a_file_of_the_catalog_that_is_a_loop_of_links_stops_the_start(home: Home) -> None:
    file = home.catalog_dir / "loras.toml"
    file.unlink()
    file.symlink_to(file)
    with pytest.raises(CatalogError, match=r"loras\.toml cannot be read"):
        LiveCatalog(home.catalog_dir, home.models_dir)


def test_dropped_removed_and_replaced_files_are_noticed(home: Home, live: LiveCatalog) -> None:
    file = home.weights("loras/ink.safetensors", {"ss_output_name": "One"})
    assert live.refresh()
    assert live.current.adapters["ink"].name == "One"
    home.weights("loras/ink.safetensors", {"ss_output_name": "Two"})
    assert live.refresh()
    assert live.current.adapters["ink"].name == "Two"
    home.put(file.with_suffix(".json"), b'{"activation text": "sumi-e"}')
    assert live.refresh()
    assert live.current.adapters["ink"].trigger_words == ("sumi-e",)
    file.unlink()
    assert live.refresh()
    assert "ink" not in live.current.adapters


def test_a_file_that_is_still_being_copied_is_offered_when_it_is_whole(
    home: Home, live: LiveCatalog
) -> None:
    whole = home.weights("checkpoints/new.safetensors").read_bytes()
    file = home.models_dir / "checkpoints" / "new.safetensors"
    home.put(file, whole[:-2])
    assert live.refresh()
    assert "new" not in live.current.models
    home.put(file, whole)
    assert live.refresh()
    assert "new" in live.current.models


def test_an_unrelated_file_changes_nothing(home: Home, live: LiveCatalog) -> None:
    home.put(home.models_dir / "loras" / "preview.png", b"x")
    home.put(home.models_dir / "hub" / "x", b"x")
    assert not live.refresh()


def test_reading_current_and_searching_never_touch_the_disk(
    live: LiveCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*args: object, **kwargs: object) -> None:
        raise AssertionError("the disk was touched")

    for name in ("open", "stat", "iterdir", "exists", "read_bytes", "resolve"):
        monkeypatch.setattr(Path, name, forbidden)
    monkeypatch.setattr("os.scandir", forbidden)
    read = live.current
    assert read.search_models("base", nsfw=False)
    assert read.nearest_models("bsae") == ("base",)
    assert read.offered_models(nsfw=False)


async def until(check: "asyncio.Event") -> None:
    async with asyncio.timeout(5):
        await check.wait()


async def test_watching_takes_edits_over_and_survives_surprises(
    home: Home,
    live: LiveCatalog,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = asyncio.get_running_loop()
    failed, swapped = asyncio.Event(), asyncio.Event()
    refresh = live.refresh

    def watched() -> bool:
        if not failed.is_set():
            loop.call_soon_threadsafe(failed.set)
            raise RuntimeError("a surprise")
        if changed := refresh():
            loop.call_soon_threadsafe(swapped.set)
        return changed

    monkeypatch.setattr(live, "refresh", watched)
    home.write(TWO_MODELS)
    task = asyncio.create_task(live.watch(0))
    await until(failed)
    await until(swapped)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert list(live.current.models) == ["base", "two"]
    assert "a surprise" in caplog.text


def test_several_threads_may_look_for_changes(
    home: Home, live: LiveCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.write(TWO_MODELS.encode())
    begun, go_on = threading.Event(), threading.Event()
    reads = []

    def slowly(*arguments: Any, **options: Any) -> Any:
        reads.append(1)
        begun.set()
        assert go_on.wait(30)
        return read_catalog(*arguments, **options)

    monkeypatch.setattr(live_module, "read_catalog", slowly)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(live.refresh)
        assert begun.wait(30)
        second = pool.submit(live.refresh)
        with pytest.raises(TimeoutError):
            second.result(0.05)
        go_on.set()
        assert (first.result(), second.result()) == (True, False)
    assert (len(reads), len(live.current.models)) == (1, 2)
