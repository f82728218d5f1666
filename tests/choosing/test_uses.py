"""What people have used is read once, and kept up to date as jobs are accepted."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.choosing import ADAPTER, MODEL, Uses
from bot.choosing import uses as uses_module
from bot.choosing.record import KEYS_MAX, Record
from bot.errors import StoreError
from bot.request import AdapterUse
from bot.store import Discord, Job, NewJob, Store
from bot.store.uses import Use
from tests.queue.lanes import queue_of
from tests.store.factories import done, new_job, request

ADA = Discord(user_id=7, guild_id=1)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "imagen.sqlite3") as opened:
        yield opened


def asked(model: str = "demo", *loras: str, origin: Discord = ADA) -> NewJob:
    adapters = tuple(AdapterUse(key, 1.0) for key in loras)
    return replace(new_job(origin=origin), request=request(model=model, adapters=adapters))


def keys(record: Record, kind: Any) -> dict[str, int]:
    return {use.key: use.count for use in record.used(kind)}


async def test_a_record_is_read_from_the_store_and_kept_up_to_date(store: Store) -> None:
    await store.accept(asked("demo", "ink"))
    uses = Uses(store)
    record = await uses.of("discord:7")
    assert keys(record, MODEL) == {"demo": 1}
    assert keys(record, ADAPTER) == {"ink": 1}
    queue = queue_of(store, accepted=uses.accepted)
    await queue.accept(asked("demo", "ink", "frost"))
    assert keys(await uses.of("discord:7"), ADAPTER) == {"ink": 2, "frost": 1}
    assert keys(await uses.of("discord:8"), MODEL) == {}


async def test_a_job_accepted_while_reading_is_counted_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    uses = Uses(store)
    read = store.uses.of_person
    between: list[Job] = []

    async def slowly(person: str, since: int, most: int) -> list[Use]:
        found = await read(person, since, most)
        if not between:
            between.append(await store.accept(asked("second")))
            uses.accepted(between[0])
        return found

    monkeypatch.setattr(store.uses, "of_person", slowly)
    assert keys(await uses.of("discord:7"), MODEL) == {"second": 1}


async def test_a_store_that_cannot_be_read_costs_only_the_order(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> list[Use]:
        raise StoreError("disk full")

    uses = Uses(store)
    await store.accept(asked("demo"))
    with monkeypatch.context() as patched:
        patched.setattr(store.uses, "of_person", broken)
        assert keys(await uses.of("discord:7"), MODEL) == {}
    assert keys(await uses.of("discord:7"), MODEL) == {"demo": 1}


async def test_favourites_count_more(store: Store) -> None:
    job = await store.accept(asked("demo", "ink"))
    await store._database.write(
        lambda write: write.execute(
            "INSERT INTO favourites VALUES (?, ?, ?)", ("discord:7", job.id, 1)
        )
    )
    assert keys(await Uses(store).of("discord:7"), ADAPTER) == {"ink": 3}


def test_a_record_is_bounded_and_drops_the_oldest() -> None:
    record = Record.of(Use(n, None, f"m{n}", ()) for n in range(KEYS_MAX + 5))
    assert len(keys(record, MODEL)) == KEYS_MAX
    assert "m0" not in keys(record, MODEL)
    assert f"m{KEYS_MAX + 4}" in keys(record, MODEL)


async def test_people_are_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uses_module, "PEOPLE_MAX", 2)
    uses = Uses(store)
    for n in range(4):
        await uses.of(f"discord:{n}")
    assert [*uses._people] == ["discord:2", "discord:3"]


async def test_uses_are_counted_by_server_for_thirty_days(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.choosing.uses.PAGE", 2)
    monkeypatch.setattr("bot.store.uses.PAGE", 2)
    for n in range(5):
        await done(store, asked("demo", "ink", origin=replace(ADA, user_id=n)))
    await done(store, asked("demo", origin=replace(ADA, guild_id=2)))
    await store.accept(asked("second"))  # not painted yet
    now = [time.time()]
    uses = Uses(store, lambda: now[0])
    assert await uses.here("discord:1", MODEL) == {"demo": 5}
    assert await uses.here("discord:2", ADAPTER) == {}
    uses.accepted(await store.accept(asked("demo")))
    assert await uses.here("discord:1", MODEL) == {"demo": 6}
    assert await uses.mine("discord:3", ADAPTER) == {"ink": 1}
    now[0] += 31 * 24 * 60 * 60
    assert await uses.here("discord:1", MODEL) == {}
    assert await uses.mine("discord:3", ADAPTER) == {}


async def test_a_count_that_fails_is_not_shown_and_made_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> object:
        raise StoreError("disk full")

    await done(store, asked("demo"))
    uses = Uses(store)
    with monkeypatch.context() as patched:
        patched.setattr(store.uses, "page", broken)
        assert await uses.here("discord:1", MODEL) is None
    assert await uses.here("discord:1", MODEL) == {"demo": 1}


async def test_a_star_counts_at_once_and_so_does_taking_it_away(store: Store) -> None:
    job = await store.accept(asked("demo", "ink"))
    uses = Uses(store)
    assert keys(await uses.of("discord:7"), ADAPTER) == {"ink": 1}
    await store.favourites.keep("discord:7", job.id)
    assert keys(await uses.of("discord:7"), ADAPTER) == {"ink": 3}
    await store.favourites.drop("discord:7", job.id)
    assert keys(await uses.of("discord:7"), ADAPTER) == {"ink": 1}
