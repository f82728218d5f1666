"""A cell opened as a result of its own: never generated again, and a job like any other."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.errors import Refused
from bot.files.images import save_png
from bot.files.sheets.cancelling import CellsOfCancelled
from bot.files.sheets.opening import cell_of, open_cell
from bot.progress import Notice
from bot.store import CELL, CELL_FAILED, ImageRecord, InteractionToken, Job, JobState, NewJob, Store
from tests.files.pngs import encode_png
from tests.request.test_compare import compared
from tests.store.factories import discord_origin, new_job, painting, recipe, running

REQUEST = compared("canary-prompt-7f3a", ("steps", "10, 20"), ("guidance", "5, 7"), size="512x512")
PARTIAL = Notice("adapter.partial", {"adapter": "ink"})


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "x.sqlite3") as store:
        yield store


def written(job: Job, n: int, folder: Path) -> ImageRecord:
    made = painting(job.request.each[n])
    [painted] = made.images
    data = encode_png(painted.image, made.recipe, painted.seed)
    return save_png(data, painted, folder / job.id / f"demo-{n}.png", n)


def folders(images: Path) -> list[str]:
    return [each.name for each in images.iterdir() if each.is_dir()]


async def compared_job(store: Store, folder: Path) -> Job:
    """A comparison whose last cell has failed."""
    job = await running(store, new_job(request=REQUEST, kind="compare"))
    warnings = [Notice(PARTIAL.code, {**PARTIAL.params, CELL: 1})]
    for n in range(3):
        assert await store.cells.add(job, written(job, n, folder), warnings)
    failed = Notice(CELL_FAILED, {"values": "20 · 7", "reason": "memory.out", CELL: 3})
    done = await store.finish(job, recipe(REQUEST), [], [*warnings, failed])
    assert done is not None
    return done


async def test_it_is_done_with_the_same_bytes_and_a_file_of_its_own(
    store: Store, tmp_path: Path
) -> None:
    job = await compared_job(store, tmp_path)
    cell = await open_cell(store, tmp_path, job, 1, discord_origin(user_id=9), frozenset({5}))
    assert (cell.state, cell.kind, cell.parent_id) == (JobState.DONE, "cell", job.id)
    assert (cell.request, cell.person) == (REQUEST.each[1], "discord:9")
    assert cell.warnings == (PARTIAL,)
    assert cell.recipe == recipe(REQUEST.each[1])
    [image] = await store.images(cell.id)
    before = (await store.images(job.id))[1]
    assert (image.n, image.sha256, image.seed) == (0, before.sha256, 1234)
    assert image.path != before.path
    assert (tmp_path / image.path).read_bytes() == (tmp_path / before.path).read_bytes()
    assert (await store.jobs_in(JobState.DONE, ("discord",)))[-1].id == cell.id
    assert (await store.deliver(cell, 1, 2)) is not None


@pytest.mark.parametrize(
    ("n", "code"), [(3, "compare.cell_failed"), (4, "compare.no_cell"), (-1, "compare.no_cell")]
)
async def test_what_is_not_there_is_refused_by_name(
    store: Store, tmp_path: Path, n: int, code: str
) -> None:
    job = await compared_job(store, tmp_path)
    with pytest.raises(Refused) as caught:
        await cell_of(store, tmp_path, job, n)
    assert caught.value.code == code


@pytest.mark.parametrize("damage", ["missing", "damaged", "other"])
async def test_a_file_that_is_not_what_it_was_is_refused(
    store: Store, tmp_path: Path, damage: str
) -> None:
    job = await compared_job(store, tmp_path)
    first, second, *_ = await store.images(job.id)
    path = tmp_path / first.path
    match damage:
        case "missing":
            path.unlink()
        case "damaged":
            path.write_bytes(b"no image")
        case _:
            path.write_bytes((tmp_path / second.path).read_bytes())
    with pytest.raises(Refused) as caught:
        await open_cell(store, tmp_path, job, 0, discord_origin(), frozenset())
    assert caught.value.code == "compare.cell_gone"
    assert folders(tmp_path) == [job.id]


async def test_pressing_twice_opens_one_and_leaves_no_file(store: Store, tmp_path: Path) -> None:
    job = await compared_job(store, tmp_path)
    asked = discord_origin(interaction_id=5)
    await open_cell(store, tmp_path, job, 0, asked, frozenset())
    with pytest.raises(Refused) as caught:
        await open_cell(store, tmp_path, job, 0, asked, frozenset())
    assert caught.value.code == "queue.twice"
    assert len(folders(tmp_path)) == 2


async def test_a_person_who_opens_the_same_again_is_told_where_it_is(
    store: Store, tmp_path: Path
) -> None:
    job = await compared_job(store, tmp_path)
    first = await open_cell(store, tmp_path, job, 0, discord_origin(user_id=9), frozenset())
    with pytest.raises(Refused) as caught:
        await open_cell(store, tmp_path, job, 0, discord_origin(user_id=9), frozenset())
    assert caught.value.code == "compare.opened"
    assert len(folders(tmp_path)) == 2
    for user_id, n in ((9, 1), (8, 0)):
        origin = discord_origin(user_id=user_id)
        await open_cell(store, tmp_path, job, n, origin, frozenset())
    assert await store.deliver(first, 1, 2)
    assert await store.deletions.begin(first.id)
    assert await open_cell(store, tmp_path, job, 0, discord_origin(user_id=9), frozenset())


async def test_it_counts_towards_nothing(store: Store, tmp_path: Path) -> None:
    job = await compared_job(store, tmp_path)
    now = job.created_at / 1000 + 10
    before = await store.usage(job.person, now)
    assert len(before.images) == len(REQUEST.each)
    await open_cell(store, tmp_path, job, 0, discord_origin(), frozenset())
    assert await store.usage(job.person, now) == before
    assert [each.request for each in await store.painted(("discord",))].count(REQUEST.each[0]) == 0


async def test_nothing_of_a_cancelled_comparison_is_kept(store: Store, tmp_path: Path) -> None:
    job = await running(store, new_job(request=REQUEST, kind="compare"))
    await store.cells.add(job, written(job, 0, tmp_path), [])
    observer = CellsOfCancelled(store, tmp_path)
    failed = await store.job(job.id)
    await observer.failed(failed)  # not cancelled: it goes on later
    assert len(await store.images(job.id)) == 1
    cancelled = await store.cancel(job)
    assert cancelled is not None
    await observer.failed(cancelled)
    assert await store.images(job.id) == ()
    assert not (tmp_path / job.id).exists()


async def test_an_interaction_token_is_kept_for_the_answer(store: Store, tmp_path: Path) -> None:
    job = await compared_job(store, tmp_path)
    token = InteractionToken(2**62, "secret")
    new: NewJob = new_job(interaction=token)
    cell = await open_cell(store, tmp_path, job, 0, new.origin, frozenset())
    assert await store.messages.token(cell.id) == "secret"
