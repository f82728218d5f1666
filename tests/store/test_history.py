"""The index of prompts: what it finds for whom, how it catches up, and that it forgets."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.request import AdapterUse, GenerationRequest
from bot.store import Store
from bot.store.history import Query, history, index, words
from tests.store.factories import done, new_job, request, running

ADA, BEA = "discord:7", "discord:8"


async def painted(store: Store, prompt: str, user_id: int = 7, **fields: object) -> str:
    kind = fields.pop("kind", "imagine")
    asked = request(**{"prompt": prompt, **fields})
    return (await done(store, new_job(request=asked, user_id=user_id, kind=kind))).id


async def found(store: Store, text: str = "", person: str = ADA, **more: object) -> list[str]:
    query = Query(words=text, **more)  # type: ignore[arg-type]
    return [each.job.request.prompt for each in await store.history.page(person, query, 50)]


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("Café crème in Zürich", "creme"),
        ("Café crème in Zürich", "CAFÉ zurich"),
        ("a cafe\u0301 at night", "café"),
        ("eine Straße im Regen", "strasse"),
        ("ΟΔΥΣΣΕΥΣ on a ship", "οδυσσευς"),
        ("Ёлка в снегу", "елка"),
        ("ﬁne ＷＩＤＥ letters", "fine wide"),
        ("a lighthouse in the rain", "light"),
        ("a lighthouse in the rain", "rain LIGHT"),
        ("a lighthouse, rain-soaked", '"rain soaked"'),
        ("(lighthouse:1.3), long_hair", "lighthouse hair"),
        ("黒い猫と少女", "猫"),
        ("黒い猫と少女", "少女"),
        ("黒い猫と少女", "い猫と"),
        ("カフェの猫 cat", "フェ"),
        ("ｶﾌｪ", "カフェ"),
        ("비 오는 거리의 고양이", "고양이"),
        ("แมวสีดำบนหลังคา", "สีดำ"),
        ("дом у озера", "озер"),
        ("बिल्ली बारिश में", "बारिश"),
        ("بيت قرب البحر", "البحر"),
    ],
)
async def test_a_prompt_is_found_by_its_words(store: Store, prompt: str, text: str) -> None:
    await painted(store, prompt)
    await painted(store, "something else, 犬, 고래")
    assert await found(store, text) == [prompt]


@pytest.mark.parametrize(
    "text",
    [
        *('"', "'", "*", "light*", "a AND", "NOT", "OR OR", "prompt:", "^a", "(", "NEAR(a b)"),
        *("{", "-rain", "a + b", "\x00", "discord:8_secret", "=kind=imagine", "_", "."),
        *('" OR "', "\ud800", "🐈", "%", "猫*", "a" * 5000, "a b " * 500),
    ],
)
async def test_nothing_that_is_typed_is_syntax(store: Store, text: str) -> None:
    await painted(store, "secret of bea", user_id=8)
    for prompt in await found(store, text):
        assert "secret" not in prompt


@given(st.text(max_size=40))
def test_a_text_is_split_the_same_way_twice(text: str) -> None:
    once = words.words(text)
    assert words.words(" ".join(once)) == once
    assert all(word and " " not in word for word in once)


async def test_a_phrase_does_not_go_from_one_text_to_another(store: Store) -> None:
    await painted(store, "猫", negative="少女")
    assert await found(store, "猫少") == []
    assert await found(store, "猫 少女") == ["猫"]


async def test_only_ones_own_is_found(store: Store) -> None:
    await painted(store, "a shared word, ada")
    await painted(store, "a shared word, bea", user_id=8)
    assert await found(store, "shared") == ["a shared word, ada"]
    assert await found(store, "shared", BEA) == ["a shared word, bea"]
    assert await found(store, "shared", "discord:78") == []


async def test_it_is_narrowed_by_model_lora_kind_and_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0
    monkeypatch.setattr("bot.store.store.now_ms", lambda: now)
    now = 1_000_000
    await painted(store, "one", model="sdxl-base")
    now = 2_000_000
    await painted(store, "two", adapters=(AdapterUse("ink.v2 ü", 1.0),), kind="edit")
    assert await found(store) == ["two", "one"]
    assert await found(store, model="sdxl-base") == ["one"]
    assert await found(store, model="sdxl") == []
    assert await found(store, lora="ink.v2 ü") == ["two"]
    assert await found(store, kind="edit") == ["two"]
    assert await found(store, "o", kind="edit") == []
    assert await found(store, since=1_000_001) == ["two"]
    assert await found(store, since=1_000_000, until=2_000_000) == ["one"]
    assert await found(store, until=2_000_001) == ["two", "one"]


async def test_pages_follow_each_other_whatever_is_added(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "A_SECOND", 4)
    for number in range(23):
        await store.accept(new_job(request=request(prompt=f"number {number}")))
    with closing(sqlite3.connect(store._database.path)) as connection:
        connection.execute("UPDATE jobs SET state = 'delivered'")
        connection.commit()
    seen, before = [], None
    while page := await store.history.page(ADA, Query(words="number"), 5, before=before):
        seen += [each.job.request.prompt for each in page]
        before = page[-1].number
        await painted(store, "number later")
    assert seen == [f"number {number}" for number in reversed(range(23))]
    assert before is not None
    back = await store.history.page(ADA, Query(words="number"), 2, after=before)
    assert [each.job.request.prompt for each in back] == ["number 2", "number 1"]


async def test_what_has_no_picture_is_not_listed(store: Store) -> None:
    await running(store)
    failed = await running(store)
    await store.cancel(failed)
    assert await found(store) == []


async def test_a_deleted_result_is_found_no_more(store: Store) -> None:
    job_id = await painted(store, "a secret picture")
    with closing(sqlite3.connect(store._database.path)) as connection:
        connection.execute("UPDATE jobs SET state = 'delivered'")
        connection.commit()
    assert await store.deletions.begin(job_id)
    assert await found(store, "secret") == []
    assert not await store.deletions.begin(job_id)


async def test_many_words_with_the_same_beginning(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "WORDS_MAX", 3)
    for ending in ("a", "b", "c", "d"):
        await painted(store, f"light{ending}")
    assert len(await found(store, "light")) == 4
    assert await found(store, "lighta") == ["lighta"]


async def _without_index(store: Store) -> None:
    """As an earlier version has left it."""
    with closing(sqlite3.connect(store._database.path)) as connection:
        connection.execute("INSERT INTO history (history) VALUES ('delete-all')")
        connection.execute("DELETE FROM history_entries")
        connection.execute("UPDATE history_progress SET format = '', below = 0")
        connection.commit()


async def test_earlier_jobs_are_added_in_parts_that_stay(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "PART", 4)
    monkeypatch.setattr(history, "PAUSE", 0)
    for number in range(10):
        await painted(store, f"number {number}")
    with closing(sqlite3.connect(store._database.path)) as connection:
        connection.execute("UPDATE jobs SET request = '{' WHERE request LIKE '%number 8%'")
        connection.commit()
    await _without_index(store)
    assert not await store.history.caught_up()
    await store._database.write(history._begin)
    assert await store.history._add_part()
    assert await found(store, "number") == [f"number {n}" for n in (9, 7, 6)]
    await painted(store, "number 10")
    # The process dies here.
    again = history.History(store._database)
    await again.catch_up()
    assert await again.caught_up()
    every = {f"number {n}" for n in range(11) if n != 8}
    assert set(await found(store, "number")) == every
    await again.catch_up()
    assert sorted(await found(store, "number")) == sorted(every)


async def test_one_that_was_deleted_meanwhile_is_not_added(store: Store) -> None:
    job_id = await painted(store, "a secret picture")
    await _without_index(store)
    with closing(sqlite3.connect(store._database.path)) as connection:
        connection.execute("UPDATE jobs SET deleted_at = 1 WHERE id = ?", (job_id,))
        connection.commit()
    await store.history.catch_up()
    assert await found(store, "secret") == []


def in_the_file(path: Path, text: str) -> bool:
    """Whether any byte of the index holds it, in any case or piece of the file."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = path.read_bytes().lower()
    return text.encode() in data


