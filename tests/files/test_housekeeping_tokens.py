"""Tokens of interactions are used in time, and erased."""

from dataclasses import replace
from pathlib import Path

import pytest

from bot.files.images import save_images
from bot.store import InteractionToken, Store, now_ms
from bot.store.origins import DISCORD_EPOCH, TOKEN_MS
from tests.store.factories import new_job, painting, running


def content(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.glob("imagen.sqlite3*"))


async def test_tokens_are_used_and_erased_in_time(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = InteractionToken((now_ms() - DISCORD_EPOCH) << 22, "a-secret-of-the-interaction")
    job = await store.accept(new_job(interaction=asked))
    assert await store.messages.token(job.id) == asked.token
    assert asked.token not in repr(asked)
    assert asked.token not in repr(job)
    soon = now_ms() + TOKEN_MS + 1
    monkeypatch.setattr("bot.store.messages.now_ms", lambda: soon)
    assert await store.messages.token(job.id) is None
    await store.messages.erase_tokens()
    assert await store._database.rows("SELECT * FROM tokens") == []
    await store._database._writer.alone(
        lambda write: write.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    )
    assert asked.token.encode() not in content(tmp_path)


async def test_a_delivered_job_needs_no_token(store: Store, tmp_path: Path) -> None:
    asked = InteractionToken((now_ms() - DISCORD_EPOCH) << 22, "a-secret")
    waiting = await store.accept(new_job(interaction=asked))
    other = InteractionToken(asked.id + 1, "another")
    job = await running(store, new_job(interaction=other))
    result = painting()
    done = await store.finish(job, result.recipe, save_images(result, job, tmp_path), [])
    assert done is not None
    await store.deliver(done, 1, 2)
    await store.messages.erase_tokens()
    left = await store._database.rows("SELECT job_id FROM tokens")
    assert [row["job_id"] for row in left] == [waiting.id]
    assert replace(asked, token="x").good_to == asked.good_to


@pytest.mark.parametrize("out_of_reach", ["hidden", "absent"])
async def test_a_result_that_only_its_token_reaches_keeps_it(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out_of_reach: str
) -> None:
    asked = InteractionToken((now_ms() - DISCORD_EPOCH) << 22, "a-secret")
    job = await running(store, new_job(interaction=asked, **{out_of_reach: True}))
    result = painting()
    done = await store.finish(job, result.recipe, save_images(result, job, tmp_path), [])
    assert done is not None
    await store.deliver(done, 1, 2)
    await store.messages.erase_tokens()
    assert await store.messages.token(job.id) == asked.token
    late = now_ms() + TOKEN_MS + 1
    monkeypatch.setattr("bot.store.messages.now_ms", lambda: late)
    await store.messages.erase_tokens()
    assert await store._database.rows("SELECT * FROM tokens") == []
