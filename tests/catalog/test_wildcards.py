"""Wildcard files: how they are read, found, and read again."""

import os
from pathlib import Path

import pytest

from catalog import LiveCatalog, WildcardFile, Wildcards, read_catalog
from catalog.wildcard_files import FILE_MAX, VALUE_MAX, WILDCARDS, WildcardReader
from catalog.wildcard_index import VALUES_MAX
from tests.catalog.home import Home

ROOT = Path(__file__).parents[2]


def write(folder: Path, name: str, data: bytes | str) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data if isinstance(data, bytes) else data.encode())
    return file


def read(folder: Path) -> tuple[dict[str, WildcardFile], list[str]]:
    wildcards, problems = WildcardReader(folder).read()
    return {**wildcards.files}, [problem.reason for problem in problems]


def test_lines_blank_lines_comments_and_weights(tmp_path: Path) -> None:
    text = "\ufeff# colours\r\nred\r\n\r\n  light green  \n#blue\n\\#fff\n3::été\n"
    write(tmp_path, "a.txt", text)
    write(tmp_path, "Sub Folder/b.TXT", "one\rtwo")
    write(tmp_path, "c.md", "no")
    write(tmp_path, ".git/d.txt", "no")
    files, problems = read(tmp_path)
    weights = (1_000_000, 1_000_000, 1_000_000, 3_000_000)
    assert files == {
        "a": WildcardFile(("red", "light green", "#fff", "été"), weights),
        "Sub Folder/b": WildcardFile(("one", "two")),
    }
    assert problems == []


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.txt", b"caf\xe9", "it is not UTF-8 text: byte 3"),
        ("a.txt", b"# nothing\n\n", "it has no values"),
        ("a.txt", b"0::a", "it has no values"),
        ("a.txt", b"fine\n-1::a", "line 2: the weight -1 has to be from 0 to 1,000,000"),
        ("a.txt", b"x" * (VALUE_MAX + 1), "line 1 has 2,001 characters; 2,000 are allowed"),
        ("a.txt", b"x\n" * (VALUES_MAX + 1), "it has 20,001 values; 20,000 are allowed"),
        ("a.txt", b"x" * (FILE_MAX + 1), "it has 4,194,305 bytes; 4,194,304 are allowed"),
        ("a__b.txt", b"x", "its name cannot be written in a prompt"),
        ("_a.txt", b"x", "its name cannot be written in a prompt"),
        ("a{b.txt", b"x", "its name cannot be written in a prompt"),
        ("a*.txt", b"x", "its name cannot be written in a prompt"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_problem(
    tmp_path: Path, name: str, data: bytes, reason: str
) -> None:
    write(tmp_path, name, data)
    write(tmp_path, "good.txt", "x")
    files, problems = read(tmp_path)
    assert [*files] == ["good"]
    assert len(problems) == 1
    assert problems[0].startswith(reason)


def test_two_names_that_differ_in_case_only(tmp_path: Path) -> None:
    write(tmp_path, "A.txt", "x")
    if (tmp_path / "a.txt").exists():
        pytest.skip("the file system does not tell them apart")
    write(tmp_path, "a.txt", "y")
    files, problems = read(tmp_path)
    assert [*files] == ["A"]
    assert problems == ["its name differs from A.txt in upper and lower case only"]


def test_no_folder_is_no_wildcards(tmp_path: Path) -> None:
    assert read(tmp_path / "missing") == ({}, [])


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("colour", ["colour"]),
        ("COLOUR", ["colour"]),
        ("animals/*", ["animals/birds", "animals/fish"]),
        ("*", ["colour", "colours-warm"]),
        ("colour*", ["colour", "colours-warm"]),
        ("*/deep/*", ["animals/deep/squid"]),
        ("animals/**", ["animals/birds", "animals/deep/squid", "animals/fish"]),
        ("**/squid", ["animals/deep/squid"]),
        ("**/birds", ["animals/birds"]),
        ("**", ["animals/birds", "animals/deep/squid", "animals/fish", "colour", "colours-warm"]),
        ("animals", []),
        ("nsfw/*", []),
        ("color", []),
    ],
)
def test_names_and_patterns(pattern: str, found: list[str]) -> None:
    names = ("animals/birds", "animals/fish", "animals/deep/squid", "colour", "colours-warm")
    wildcards = Wildcards(dict.fromkeys((*names, "nsfw/secret"), WildcardFile(("x",))))
    assert [*wildcards.find(pattern, nsfw=False)] == found


def test_what_is_only_for_age_restricted_channels_is_named_in_no_other() -> None:
    wildcards = Wildcards(dict.fromkeys(("a/NSFW/secret", "plain"), WildcardFile(("x",))))
    assert wildcards.offered(nsfw=False) == ("plain",)
    assert wildcards.search("secret", nsfw=False) == wildcards.nearest("secre", nsfw=False) == ()
    assert wildcards.find("a/nsfw/secret", nsfw=True) == ("a/NSFW/secret",)
    assert wildcards.nearest("secre", nsfw=True) == ("a/NSFW/secret",)


def test_a_change_is_noticed_and_only_what_changed_is_read_again(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = home.catalog_dir / WILDCARDS
    file = write(folder, "a.txt", "one")
    write(folder, "sub/b.txt", "two")
    live = LiveCatalog(home.catalog_dir, home.models_dir)
    assert [*live.current.wildcards.files] == ["a", "sub/b"]
    assert not live.refresh()
    seen: list[str] = []
    real = Path.read_bytes

    def watched(path: Path) -> bytes:
        seen.append(path.name)
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", watched)
    write(folder, "a.txt", "three")
    os.utime(file, ns=(1, 1))
    assert live.refresh()
    assert live.current.wildcards.files["a"].values == ("three",)
    assert "a.txt" in seen
    assert "b.txt" not in seen
    (folder / "sub" / "b.txt").unlink()
    assert live.refresh()
    assert [*live.current.wildcards.files] == ["a"]


def test_a_broken_one_is_a_problem_of_the_catalog(home: Home) -> None:
    write(home.catalog_dir / WILDCARDS, "a.txt", b"\xff")
    (problem,) = read_catalog(home.catalog_dir, home.models_dir).problems
    assert str(problem).endswith("a.txt: it is not UTF-8 text: byte 0")


def test_those_that_come_with_the_bot_are_fine() -> None:
    files, problems = read(ROOT / "catalog" / WILDCARDS)
    assert problems == []
    assert {"colour", "light", "medium", "season", "animals/birds"} <= files.keys()
