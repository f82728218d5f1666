"""Images that are looked at before anyone sees them."""

import asyncio
import io
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import PIL.Image
import pytest

from bot.errors import EngineLost, InvalidRequest, JobFailed, Loss
from bot.painting import Painting
from bot.progress import Progress, Stage
from bot.request import GenerationRequest, InitImage, Reference
from bot.settings.image_check import MILDEST_FIRST, ImageCheck
from bot.store import Act, Discord, Job, JobState, NewJob, Store
from bot.worker.image_check import CheckedInputs, CheckedPreviews
from tests.parameters import mostly_long
from tests.store.factories import in_channel, painting, request
from tests.worker.bench import Build, Gate
from tests.worker.checking import FakeClassifier, inspector
from tests.worker.fakes import CheckStop, Report
from tests.worker.test_comparing import SIX

OFF: Final = "off"
SPOILER: Final = "spoiler"
PRIVATE: Final = "private"
REFUSE: Final = "refuse"
CLEAN, FLAGGED = (lambda _: False), (lambda _: True)


def broken(_: PIL.Image.Image) -> bool:
    raise RuntimeError("out of order")


def asked(mode: ImageCheck, *, hidden: bool = False, **fields: Any) -> NewJob:
    new = in_channel(request=fields.pop("request", request(adapters=())), **fields)
    return replace(new, origin=replace(Discord.of(new.origin), image_check=mode, hidden=hidden))


def jpeg(colour: str = "red") -> bytes:
    data = io.BytesIO()
    PIL.Image.new("RGB", (16, 8), colour).save(data, "JPEG")
    return data.getvalue()


@pytest.mark.parametrize(
    ("mode", "flag", "hidden", "codes", "spoiler", "withheld"),
    [
        (OFF, FLAGGED, False, (), False, None),
        (SPOILER, CLEAN, False, (), False, None),
        (SPOILER, FLAGGED, False, ("check.flagged_spoiler",), True, None),
        (SPOILER, broken, False, ("check.unknown_spoiler",), True, None),
        (PRIVATE, CLEAN, False, (), False, None),
        (PRIVATE, FLAGGED, False, ("check.flagged_private",), False, "shown"),
        (PRIVATE, FLAGGED, True, ("check.flagged_private",), False, "hidden"),
        (PRIVATE, broken, False, ("check.unknown_private",), False, "shown"),
        (REFUSE, CLEAN, False, (), False, None),
    ],
)
async def test_a_result_is_shown_as_the_verdict_says(
    build: Build,
    mode: ImageCheck,
    flag: Any,
    hidden: bool,
    codes: tuple[str, ...],
    spoiler: bool,
    withheld: str | None,
) -> None:
    classifier = FakeClassifier(flag)
    async with build(classifier=classifier) as bench:
        done = await bench.ended(await bench.take(asked(mode, hidden=hidden)))
        assert done.state is JobState.DONE
        assert tuple(notice.code for notice in done.warnings) == codes
        origin = Discord.of(done.origin)
        assert (origin.spoiler, origin.withheld) == (spoiler, withheld)
        assert origin.hidden == (hidden or withheld is not None)
        assert bool(classifier.seen) == (mode != OFF)
        acts = await bench.store.acts.page(done.community)
        verdict = "unknown" if flag is broken else "flagged"
        expected = [("image_withheld", done.person, done.id, mode, verdict)] if codes else []
        assert [told(act) for act in acts] == expected


def told(act: Act) -> tuple[Any, ...]:
    details = act.details
    return (act.kind, act.actor, act.subject, details.get("image_check"), details.get("verdict"))


@pytest.mark.parametrize(("flag", "code"), [(FLAGGED, "check.refused"), (broken, "check.unusable")])
async def test_what_is_refused_is_never_written(build: Build, flag: Any, code: str) -> None:
    async with build(classifier=FakeClassifier(flag)) as bench:
        failed = await bench.ended(await bench.take(asked(REFUSE)))
        assert failed.state is JobState.FAILED
        assert failed.error is not None
        assert failed.error.code == code
        assert await bench.store.images(failed.id) == ()
        [act] = await bench.store.acts.page(failed.community)
        assert told(act)[:4] == ("image_withheld", failed.person, failed.id, REFUSE)
        assert not [*bench.images.rglob("*.png")]
        # The lane goes on.
        assert (await bench.ended(await bench.take(asked(OFF)))).state is JobState.DONE


