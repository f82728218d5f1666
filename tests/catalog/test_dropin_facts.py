"""What a dropped file and those beside it say of it."""

import json
from pathlib import Path

import pytest

from catalog import headers as headers_module
from catalog import read_catalog
from catalog.headers import HeaderCache
from catalog.sidecars import SIDECAR_MAX
from catalog.weight_files import Header, read_header
from tests.catalog.files import lora_bytes
from tests.catalog.home import Home


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
