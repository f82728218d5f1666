"""Comparisons: every cell is generated once and kept at once, whatever happens in between."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

from bot.errors import EngineLost, JobFailed, Loss
from bot.files.metadata import read_png
from bot.files.sheets.metadata import read_sheet
from bot.painting import Painting
from bot.progress import Notice, Progress, Stage
from bot.request import AxisAsk, Draft, GenerationRequest, compare
from bot.store import (
    CELL_FAILED,
    JobState,
    NewJob,
    Store,
    sheet_number,
    shown_images,
    shown_warnings,
    warnings_of,
)
from tests.files.pngs import encode_png
from tests.store.factories import new_job, painting, recipe, record
from tests.worker.bench import Bench, Build, Gate
from tests.worker.fakes import CATALOG, CheckStop, Report


def comparison(*asks: tuple[str, str], **fields: Any) -> GenerationRequest:
    draft = Draft(**{"prompt": "canary-prompt-7f3a", "seed": 42, "size": "512x512", **fields})
    return compare(draft, [AxisAsk(*ask) for ask in asks], CATALOG, nsfw=False).request


def small(request: GenerationRequest) -> GenerationRequest:
    """With images that are quickly made."""
    assert request.comparison is not None
    cells = tuple(replace(cell, width=64, height=48) for cell in request.comparison.cells)
    return replace(
        request, width=64, height=48, comparison=replace(request.comparison, cells=cells)
    )


SIX = small(comparison(("steps", "10, 20, 30"), ("lora", "off, ink")))


def asked(request: GenerationRequest = SIX, **fields: Any) -> NewJob:
    return new_job(request=request, kind="compare", **fields)


def painted(bench: Bench) -> list[tuple[int, int]]:
    """Steps and number of LoRAs of each order, as they came."""
    return [(o.request.steps, len(o.request.adapters)) for o in bench.engine.orders]


async def test_every_cell_is_generated_once_and_the_loras_change_once(build: Build) -> None:
    async with build() as bench:
        job = await bench.ended(await bench.take(asked()))
        images = await bench.store.images(job.id)
    assert job.state is JobState.DONE
    assert painted(bench) == [(10, 0), (20, 0), (30, 0), (10, 1), (20, 1), (30, 1)]
    assert [image.n for image in images] == [*range(7)]
    assert [image.n for image in shown_images(job, images)] == [sheet_number(SIX)]
    assert {path.name for path in (bench.images / job.id).iterdir()} == {
        Path(image.path).name for image in images
    }


async def test_the_file_of_a_cell_is_the_one_of_the_same_request_by_itself(build: Build) -> None:
    async with build() as bench:
        job = await bench.ended(await bench.take(asked()))
        images = await bench.store.images(job.id)
        for n, cell in enumerate(SIX.each):
            alone = await bench.ended(await bench.take(new_job(request=cell)))
            [image] = await bench.store.images(alone.id)
            assert (bench.images / image.path).read_bytes() == (
                bench.images / images[n].path
            ).read_bytes()
            assert image.sha256 == images[n].sha256


async def test_the_sheet_says_what_it_shows(build: Build) -> None:
    async with build() as bench:
        job = await bench.ended(await bench.take(asked()))
        *cells, sheet = await bench.store.images(job.id)
        data = (bench.images / sheet.path).read_bytes()
    said = read_sheet(data)
    assert said is not None
    assert (said.job_id, said.request) == (job.id, SIX)
    assert said.pixels_sha256 == tuple(image.pixels_sha256 for image in cells)
    assert "Steps: 10" in (read_png(data).parameters or "")
    assert read_png(data).recipe is None
    assert job.recipe is not None
    assert job.recipe.request == SIX


async def test_progress_counts_the_cells_and_shows_the_sheet_filling(build: Build) -> None:
    def work(request: GenerationRequest, report: Report, check: CheckStop) -> Painting:
        report(Progress(Stage.PAINTING, step=0, steps=2))
        result = painting(request)
        bench.engine.painted(result.images[0])
        return result

    async with build(work) as bench:
        await bench.ended(await bench.take(asked()))
    shown = [p for _, p in bench.watcher.reports if p.stage is Stage.PAINTING]
    assert [(p.image, p.count) for p in shown] == [(n, 6) for n in range(1, 7)]
    assert [p.preview is not None for p in shown] == [False, *[True] * 5]
    assert len({p.preview for p in shown}) == 6


async def test_a_cell_that_fails_is_shown_as_failed_and_the_rest_is_there(build: Build) -> None:
    def work(request: GenerationRequest, report: Report, check: CheckStop) -> Painting:
        if request.steps == 20:
            raise JobFailed("memory.out", width=64, height=48)
        if request.steps == 30:
            raise RuntimeError("a bug")
        return painting(request, Notice("adapter.partial", {"adapter": "ink"}))

    async with build(work) as bench:
        job = await bench.ended(await bench.take(asked()))
        images = await bench.store.images(job.id)
        sheet = (bench.images / images[-1].path).read_bytes()
    assert job.state is JobState.DONE
    assert [image.n for image in images] == [0, 3, 6]
    failed = [notice for notice in job.warnings if notice.code == CELL_FAILED]
    assert [notice.params["values"] for notice in failed] == [
        *("20 · off", "30 · off", "20 · ink", "30 · ink")
    ]
    assert [notice.params["reason"] for notice in failed] == [*["memory.out", "job.unexpected"] * 2]
    partial = Notice("adapter.partial", {"adapter": "ink"})
    assert warnings_of(job, 0) == (partial,)
    assert warnings_of(job, 1) == ()
    assert shown_warnings(job)[0] == partial
    assert len(shown_warnings(job)) == 5
    said = read_sheet(sheet)
    assert said is not None
    assert [digest is not None for digest in said.pixels_sha256] == [True, False, False] * 2


async def test_if_every_cell_fails_the_job_does(build: Build) -> None:
    def work(request: GenerationRequest, report: Report, check: CheckStop) -> Painting:
        raise JobFailed("memory.out", width=64, height=48)

    async with build(work) as bench:
        job = await bench.ended(await bench.take(asked()))
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert job.error.code == "memory.out"


async def test_a_model_that_is_gone_fails_only_its_own_cells(build: Build) -> None:
    request = small(comparison(("steps", "10, 20")))
    assert request.comparison is not None
    one, two = request.comparison.cells
    gone = replace(request.comparison, cells=(one, replace(two, model="gone")))
    async with build() as bench:
        job = await bench.ended(await bench.take(asked(replace(request, comparison=gone))))
        images = await bench.store.images(job.id)
    assert [image.n for image in images] == [0, 2]
    assert [notice.params["reason"] for notice in job.warnings] == ["model.gone"]


def stopping_at(at: int, then: Callable[[], None]) -> Any:
    """Work that calls `then` instead of generating the image number `at`, once."""
    count = [0]

    def work(request: GenerationRequest, report: Report, check: CheckStop) -> Painting:
        count[0] += 1
        if count[0] == at:
            then()
            check()
        return painting(request)

    return work


async def test_after_the_engine_was_lost_only_what_is_missing_is_generated(build: Build) -> None:
    def lose() -> None:
        raise EngineLost(Loss.DEVICE, "gone")

    async with build(stopping_at(4, lose)) as bench:
        job_id = await bench.take(asked())
        async with asyncio.timeout(20):
            await bench.workers.lost()
        assert len(bench.engine.orders) == 4
        kept = {i.n: i.sha256 for i in await bench.store.images(job_id)}
        assert sorted(kept) == [0, 1, 2]
    async with build() as again:
        job = await again.store.job(job_id)
        assert job.state is JobState.PENDING
        await again.queue.line_up([job])
        job = await again.ended(job_id)
        images = await again.store.images(job_id)
        sheet = read_sheet((again.images / images[-1].path).read_bytes())
    assert painted(again) == [(10, 1), (20, 1), (30, 1)]
    assert job.state is JobState.DONE
    assert {i.n: i.sha256 for i in images if i.n in kept} == kept
    assert len(images) == 7
    assert sheet is not None
    assert None not in sheet.pixels_sha256


async def test_what_was_noted_is_there_once_after_a_restart(build: Build) -> None:
    def lose() -> None:
        raise EngineLost(Loss.DEVICE, "gone")

    flag = Notice("prompt.unknown_flag_note", {"flag": "--ar"})
    partial = Notice("adapter.partial", {"adapter": "ink"})

    def partly(request: GenerationRequest, *_: object) -> Painting:
        return painting(request, partial)

    stopping = stopping_at(4, lose)

    def stopped(request: GenerationRequest, report: Report, check: CheckStop) -> Painting:
        stopping(request, report, check)
        return partly(request)

    async with build(partly) as whole:
        once = await whole.ended(await whole.take(asked(warnings=(flag,))))
    async with build(stopped) as bench:
        job_id = await bench.take(asked(warnings=(flag,)))
        async with asyncio.timeout(20):
            await bench.workers.lost()
        left = await bench.store.job(job_id)
    assert left.warnings[0] == flag
    assert [notice.params["cell"] for notice in left.warnings[1:]] == [0, 1, 2]
    async with build(partly) as again:
        await again.queue.line_up([left])
        twice = await again.ended(job_id)
    assert once.warnings == twice.warnings
    assert [warnings_of(twice, n) for n in range(6)] == [(partial,)] * 6
    assert shown_warnings(twice) == (flag, partial)


async def test_a_cell_whose_file_was_damaged_is_generated_again(build: Build) -> None:
    def lose() -> None:
        raise EngineLost(Loss.DEVICE, "gone")

    async with build(stopping_at(4, lose)) as bench:
        job_id = await bench.take(asked())
        async with asyncio.timeout(20):
            await bench.workers.lost()
        path = bench.images / (await bench.store.images(job_id))[0].path
        whole = path.read_bytes()
        path.write_bytes(whole[:33] + bytes(len(whole) - 33))
    async with build() as again:
        await again.queue.line_up([await again.store.job(job_id)])
        job = await again.ended(job_id)
        images = await again.store.images(job_id)
    assert job.state is JobState.DONE
    assert len(painted(again)) == 4
    assert len(images) == 7
    assert path.read_bytes() == whole


async def test_the_sheet_is_the_same_whether_it_was_interrupted_or_not(
    build: Build, tmp_path: Path
) -> None:
    async with build() as whole:
        job = await whole.ended(await whole.take(asked(id="x" * 10)))
        once = (whole.images / (await whole.store.images(job.id))[-1].path).read_bytes()

    def lose() -> None:
        raise EngineLost(Loss.DEVICE, "gone")

    async with build(stopping_at(3, lose)) as bench:
        await bench.store.cells.drop(job)
        second = await bench.take(asked(id="y" * 10))
        async with asyncio.timeout(20):
            await bench.workers.lost()
    async with build() as again:
        await again.queue.line_up([await again.store.job(second)])
        await again.ended(second)
        twice = (again.images / (await again.store.images(second))[-1].path).read_bytes()
    assert once.replace(b"x" * 10, b"") != once
    assert pixels(once, tmp_path) == pixels(twice, tmp_path)


def pixels(data: bytes, folder: Path) -> bytes:
    path = folder / "sheet.png"
    path.write_bytes(data)
    with PIL.Image.open(path) as image:
        return image.tobytes()


async def test_a_file_that_has_gone_meanwhile_is_generated_again(build: Build) -> None:
    def lose() -> None:
        raise EngineLost(Loss.DEVICE, "gone")

    async with build(stopping_at(4, lose)) as bench:
        job_id = await bench.take(asked())
        async with asyncio.timeout(20):
            await bench.workers.lost()
        first = (await bench.store.images(job_id))[0]
        (bench.images / first.path).write_bytes(b"half of it")
    async with build() as again:
        await again.queue.line_up([await again.store.job(job_id)])
        await again.ended(job_id)
    assert sorted(painted(again)) == [(10, 0), (10, 1), (20, 1), (30, 1)]


async def test_cancelled_in_the_middle_nothing_is_kept(build: Build) -> None:
    gate = Gate()
    async with build(gate) as bench:
        job_id = await bench.take(asked())
        await gate.entered()
        await bench.workers.withdraw(job_id)
        gate.go_on.set()
        job = await bench.ended(job_id)
        assert job.state is JobState.CANCELLED
        await bench.store.cells.drop(job)
        assert await bench.store.images(job_id) == ()
    assert not (bench.images / job_id).exists()


async def test_when_the_time_is_up_what_is_there_is_shown(build: Build) -> None:
    def late() -> None:
        attempt = next(iter(bench.workers._consumers.values()))._running
        assert attempt is not None
        attempt._deadline = 0.0

    async with build(stopping_at(3, late)) as bench:
        job = await bench.ended(await bench.take(asked()))
        images = await bench.store.images(job.id)
    assert job.state is JobState.DONE
    assert [image.n for image in images] == [0, 1, 6]
    assert [(n.params["cell"], n.params["reason"]) for n in job.warnings] == [
        (n, "job.timeout") for n in (2, 3, 4, 5)
    ]


async def test_a_cell_keeps_the_kernels_that_made_it(build: Build) -> None:
    def work(request: GenerationRequest, report: Report, check: CheckStop) -> Painting:
        made = painting(request)
        kernels = "eager" if request.steps == 10 else "compiled"
        return replace(made, recipe=replace(made.recipe, environment={"kernels": kernels}))

    async with build(work) as bench:
        job = await bench.ended(await bench.take(asked(small(comparison(("steps", "10, 20"))))))
    assert job.recipe is not None
    assert [cell.kernels for cell in job.recipe.request.each] == ["eager", "compiled"]
    again = job.recipe.request.with_kernels("other")
    assert [cell.kernels for cell in again.each] == ["eager", "compiled"]


async def test_a_store_that_refuses_a_late_cell_says_so(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "x.sqlite3") as store:
        job = await store.accept(asked())
        started = await store.start(job.id)
        assert started is not None
        assert await store.cells.add(started, record(0), [Notice("adapter.partial", {})])
        assert (await store.job(job.id)).warnings == (Notice("adapter.partial", {}),)
        assert await store.requeue(started)
        assert not await store.cells.add(started, record(1), [])
        assert [image.n for image in await store.images(job.id)] == [0]


def test_a_file_of_one_cell_has_no_trace_of_the_comparison() -> None:
    [first, *_] = SIX.each
    made = painting(first)
    data = encode_png(made.images[0].image, recipe(first), 42)
    assert b"comparison" not in data


async def test_the_sheet_of_variations_is_called_by_the_seed_that_they_vary(build: Build) -> None:
    varied = small(comparison(("steps", "10, 20"), variation="12:0.2"))
    async with build() as bench:
        job = await bench.ended(await bench.take(asked(varied)))
        *_, sheet = await bench.store.images(job.id)
    assert Path(sheet.path).name == "comparison-42.png"


async def test_what_varies_in_a_prompt_stays_out_of_the_log(
    build: Build, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    draft = Draft(prompt="a {vermilion|cerulean} [warm:cold:0.5] lair")
    request = compare(draft, [AxisAsk("prompt")], CATALOG, nsfw=True, draw=lambda: 7).request

    def work(request: GenerationRequest, report: Report, check: CheckStop) -> Painting:
        if "cerulean" in request.prompt:
            raise RuntimeError(f"a bug with {request.painted_texts[0][-1]}")
        return painting(request)

    async with build(work) as bench:
        job = await bench.ended(await bench.take(asked(request)))
    assert any(notice.code == CELL_FAILED for notice in job.warnings)
    assert "compare.failed" in caplog.text
    assert "a bug with" in caplog.text
    assert "cerulean" not in caplog.text
    assert "vermilion" not in caplog.text
