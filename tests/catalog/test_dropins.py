"""Files dropped into the models folder."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog import headers as headers_module
from catalog import locate, problems_of
from catalog.dropins import slug
from catalog.headers import HeaderCache
from catalog.schema import is_key
from catalog.weight_files import Header, HeaderError, read_header
from tests.catalog.files import broken
from tests.catalog.home import ONE_MODEL, Home, weights_bytes


def test_a_file_is_offered_without_an_entry(home: Home) -> None:
    home.weights("checkpoints/Juggernaut XL v9.safetensors")
    home.weights("loras/Ink_Wash.safetensors")
    read = home.read()
    model, adapter = read.models["juggernaut-xl-v9"], read.adapters["ink_wash"]
    assert (model.name, model.path) == (
        "Juggernaut XL v9",
        "checkpoints/Juggernaut XL v9.safetensors",
    )
    assert (adapter.name, adapter.path) == ("Ink_Wash", "loras/Ink_Wash.safetensors")
    assert adapter.default_weight == 1.0
    for entry in (model, adapter):
        assert locate(entry.path, home.models_dir).kind == "file"
        assert problems_of(entry, home.models_dir, {}) == ()
    assert read.problems == ()


@pytest.mark.parametrize(
    "table",
    [
        'path = "loras/a.safetensors"',
        'path = "loras/../loras/a.safetensors"\nname = "broken by the dots"',
        'path = "{models}/loras/a.safetensors"',
        'path = "{models}/link.safetensors"',
        'path = "loras"\nweight_name = "a.safetensors"',
        'path = "loras/a.safetensors"\nenabled = false',
        'path = "loras/a.safetensors"\nnsfw = "yes, a typo"',
    ],
)
def test_a_file_that_an_entry_names_is_not_offered_twice(home: Home, table: str) -> None:
    file = home.weights("loras/a.safetensors")
    (home.models_dir / "link.safetensors").symlink_to(file)
    name = "" if "name =" in table.replace("weight_name", "") else 'name = "N"\n'
    home.write(loras=f"[loras.mine]\n{name}{table}\n".replace("{models}", str(home.models_dir)))
    offered = home.read().adapters
    if "/../" in table:  # refused as an entry, so the file is offered as a drop-in
        assert list(offered) == ["a"]
    else:
        assert "a" not in offered


def test_an_entry_of_the_other_kind_does_not_hide_a_file_of_the_same_name(home: Home) -> None:
    home.weights("loras/a.safetensors")
    home.weights("checkpoints/a.safetensors")
    read = home.read()
    assert "a" in read.models
    assert "a" in read.adapters
    assert read.problems == ()


def test_a_taken_key_gets_a_number_and_a_problem(home: Home) -> None:
    home.write(ONE_MODEL, '[loras.ink]\nname = "x"\npath = "org/ink"\nenabled = false\n')
    for name in ("Ink", "ink", "INK"):
        home.weights(f"loras/{name}.safetensors")
    read = home.read()
    paths = {key: entry.path for key, entry in read.adapters.items()}
    assert paths == {
        "ink": "org/ink",
        "ink-2": "loras/INK.safetensors",
        "ink-3": "loras/Ink.safetensors",
        "ink-4": "loras/ink.safetensors",
    }
    assert [p.reason for p in read.problems] == [
        f"offered as 'ink-{n}': 'ink' is taken" for n in (2, 3, 4)
    ]


@given(st.text(min_size=1, max_size=80))
def test_a_key_can_be_made_of_every_file_name(stem: str) -> None:
    assert is_key(slug(stem))
    assert slug(stem) == slug(stem)


@pytest.mark.parametrize(
    ("stem", "key"),
    [
        ("Pokémon Style (v1.5)", "pokemon-style-v1.5"),
        ("__init__", "init"),
        ("x" * 60, "x" * 48),
        ("水彩", "file-"),
        ("水墨", "file-"),
    ],
)
def test_keys_stay_readable(stem: str, key: str) -> None:
    assert slug(stem).startswith(key)


def test_names_without_latin_letters_get_different_keys() -> None:
    assert slug("水彩") != slug("水墨")


def test_long_names_that_begin_alike_get_different_keys(home: Home) -> None:
    for end in "ab":
        home.weights(f"loras/{'x' * 60}{end}.safetensors")
    assert list(home.read().adapters) == ["x" * 48, "x" * 46 + "-2"]


def test_the_title_comes_from_the_file_itself(home: Home) -> None:
    home.weights("loras/file.safetensors", {"ss_output_name": "Ink Wash\n"})
    home.weights("loras/long.safetensors", {"ss_output_name": "x" * 500})
    home.weights("loras/odd.safetensors", {"ss_output_name": 3})
    home.weights("loras/blank.safetensors", {"ss_output_name": " \0 "})
    read = home.read()
    assert [a.name for a in read.adapters.values()] == ["blank", "Ink Wash", "x" * 80, "odd"]
    assert read.problems == ()


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "it is empty or cut off"),
        (b"PK\x03\x04\x14" + b"\0" * 100, "it is a PyTorch file or a ZIP archive"),
        (b"PK\x03\x04" + b"\0" * 100, "it is a PyTorch file or a ZIP archive"),
        (b"GGUF\3\0\0\0" + b"\0" * 100, "it is a GGUF file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "it is a Git LFS pointer"),
        (b"<!DOCTYPE html><html>", "it is a web page"),
        (b"\x7fELF\2\1\1\0" + b"\0" * 100, "it does not begin with a header length"),
        (weights_bytes()[:-1], "it is cut off: was the copy or download interrupted?"),
        (broken(b"not json"), "its header is not JSON"),
    ],
    ids=range(9),
)
def test_a_broken_file_is_a_problem_and_not_offered(home: Home, raw: bytes, said: str) -> None:
    home.put(home.models_dir / "loras" / "bad.safetensors", raw)
    home.weights("loras/good.safetensors")
    read = home.read()
    assert list(read.adapters) == ["good"]
    (problem,) = read.problems
    assert problem.key == "bad"
    assert problem.file.endswith("bad.safetensors")
    assert f"not offered: {said}" in str(problem) or said in problem.reason


def test_links_are_fine_when_they_lead_to_a_file(home: Home, tmp_path: Path) -> None:
    big = home.put(tmp_path / "disk" / "blob", weights_bytes())
    inside = home.weights("store/real.safetensors")
    (home.models_dir / "loras" / "out.safetensors").symlink_to(big)
    (home.models_dir / "loras" / "in.safetensors").symlink_to(inside)
    (home.models_dir / "loras" / "dangling.safetensors").symlink_to(tmp_path / "gone")
    (home.models_dir / "loras" / "folder.safetensors").mkdir()
    read = home.read()
    assert list(read.adapters) == ["in", "out"]
    assert read.adapters["in"].path == "loras/in.safetensors"
    for entry in read.adapters.values():
        assert locate(entry.path, home.models_dir).kind == "file"
    assert sorted(p.key for p in read.problems) == ["dangling", "folder"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_loops_of_links_and_pipes_are_problems(home: Home) -> None:
    loras = home.models_dir / "loras"
    (loras / "self.safetensors").symlink_to(loras / "self.safetensors")
    (loras / "there.safetensors").symlink_to(loras / "back.safetensors")
    (loras / "back.safetensors").symlink_to(loras / "there.safetensors")
    os.mkfifo(loras / "pipe.safetensors")
    home.weights("loras/good.safetensors")
    os.mkfifo(loras / "good.json")
    (home.models_dir / "checkpoints" / "up.safetensors").symlink_to(home.models_dir)
    read = home.read()
    assert list(read.adapters) == ["good"]
    assert sorted(p.key for p in read.problems) == ["back", "good", "pipe", "self", "there", "up"]


def test_only_safetensors_files_directly_in_the_folder_count(home: Home) -> None:
    for name in ("a.ckpt", "b.safetensors.part", "._c.safetensors", "sub/d.safetensors"):
        home.put(home.models_dir / "checkpoints" / name, weights_bytes())
    home.weights("checkpoints/E.SAFETENSORS")
    assert list(home.read().models) == ["base", "e"]


def test_without_the_folders_nothing_is_offered_and_nothing_is_wrong(home: Home) -> None:
    (home.models_dir / "loras").rmdir()
    (home.models_dir / "checkpoints").rmdir()
    home.models_dir.rmdir()
    assert home.read().problems == ()


def test_an_unchanged_file_is_read_once(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    good = home.weights("loras/a.safetensors", {"ss_output_name": "One"})
    bad = home.put(home.models_dir / "loras" / "b.safetensors", b"")
    reads: list[str] = []

    def counting(file: Path) -> Header:
        reads.append(file.name)
        return read_header(file)

    monkeypatch.setattr(headers_module, "read_model_header", counting)
    headers = HeaderCache()
    for _ in range(3):
        assert headers.checkpoint(good).title == "One"
        with pytest.raises(HeaderError):
            headers.checkpoint(bad)
    assert reads == ["a.safetensors", "b.safetensors"]
    home.weights("loras/a.safetensors", {"ss_output_name": "Two"})
    assert headers.checkpoint(good).title == "Two"
    headers.forget_all_but([bad])
    headers.checkpoint(good)
    assert reads == ["a.safetensors", "b.safetensors", "a.safetensors", "a.safetensors"]


@pytest.mark.parametrize("folder", ["checkpoints", "loras"])
def test_pickles_are_named_unless_converted(home: Home, folder: str) -> None:
    for name in ("a.ckpt", "b.PTH", "c.pt", "d.bin", ".hidden.ckpt", "notes.txt"):
        home.put(home.models_dir / folder / name, b"x")
    home.weights(f"{folder}/c.safetensors")
    home.write()
    said = [problem.rpartition("/")[2] for problem in home.problems()]
    assert said == [
        f"{name}: {name[0]}: not offered: it is a pickle file, which is never loaded"
        for name in ("a.ckpt", "b.PTH", "d.bin")
    ]
