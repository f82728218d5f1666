"""Which jobs refer to an input image, and what they still need of it."""

from pathlib import Path

import pytest

from bot.request import InitImage, Reference
from bot.store import InputUse, Store
from bot.store.input_uses import _USES
from tests.store.factories import new_job, request, running

ONE, OTHER = "a" * 64, "b" * 64


async def test_all_that_jobs_refer_to(store: Store) -> None:
    assert await store.input_uses.all() == {}
    assert await store.input_uses.of(ONE) is None
    await store.accept(new_job())
    await store.accept(new_job(request=request(init_image=InitImage(ONE, 0.6))))
    both = request(init_image=InitImage(ONE, 0.6), reference=Reference(OTHER, 0.6))
    last = await store.accept(new_job(request=both))
    uses = await store.input_uses.all()
    assert uses == {
        sha256: InputUse(sha256, needed=True, wanted=True, ended_at=last.created_at)
        for sha256 in (ONE, OTHER)
    }
    assert await store.input_uses.of(OTHER) == uses[OTHER]


async def test_a_cancelled_job_wants_nothing_and_a_failed_one_may_be_tried_again(
    store: Store,
) -> None:
    asked = new_job(request=request(reference=Reference(ONE, 0.6)))
    cancelled = await store.cancel(await store.accept(asked))
    assert cancelled is not None
    assert cancelled.finished_at is not None
    use = await store.input_uses.of(ONE)
    assert use == InputUse(ONE, needed=False, wanted=False, ended_at=cancelled.finished_at)
    await running(store, new_job(request=request(init_image=InitImage(ONE, 0.6))))
    use = await store.input_uses.of(ONE)
    assert use is not None
    assert (use.needed, use.wanted) == (True, True)


@pytest.mark.parametrize("text", ["{", "null", "7", '{"init_image": 7}', '{"reference": []}'])
async def test_a_request_that_cannot_be_read_refers_to_nothing(store: Store, text: str) -> None:
    await store.accept(new_job(request=request(init_image=InitImage(ONE, 0.6))))
    async with store._database.transaction() as write:
        await write.execute("UPDATE jobs SET request = ?", (text,))
    assert await store.input_uses.all() == {}


async def test_no_other_job_is_read(store: Store, tmp_path: Path) -> None:
    for condition, sha256 in (("IS NOT NULL", ()), ("= ?", (ONE, ONE))):
        sql = _USES.format(init_image=condition, reference=condition)
        plan = await store._database.rows(f"EXPLAIN QUERY PLAN {sql}", sha256)
        steps = "\n".join(row["detail"] for row in plan)
        assert "jobs USING INDEX jobs_by_init_image" in steps
        assert "jobs USING INDEX jobs_by_reference" in steps
