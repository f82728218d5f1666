"""The hashes of what was used, for those who name models by them."""

import sqlite3
from dataclasses import replace
from functools import partial

from bot.recipe import Weights
from bot.store import Store
from tests.store.factories import new_job, recipe, request


async def paint(store: Store, name: str, digit: str) -> str:
    asked = request(model=name)
    job = await store.accept(new_job(request=asked))
    running = await store.start(job.id)
    assert running is not None
    weights = Weights(name, digit * 64, digit * 10)
    await store.finish(running, replace(recipe(asked), checkpoint=weights), (), ())
    return job.id


async def test_each_has_the_one_that_was_used_last(store: Store) -> None:
    assert await store.known_weights.recent() == {}
    for name, digit in (("demo", "1"), ("second", "2"), ("demo", "3")):
        await paint(store, name, digit)
    assert await store.known_weights.recent() == {
        "demo": Weights("demo", "3" * 64, "3" * 10),
        "second": Weights("second", "2" * 64, "2" * 10),
        "ink": Weights("ink", "c" * 64, "c" * 12),
    }


async def test_hashes_are_looked_up_only_where_one_may_be_named(store: Store) -> None:
    await paint(store, "demo", "1")
    known = {"demo": ("1" * 64, "1" * 10), "ink": ("c" * 64, "c" * 12)}
    for text in ("1" * 10, "a fox\nModel hash: 11111111, Seed: 5", "C" * 64):
        assert await store.known_weights.hashes(None, "a fox", text) == known
    for text in ("a fox, a deadbeef0g", "1234567", "1" * 65, ""):
        assert await store.known_weights.hashes(text, None) == {}


async def test_damaged_recipes_are_passed_over(store: Store) -> None:
    await paint(store, "demo", "1")
    for text in ("{", "[]", '{"checkpoint": {"name": "x"}, "adapters": 5}', '{"checkpoint": 1}'):
        job_id = await paint(store, "demo", "2")
        await store._database.write(partial(_spoil, job_id, text))
    assert (await store.known_weights.recent())["demo"].short == "1" * 10


def _spoil(job_id: str, text: str, write: sqlite3.Connection) -> None:
    write.execute("UPDATE jobs SET recipe = ? WHERE id = ?", (text, job_id))