FORGET: dict[str, Callable[[Store, list[str]], object]] = {
    "all of a person": lambda store, ids: store.history.forget(person=ADA),
    "some jobs": lambda store, ids: store.history.forget(jobs=ids),
}


@pytest.mark.parametrize("how", FORGET)
async def test_what_is_forgotten_leaves_no_byte(
    store: Store, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "PAUSE", 0)
    monkeypatch.setattr(history, "MERGED", 1)
    mine = []
    for number in range(40):
        common = f"lighthouse {number} harbour{number % 7}"
        await store.accept(new_job(request=request(prompt=f"bea {common}"), user_id=8))
        job = await store.accept(new_job(request=request(prompt=f"quokkaword{number} {common}")))
        mine.append(job.id)
    # One whose result was deleted before is still in the file.
    with closing(sqlite3.connect(store._database.path)) as connection:
        connection.execute("UPDATE jobs SET state = 'delivered'")
        connection.commit()
    assert await store.deletions.begin(mine.pop())
    await FORGET[how](store, mine)  # type: ignore[misc]
    with closing(sqlite3.connect(store._database.path)) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("DELETE FROM discord_jobs WHERE user_id = 7")
        connection.execute("DELETE FROM jobs WHERE person = ?", (ADA,))
        connection.commit()
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert not in_the_file(store._database.path, "quokkaword")
    assert not in_the_file(store._database.path, ADA)
    assert in_the_file(store._database.path, BEA)
    assert len(await store.history.page(BEA, Query(words="lighthouse"), 200)) == 40