async def test_a_mode_that_became_stricter_while_it_waited_holds(build: Build) -> None:
    async def stricter(job: Job) -> Job:
        return replace(job, origin=replace(Discord.of(job.origin), image_check=REFUSE))

    async with build(classifier=FakeClassifier(FLAGGED), permit=stricter) as bench:
        failed = await bench.ended(await bench.take(asked(OFF)))
        assert failed.error is not None
        assert failed.error.code == "check.refused"


async def test_every_report_after_the_permit_says_how_it_is_shown_by_now(build: Build) -> None:
    async def blurred(job: Job) -> Job:
        return replace(job, origin=replace(Discord.of(job.origin), spoiler=True))

    def work(wanted: GenerationRequest, report: Report, check: CheckStop) -> Painting:
        report(Progress(Stage.PAINTING, step=1, steps=2))
        return painting(wanted)

    async with build(work, permit=blurred) as bench:
        told: list[tuple[Stage, bool]] = []
        watched = bench.watcher.progressed

        def progressed(job: Job, progress: Progress) -> None:
            told.append((progress.stage, Discord.of(job.origin).spoiler))
            watched(job, progress)

        bench.watcher.progressed = progressed
        await bench.ended(await bench.take(asked(OFF)))
    assert told == [(Stage.STARTING, False), (Stage.PAINTING, True), (Stage.SAVING, True)]


async def test_cells_are_looked_at_one_by_one(build: Build) -> None:
    flagged = iter([True, False, False, True, False, False])
    async with build(classifier=FakeClassifier(lambda _: next(flagged))) as bench:
        done = await bench.ended(await bench.take(asked(REFUSE, request=SIX)))
        assert done.state is JobState.DONE
        kept = [image.n for image in await bench.store.images(done.id)]
        assert len(kept) == 4 + 1  # and the sheet
        assert [notice.code for notice in done.warnings].count("compare.failed") == 2
        assert len(await bench.store.acts.page(done.community)) == 1


async def test_a_sheet_is_for_its_person_alone_if_one_of_its_cells_is(build: Build) -> None:
    flagged = iter([False, True, False, False, False, False])
    async with build(classifier=FakeClassifier(lambda _: next(flagged))) as bench:
        done = await bench.ended(await bench.take(asked(PRIVATE, request=SIX)))
        assert Discord.of(done.origin).withheld == "shown"


@pytest.mark.parametrize(
    ("mode", "code"),
    mostly_long([(SPOILER, "check.flagged_spoiler"), (PRIVATE, "check.flagged_private")], usual=1),
)
@pytest.mark.parametrize("before", [OFF, SPOILER])
async def test_cells_from_before_a_stricter_check_are_looked_at_after_a_restart(
    build: Build, before: ImageCheck, mode: ImageCheck, code: str
) -> None:
    job_id, _ = await interrupted(build, before)
    async with build(classifier=FakeClassifier(first_only()), permit=stricter(mode)) as again:
        await again.queue.line_up([await again.store.job(job_id)])
        done = await again.ended(job_id)
        assert done.state is JobState.DONE
        said = [(n.code, n.params["cell"]) for n in done.warnings if n.code.startswith("check.")]
        assert said == [(code, 0)]
        origin = Discord.of(done.origin)
        assert (origin.spoiler, origin.withheld is not None) == (
            SPOILER in (before, mode),
            mode == PRIVATE,
        )


async def test_such_a_cell_that_is_refused_is_deleted(build: Build) -> None:
    job_id, paths = await interrupted(build, OFF)
    async with build(classifier=FakeClassifier(first_only()), permit=stricter(REFUSE)) as again:
        await again.queue.line_up([await again.store.job(job_id)])
        done = await again.ended(job_id)
        assert done.state is JobState.DONE
        assert [notice.code for notice in done.warnings] == ["compare.failed"]
        assert len(again.engine.orders) == 4, "it is not generated again"
        kept = {image.n for image in await again.store.images(job_id)}
        assert kept == {1, 2, 3, 4, 5, 6}
        assert [(again.images / path).exists() for path in paths] == [False, True]


