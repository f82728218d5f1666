"""Files dropped into the models folder."""

import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog import headers as headers_module
from catalog import locate, problems_of, read_catalog
from catalog.dropins import slug
from catalog.headers import HeaderCache
from catalog.schema import is_key
from catalog.sidecars import SIDECAR_MAX
from catalog.weight_files import Header, HeaderError, read_header
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
        assert problems_of(entry, home.models_dir) == ()
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


def broken(header: object, data: bytes = b"\0\0\0\0") -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + data


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


class TestSidecar:
    def put(self, home: Home, content: object) -> None:
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        home.weights("loras/ink.safetensors")
        home.put(home.models_dir / "loras" / "ink.json", raw)

    def test_it_gives_trigger_words_weight_and_description(self, home: Home) -> None:
        self.put(
            home,
            {
                "description": "Ink.",
                "activation text": "ink wash, , sumi-e,ink wash",
                "preferred weight": 0.7,
                "sd version": "SDXL",
                "notes": "",
            },
        )
        read = home.read()
        entry = read.adapters["ink"]
        assert entry.trigger_words == ("ink wash", "sumi-e")
        assert (entry.default_weight, entry.description) == (0.7, "Ink.")
        assert read.problems == ()

    def test_zero_is_how_the_web_ui_writes_no_weight(self, home: Home) -> None:
        self.put(home, {"preferred weight": 0, "activation text": None})
        assert home.read().adapters["ink"].default_weight == 1.0
        assert home.problems() == []

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"{", "ignored: it is not JSON"),
            (b"[" * 50_000, "ignored: it is not JSON"),
            (b"\xff", "ignored: it is not JSON"),
            ([], "ignored: it is not a JSON object"),
            (b" " * (SIDECAR_MAX + 1), f"ignored: it is larger than {SIDECAR_MAX} bytes"),
            ({"preferred weight": 9}, '"preferred weight" ignored: it must be from -5 to 5, got 9'),
            ({"preferred weight": "strong"}, '"preferred weight" ignored: it must be a number'),
            ({"preferred weight": True}, '"preferred weight" ignored: it must be a number'),
            (b'{"preferred weight": NaN}', '"preferred weight" ignored: it must be a number'),
            (b'{"preferred weight": 1e999}', '"preferred weight" ignored: it must be a number'),
            ({"activation text": ["a"]}, '"activation text" ignored: it must be text'),
            ({"activation text": "x" * 101}, "trigger_words.0 must have at most 100 characters"),
            ({"description": 3}, '"description" ignored: it must be text'),
        ],
    )
    def test_a_wrong_one_is_reported_and_the_file_still_offered(
        self, home: Home, content: object, said: str
    ) -> None:
        self.put(home, content)
        read = home.read()
        assert read.adapters["ink"].trigger_words == ()
        assert read.adapters["ink"].default_weight == 1.0
        (problem,) = read.problems
        assert problem.file.endswith("ink.json")
        assert said in problem.reason

    def test_a_folder_of_that_name_is_reported(self, home: Home) -> None:
        home.weights("loras/ink.safetensors")
        (home.models_dir / "loras" / "ink.json").mkdir()
        assert "cannot be opened" in home.problems()[0]


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


def lora_bytes(
    width: int, metadata: dict[str, Any] | None = None, part: str = "lora_down"
) -> bytes:
    """A LoRA of rank 4 with one layer that reads text embeddings of `width`."""
    module = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k"
    header = {
        f"{module}.{part}.weight": {
            "dtype": "F16",
            "shape": [4, width],
            "data_offsets": [0, 8 * width],
        },
        "__metadata__": metadata or {},
    }
    return broken(header, bytes(8 * width))


SAID = {
    "modelspec.title": "Ink Wash",
    "ss_output_name": "ink_v2",
    "modelspec.trigger_phrase": "ink wash, sumi-e",
    "modelspec.lora_default_weight": "0.7",
    "ss_tag_frequency": json.dumps({"1_a": {"tree": 3}}),
}


