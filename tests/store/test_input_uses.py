"""Which jobs refer to an input image, and what they still need of it."""

import json

import pytest

from bot.request import ControlUse, InitImage, Reference
from bot.store import InputUse, Store
from bot.store.database import Row
from bot.store.input_uses import _USES, PAGE
from tests.store.factories import new_job, request, running

ONE, OTHER = "a" * 64, "b" * 64


async def test_all_that_jobs_refer_to(store: Store) -> None:
    assert await store.input_uses.of_all([ONE, OTHER]) == {}
    assert await store.input_uses.of(ONE) is None
    await store.accept(new_job())
    await store.accept(new_job(request=request(init_image=InitImage(ONE, 0.6))))
    both = request(init_image=InitImage(ONE, 0.6), reference=Reference(OTHER, 0.6))
    last = await store.accept(new_job(request=both))
    uses = await store.input_uses.of_all([ONE, OTHER])
    assert uses == {
        sha256: InputUse(sha256, needed=True, wanted=True, ended_at=last.created_at)
        for sha256 in (ONE, OTHER)
    }
    assert await store.input_uses.of(OTHER) == uses[OTHER]


async def test_a_mask_is_referred_to_like_its_image(store: Store) -> None:
    asked = new_job(request=request(init_image=InitImage(ONE, 1.0, OTHER)))
    accepted = await store.accept(asked)
    use = InputUse(OTHER, needed=True, wanted=True, ended_at=accepted.created_at)
    assert await store.input_uses.of(OTHER) == use


async def test_what_controlnets_follow_is_referred_to(store: Store) -> None:
    uses = tuple(ControlUse("edges", sha256, "canny") for sha256 in (ONE, OTHER))
    accepted = await store.accept(new_job(request=request(controls=uses)))
    expected = {
        sha256: InputUse(sha256, needed=True, wanted=True, ended_at=accepted.created_at)
        for sha256 in (ONE, OTHER)
    }
    assert await store.input_uses.of_all([ONE, OTHER]) == expected


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
    await store._database.write(lambda write: write.execute("UPDATE jobs SET request = ?", (text,)))
    assert await store.input_uses.of_all([ONE, OTHER]) == {}


async def test_no_other_job_is_read(store: Store) -> None:
    plan = await store._database.rows(f"EXPLAIN QUERY PLAN {_USES}", {"images": "[]"})
    steps = "\n".join(row["detail"] for row in plan)
    assert "SEARCH jobs USING INDEX jobs_by_init_image" in steps
    assert "SEARCH jobs USING INDEX jobs_by_reference" in steps
    assert "SEARCH jobs USING INDEX jobs_by_upscale" in steps
    assert "SEARCH jobs USING INDEX jobs_by_mask" in steps
    for n in range(1, 5):
        assert f"SEARCH jobs USING INDEX jobs_by_picture_{n}" in steps
    for n in range(1, 3):
        assert f"SEARCH jobs USING INDEX jobs_by_control_{n}" in steps


async def test_many_are_asked_for_a_few_at_a_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.accept(new_job(request=request(init_image=InitImage(ONE, 0.6))))
    asked, rows = [], store._database.rows

    async def watched(sql: str, parameters: dict[str, str]) -> list[Row]:
        asked.append(len(json.loads(parameters["images"])))
        return await rows(sql, parameters)

    monkeypatch.setattr(store._database, "rows", watched)
    others = [f"{number:064}" for number in range(PAGE)]
    assert [*await store.input_uses.of_all([*others, ONE])] == [ONE]
    assert asked == [PAGE, 1]