async def interrupted(build: Build, mode: ImageCheck) -> tuple[str, list[str]]:
    """A comparison of which two cells are there, and their files."""
    cells = iter(range(9))

    def work(wanted: GenerationRequest, report: Report, check: CheckStop) -> Painting:
        if next(cells) == 2:
            raise EngineLost(Loss.DEVICE, "gone")
        return painting(wanted)

    async with build(work, classifier=FakeClassifier(first_only())) as bench:
        job_id = await bench.take(asked(mode, request=SIX))
        async with asyncio.timeout(20):
            await bench.workers.lost()
        images = await bench.store.images(job_id)
        assert [image.n for image in images] == [0, 1]
        return job_id, [image.path for image in images]


def first_only() -> Callable[[PIL.Image.Image], bool]:
    """Flags the first image that it sees."""
    flagged = iter([True])
    return lambda _: next(flagged, False)


def stricter(mode: ImageCheck) -> Callable[[Job], Awaitable[Job]]:
    async def permit(job: Job) -> Job:
        return replace(job, origin=replace(Discord.of(job.origin), image_check=mode))

    return permit


def has(colour: tuple[int, int, int], preview: bytes) -> bool:
    """Whether a cell of that colour is on the sheet."""
    with PIL.Image.open(io.BytesIO(preview)) as image:
        found = image.convert("RGB").getcolors(image.width * image.height) or []
    near = (c for n, c in found if n > 1000 and isinstance(c, tuple))
    return any(max(abs(a - b) for a, b in zip(c, colour, strict=True)) < 20 for c in near)


@pytest.mark.parametrize("mode", [SPOILER, PRIVATE, REFUSE])
async def test_a_flagged_cell_is_in_no_preview_even_after_a_restart(
    build: Build, mode: ImageCheck
) -> None:
    """The first cell is; the sheet as a whole looks harmless. During the third it is shown."""
    red, green = (200, 0, 0), (0, 200, 0)
    previewing, seen = threading.Event(), threading.Event()

    def work(wanted: GenerationRequest, report: Report, check: CheckStop) -> Painting:
        which = (wanted.steps, len(wanted.adapters))
        if which == (30, 0):
            assert previewing.wait(20)
            report(Progress(Stage.PAINTING, step=1, steps=2))
            assert seen.wait(20)
            raise EngineLost(Loss.DEVICE, "gone")
        painted = painting(wanted)
        size, colour = (wanted.width, wanted.height), red if which == (10, 0) else green
        image = replace(painted.images[0], image=PIL.Image.new("RGB", size, colour))
        bench.engine.painted(image)
        return replace(painted, images=(image,))

    def flag(image: PIL.Image.Image) -> bool:
        return image.size == (64, 48) and image.getpixel((0, 0)) == red

    job_id, previews = None, list[bytes]()
    for _ in range(2):
        previewing.clear()
        seen.clear()
        async with build(work, classifier=FakeClassifier(flag)) as bench:
            if job_id is None:
                job_id = await bench.take(asked(mode, request=SIX))
            else:
                await bench.queue.line_up([await bench.store.job(job_id)])
            async with asyncio.timeout(20):
                while 1 not in {i.n for i in await bench.store.images(job_id)}:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            previewing.set()
            await bench.watcher.until(lambda: any(p.preview for _, p in bench.watcher.reports))
            seen.set()
            await bench.workers.lost()
            previews += [p.preview for _, p in bench.watcher.reports if p.preview is not None]
    assert all(has(green, preview) and not has(red, preview) for preview in previews)


@pytest.mark.parametrize(("mode", "shown"), [(OFF, True), (SPOILER, False)])
async def test_no_preview_is_shown_before_it_was_looked_at(
    build: Build, mode: ImageCheck, shown: bool
) -> None:
    gate = Gate()

    def work(wanted: GenerationRequest, report: Report, check: CheckStop) -> Painting:
        report(Progress(Stage.PAINTING, step=1, steps=2, preview=jpeg()))
        gate(wanted, report, check)
        return painting(wanted)

    async with build(work, classifier=FakeClassifier(FLAGGED)) as bench:
        job_id = await bench.take(asked(mode))
        await bench.watcher.until(
            lambda: any(progress.step for _, progress in bench.watcher.reports)
        )
        gate.go_on.set()
        await bench.ended(job_id)
        seen = [p for _, p in bench.watcher.reports if p.preview is not None]
        assert bool(seen) == shown