class TestFacts:
    def test_what_the_author_wrote_makes_the_entry(self, home: Home) -> None:
        home.put(home.models_dir / "loras" / "ink.safetensors", lora_bytes(2048, SAID))
        read = home.read()
        entry = read.adapters["ink"]
        assert (entry.name, entry.default_weight) == ("Ink Wash", 0.7)
        assert entry.trigger_words == ("ink wash", "sumi-e")
        facts = read.facts("ink")
        assert facts is not None
        assert (facts.algorithm, facts.base, facts.rank) == ("LoRA", "SDXL", 4)
        assert facts.candidates == ("ink wash", "sumi-e", "tree")
        assert read.misfit("ink") is None

    def test_tags_are_never_added_to_the_prompt(self, home: Home) -> None:
        said = {"ss_tag_frequency": SAID["ss_tag_frequency"]}
        home.put(home.models_dir / "loras" / "ink.safetensors", lora_bytes(2048, said))
        read = home.read()
        assert read.adapters["ink"].trigger_words == ()
        assert read.adapters["ink"].default_weight == 1.0
        assert read.facts("ink").candidates == ("tree",)  # type: ignore[union-attr]

    def test_the_file_beside_it_outweighs_the_header(self, home: Home) -> None:
        home.put(home.models_dir / "loras" / "ink.safetensors", lora_bytes(2048, SAID))
        sidecar = home.models_dir / "loras" / "ink.json"
        home.put(sidecar, b'{"activation text": "mine", "preferred weight": 0.4}')
        entry = home.read().adapters["ink"]
        assert (entry.trigger_words, entry.default_weight) == (("mine",), 0.4)
        home.put(sidecar, b'{"activation text": " , ", "preferred weight": 0}')
        entry = home.read().adapters["ink"]
        assert (entry.trigger_words, entry.default_weight) == (("ink wash", "sumi-e"), 0.7)

    def test_an_entry_stays_as_its_owner_wrote_it(self, home: Home) -> None:
        home.put(home.models_dir / "loras" / "ink.safetensors", lora_bytes(2048, SAID))
        home.write(loras='[loras.mine]\nname = "Mine"\npath = "loras/ink.safetensors"\n')
        read = home.read()
        assert list(read.adapters) == ["mine"]
        entry = read.adapters["mine"]
        assert (entry.name, entry.default_weight, entry.trigger_words) == ("Mine", 1.0, ())
        assert read.facts("mine").title == "Ink Wash"  # type: ignore[union-attr]

    @pytest.mark.parametrize(
        ("table", "put"),
        [
            ('path = "elsewhere/a.safetensors"', "elsewhere/a.safetensors"),
            ('path = "{models}/b.safetensors"', "b.safetensors"),
            ('path = "folder"', "folder/only.safetensors"),
            ('path = "loras"\nweight_name = "c.safetensors"', "loras/c.safetensors"),
            (
                'path = "org/name"\nweight_name = "d.safetensors"',
                "hub/models--org--name/snapshots/abc/d.safetensors",
            ),
            ('path = "org/name"', "hub/models--org--name/snapshots/abc/d.safetensors"),
        ],
    )
    def test_wherever_the_file_is_on_this_machine(self, home: Home, table: str, put: str) -> None:
        text = f'[loras.a]\nname = "A"\n{table}\n'.replace("{models}", str(home.models_dir))
        home.write(loras=text)
        assert home.read().facts("a") is None
        home.put(home.models_dir / put, lora_bytes(768))
        read = home.read()
        assert read.facts("a").base == "SD 1.5"  # type: ignore[union-attr]
        assert str(read.misfit("a")) == "made for SD 1.5, which fits no model here"

    def test_several_files_or_a_broken_one_say_nothing(self, home: Home) -> None:
        home.write(
            loras='[loras.a]\nname = "A"\npath = "folder"\n'
            '[loras.b]\nname = "B"\npath = "b.safetensors"\n'
        )
        for name in ("one", "two"):
            home.put(home.models_dir / "folder" / f"{name}.safetensors", lora_bytes(768))
        home.put(home.models_dir / "b.safetensors", b"broken")
        read = home.read()
        assert read.facts("a") is None
        assert read.facts("b") is None
        assert list(read.adapters) == ["a", "b"]
        assert read.problems == ()

    def test_a_checkpoint_is_not_called_what_was_merged_into_it(self, home: Home) -> None:
        said = {"modelspec.title": "SDXL 1.0 base", "ss_output_name": "Mine"}
        home.weights("checkpoints/mine.safetensors", said)
        assert home.read().models["mine"].name == "Mine"

    def test_an_unchanged_header_is_read_once(
        self, home: Home, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        home.write(loras='[loras.far]\nname = "Far"\npath = "far.safetensors"\n')
        far = home.put(home.models_dir / "far.safetensors", lora_bytes(768))
        home.put(home.models_dir / "loras" / "near.safetensors", lora_bytes(2048))
        home.put(home.models_dir / "loras" / "bad.safetensors", b"bad")
        reads: list[str] = []

        def counting(file: Path) -> Header:
            reads.append(file.name)
            return read_header(file)

        monkeypatch.setattr(headers_module, "read_header", counting)
        headers = HeaderCache()
        for _ in range(3):
            read = read_catalog(home.catalog_dir, home.models_dir, headers=headers)
            assert {key: f.base for key, f in read.adapter_facts.items()} == {
                "far": "SD 1.5",
                "near": "SDXL",
            }
        assert sorted(reads) == ["bad.safetensors", "far.safetensors", "near.safetensors"]
        home.put(far, lora_bytes(2048))
        read = read_catalog(home.catalog_dir, home.models_dir, headers=headers)
        assert read.misfit("far") is None
        assert reads[3:] == ["far.safetensors"]
        far.unlink()
        read_catalog(home.catalog_dir, home.models_dir, headers=headers)
        assert sorted(Path(path).name for path, *_ in headers.stamps) == [
            "bad.safetensors",
            "near.safetensors",
        ]


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
