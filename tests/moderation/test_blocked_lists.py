"""The lists of blocked words: those of servers in the store, the owner's in a file."""

from pathlib import Path

import pytest

from bot.errors import InvalidRequest, Refused, StoreError
from bot.moderation.owner_file import OwnerFile, entry_of, typed_entry
from bot.moderation.texts import Checked
from bot.moderation.word_list import PATTERN_STATES_MAX, Blocked
from bot.moderation.words import Words
from bot.store import OWNER, Store
from tests.language import TEXTS
from tests.moderation.screened import SERVER


async def test_a_change_of_a_list_is_told_and_none_is_not(store: Store, words: Words) -> None:
    for community in (SERVER, OWNER):
        for action in ("refuse", "refuse", "report"):
            await words.add(community, Blocked("zork", "word", action), "discord:1")
        await words.remove(community, Blocked("zork"), "discord:2")
    told = [(act.actor, act.community, dict(act.details)) for act in await store.acts.untold()]
    assert told == [
        (actor, community, {"word": "zork", "added": added} | ({"action": action} if added else {}))
        for community in (SERVER, None)
        for actor, added, action in (
            ("discord:1", True, "refuse"),
            ("discord:1", True, "report"),
            ("discord:2", False, ""),
        )
    ]


@pytest.mark.parametrize("call", ["add", "remove"])
async def test_a_change_that_cannot_be_told_is_not_made(
    store: Store, words: Words, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await words.add(SERVER, Blocked("zork"), "discord:1")

    def fail(*_: object) -> int:
        raise StoreError("the disk is full")

    monkeypatch.setattr("bot.store.words.insert_act", fail)
    with pytest.raises(StoreError):
        await getattr(words, call)(SERVER, Blocked("zork", "word", "report"), "discord:1")
    assert [row.action for row in await words.of(SERVER)] == ["refuse"]


async def test_what_is_kept_is_checked(words: Words) -> None:
    await words.add(SERVER, Blocked("zork"), "discord:1")
    await words.add(SERVER, Blocked("frob", "word", "restrict"), "discord:1")
    await words.check(Checked(("my zorkish style",)), SERVER, restricted=False)
    await words.check(Checked(("frob",)), SERVER, restricted=True)
    for texts, code in (
        (Checked(("fine", "my z.o.r.k style")), "words.refused"),
        (Checked((), ("{a|zork} {prompt}",)), "words.refused"),
        (Checked(("frob",)), "words.restricted"),
    ):
        with pytest.raises(Refused, match=code):
            await words.check(texts, SERVER, restricted=False)


async def test_a_list_has_its_limit_and_a_word_is_in_it_once(
    words: Words, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.moderation.words.WORDS_MAX", 2)
    await words.add(SERVER, Blocked("zork"), "discord:1")
    await words.add(SERVER, Blocked("frob"), "discord:1")
    await words.add(SERVER, Blocked("zork", "word", "report"), "discord:2")
    with pytest.raises(Refused, match="full_word"):
        await words.add(SERVER, Blocked("quux"), "discord:1")
    await words.add(SERVER, Blocked("quux", "pattern"), "discord:1")
    rows = [(row.text, row.action, row.added_by) for row in await words.of(SERVER)]
    assert rows == [
        ("quux", "refuse", "discord:1"),
        ("frob", "refuse", "discord:1"),
        ("zork", "report", "discord:2"),
    ]
    with pytest.raises(Refused, match="not_listed"):
        await words.remove(SERVER, Blocked("frob", "pattern"), "discord:1")
    with pytest.raises(InvalidRequest):
        await words.add(SERVER, Blocked("(", "pattern"), "discord:1")


async def test_a_servers_patterns_have_room_for_so_many_places(words: Words) -> None:
    large = "[ab]" + ".{50}" * 12
    for n in range(3):
        await words.add(SERVER, Blocked(f"{large}q{n}", "pattern"), "discord:1")
    with pytest.raises(Refused, match="full_places") as caught:
        await words.add(SERVER, Blocked(f"{large}qq", "pattern"), "discord:1")
    assert caught.value.params["max"] == PATTERN_STATES_MAX
    sentence = TEXTS.speaker()(caught.value.code, **caught.value.params)
    assert f"{PATTERN_STATES_MAX:,}" in sentence
    # What it takes less space for, and what is the owner's own, may be added.
    await words.add(SERVER, Blocked(f"{large}q1", "pattern", "report"), "discord:1")
    await words.add(SERVER, Blocked("zork"), "discord:1")
    for n in range(4):
        await words.add(OWNER, Blocked(f"{large}q{n}", "pattern"), "discord:1")


async def test_a_servers_words_have_room_for_so_many_letters(
    words: Words, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.moderation.words.STATES_MAX", 400)
    await words.add(SERVER, Blocked("zork"), "discord:1")
    with pytest.raises(Refused, match="full_size"):
        await words.add(SERVER, Blocked("xylophone" * 9), "discord:1")


async def test_the_lists_that_were_not_needed_for_longest_are_dropped(
    words: Words, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.moderation.words.KEPT_MAX", 300)
    await words.add(OWNER, Blocked("zork"), "discord:1")
    servers = [f"discord:{n}" for n in range(100, 120)]
    for server in servers:
        await words.add(server, Blocked("zork"), "discord:1")
        await words.find(Checked(("a fox",)), server)
        assert sum(each.size for each in words._lists.values()) <= 300
    assert OWNER in words._lists
    assert servers[-1] in words._lists
    assert (await words.find(Checked(("a zork",)), servers[0])).has("refuse")


async def test_what_an_earlier_version_took_is_left_out(store: Store, words: Words) -> None:
    for text, kind in (("(", "pattern"), ("zork", "word")):
        await store.words.add(
            SERVER, text, kind=kind, action="refuse", by="discord:1", most=9, act={}
        )
    assert (await words.find(Checked(("a zork",)), SERVER)).has("refuse")


LINES: dict[str, Blocked] = {
    "zork": Blocked("zork"),
    "  red apple ": Blocked("red apple"),
    "/a|b/": Blocked("a|b", "pattern"),
    "report: zork": Blocked("zork", "word", "report"),
    "Restrict:/a+b/": Blocked("a+b", "pattern", "restrict"),
    "re: zork": Blocked("re: zork"),
}


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_the_owners_file(line: str) -> None:
    assert entry_of(line) == LINES[line]


def test_what_is_typed_says_its_kind() -> None:
    assert typed_entry("/x/", "report") == Blocked("x", "pattern", "report")
    assert typed_entry("//", "refuse") == Blocked("//")


def test_the_file_is_read_again_when_it_changes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "blocked_words.txt"
    file = OwnerFile(path)
    assert file.entries() == ()
    path.write_text("# mine\n\nzork\n/(/\nx\n", encoding="utf-8")
    before = file.entries()
    assert before == (Blocked("zork"),)
    assert file.entries() is before
    assert ["line 4" in caplog.text, "line 5" in caplog.text] == [True, True]
    assert "zork" not in caplog.text
    path.write_bytes(b"\xef\xbb\xbffrobnicate\r\n\xff\xfe odd\r\n")
    assert file.entries()[0] == Blocked("frobnicate")
    path.unlink()
    assert file.entries() == ()


def test_a_file_that_cannot_be_read_is_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "blocked_words.txt"
    path.write_text("zork\n", encoding="utf-8")
    file = OwnerFile(path)
    assert file.entries() == (Blocked("zork"),)

    def fail(*_: object) -> bytes:
        raise PermissionError(13, "no")

    monkeypatch.setattr(Path, "read_bytes", fail)
    path.write_text("something longer\n", encoding="utf-8")
    assert file.entries() == (Blocked("zork"),)
    monkeypatch.undo()
    assert file.entries() == (Blocked("something longer"),)