async def test_a_clean_preview_is_shown_with_the_latest_step(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "x.sqlite3") as store:
        job = await store.accept(asked(SPOILER))
        shown: list[Progress] = []

        def show(_: Job, progress: Progress) -> None:
            shown.append(progress)

        previews = CheckedPreviews(inspector(store, FakeClassifier(CLEAN)), show)
        first = Progress(Stage.PAINTING, step=1, steps=9, preview=jpeg())
        previews.report(job, first)
        previews.report(job, Progress(Stage.PAINTING, step=4, steps=9))
        assert previews._looking is not None
        await previews._looking
        assert [(p.step, p.preview) for p in shown] == [(1, None), (4, None), (4, first.preview)]
        previews.report(job, first)
        previews.report(job, Progress(Stage.SAVING))
        await previews._looking
        assert shown[-1] == Progress(Stage.SAVING)


@pytest.mark.parametrize("mode", MILDEST_FIRST)
@pytest.mark.parametrize(
    ("flag", "code"), [(CLEAN, None), (FLAGGED, "check.input"), (broken, "check.unusable")]
)
async def test_an_input_that_is_flagged_is_refused_where_results_are(
    tmp_path: Path, mode: ImageCheck, flag: Any, code: str | None
) -> None:
    path = tmp_path / "input.png"
    PIL.Image.new("RGBA", (8, 8)).save(path)
    async with Store.open(tmp_path / "x.sqlite3") as store:
        checking = inspector(store, FakeClassifier(flag))
        if mode != REFUSE or code is None:
            await checking.check_input(mode, path, "image")
            return
        with pytest.raises(InvalidRequest) as refused:
            await checking.check_input(mode, path, "image")
        assert (refused.value.field, refused.value.code) == ("image", code)


@pytest.mark.parametrize(
    ("mode", "flag", "code"),
    [
        (REFUSE, FLAGGED, "check.input"),
        (REFUSE, broken, "check.unusable"),
        (REFUSE, CLEAN, None),
        (PRIVATE, FLAGGED, None),
        (OFF, FLAGGED, None),
    ],
)
async def test_an_input_from_anywhere_is_looked_at_before_it_is_used(
    tmp_path: Path, mode: ImageCheck, flag: Any, code: str | None
) -> None:
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / ("a" * 64), "PNG")
    new = asked(mode, request=request(init_image=InitImage("a" * 64, 0.5)))
    async with Store.open(tmp_path / "x.sqlite3") as store:
        classifier = FakeClassifier(flag)
        permit = CheckedInputs(inspector(store, classifier), lambda sha256: tmp_path / sha256)
        job = await store.accept(new)
        if code is None:
            await permit(job)
            assert bool(classifier.seen) is (mode == REFUSE)
        else:
            with pytest.raises(JobFailed) as failed:
                await permit(job)
            assert failed.value.code == code
        (tmp_path / ("a" * 64)).unlink()
        await permit(job)  # painting says that it is gone


async def test_a_mask_is_not_looked_at_when_it_is_given(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    PIL.Image.new("L", (8, 8), 255).save(path)
    async with Store.open(tmp_path / "x.sqlite3") as store:
        classifier = FakeClassifier(FLAGGED)
        await inspector(store, classifier).check_input(REFUSE, path, "mask")
        assert classifier.seen == []


@pytest.mark.parametrize("also", [False, True])
async def test_a_mask_is_not_looked_at_unless_it_is_a_picture_too(
    tmp_path: Path, also: bool
) -> None:
    image, mask = "a" * 64, "b" * 64
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / image, "PNG")
    PIL.Image.new("L", (4, 4), 255).save(tmp_path / mask, "PNG")
    pictures = {"reference": Reference(mask, 0.5)} if also else {}
    new = asked(REFUSE, request=request(init_image=InitImage(image, 0.5, mask), **pictures))
    async with Store.open(tmp_path / "x.sqlite3") as store:
        classifier = FakeClassifier(CLEAN)
        permit = CheckedInputs(inspector(store, classifier), lambda sha256: tmp_path / sha256)
        await permit(await store.accept(new))
        assert classifier.seen == [(8, 8), (4, 4)][: 2 if also else 1]