def _terms(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO history (history) VALUES ('integrity-check')")
        return connection.execute("SELECT * FROM history_terms").fetchall()


@pytest.mark.parametrize("stored", ["{", "null", "[7]", '{"prompt": 1}'])
async def test_a_request_that_cannot_be_read_leaves_the_index_as_well(
    store: Store, stored: str
) -> None:
    path = store._database.path
    await painted(store, "quokka that stays")
    await painted(store, "quokka of bea", user_id=8)
    before = _terms(path)
    uses = (AdapterUse("Ink.v2 ü", 1.0),)
    mine = [
        await painted(store, f"Quokka at 黒い猫, quokka {n}", negative="ß", adapters=uses)
        for n in range(2)
    ]
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE jobs SET state = 'delivered'")
        connection.execute("UPDATE jobs SET request = ? WHERE id = ?", (stored, mine[0]))
        connection.execute("UPDATE jobs SET request = '' WHERE id = ?", (mine[1],))
        connection.commit()
    assert in_the_file(path, "lora=ink.v2%20%c3%bc")  # as nothing else but the index writes it
    assert await store.deletions.begin(mine[0])
    await store.history.forget(jobs=mine)
    assert _terms(path) == before
    assert not in_the_file(path, "lora=ink.v2%20%c3%bc")
    assert await found(store, "quokka") == ["quokka that stays"]
    assert await found(store, "quokka", BEA) == ["quokka of bea"]


async def test_an_index_of_another_format_is_made_anew(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await painted(store, "a lighthouse")
    await store.history.catch_up()
    monkeypatch.setattr(words, "FORMAT", "next")
    assert not await store.history.caught_up()
    await store.history.catch_up()
    assert await store.history.caught_up()
    assert await found(store, "lighthouse") == ["a lighthouse"]


def test_comparisons_and_drawn_prompts_are_in_it_once() -> None:
    asked = GenerationRequest.from_dict(json.loads(json.dumps(request(count=1).to_dict())))
    prompt, negative, tags = words.columns("cli", "imagine", asked)
    assert prompt == "cli_canary cli_prompt cli_7f3a"
    assert negative == "cli_low cli_quality"
    assert tags == "cli_ cli_=kind=imagine cli_=model=demo cli_=lora=ink"


@pytest.mark.parametrize("text", ["!!!", "\U0001f431", '"" ...'])
async def test_signs_alone_find_nothing(store: Store, text: str) -> None:
    await painted(store, "a cat!!!")
    assert await found(store, text) == []
    assert await found(store, "  ") == ["a cat!!!"]


def test_what_is_looked_for_twice_counts_once() -> None:
    assert words.pieces('fox "red fox" Fox fox "red fox"') == [["fox"], ["red", "fox"]]
