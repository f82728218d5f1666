"""What other programs keep next to a weight file is read, whichever program wrote it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json

from catalog import AdapterEntry, LiveCatalog, read_catalog
from catalog.headers import HeaderCache
from catalog.sidecars import SIDECAR_MAX, SUFFIXES
from catalog.sidecars import files as files_module
from catalog.sidecars.fields import fields_of
from catalog.sidecars.plain_text import plain_text
from tests.catalog.files import lora_bytes
from tests.catalog.home import Home

VERSION = {
    "id": 7,
    "modelId": 3,
    "name": "v1.0",
    "description": "<p>Trained longer.</p>",
    "baseModel": "Pony",
    "trainedWords": ["inkwash", "sumi-e"],
    "model": {
        "name": "Ink Wash [XL]",
        "type": "LORA",
        "nsfw": True,
        "description": "<h1>Ink &amp; water</h1><p>Use it <b>lightly</b>.<br>Or not.</p>",
    },
    "files": [{"name": "ink.safetensors", "hashes": {}}],
    "images": [
        {"url": f"https://example.com/{n}.png", "meta": {"prompt": "x" * 300}} for n in range(250)
    ],
}
MODEL = {
    "id": 3,
    "name": "Ink Wash [XL]",
    "type": "LORA",
    "nsfw": True,
    "description": VERSION["model"]["description"],  # type: ignore[index]
    "modelVersions": [
        {
            "name": "v2",
            "baseModel": "Flux.1 D",
            "trainedWords": ["other"],
            "files": [{"name": "b"}],
        },
        {key: value for key, value in VERSION.items() if key not in ("model", "modelId")},
    ],
}
SAME = {
    "civitai.info": VERSION,
    "civitai.json": MODEL,
    "metadata.json": {
        "file_name": "ink",
        "model_name": "Ink Wash [XL]",
        "base_model": "Pony",
        "modelDescription": MODEL["description"],
        "civitai": VERSION,
        "usage_tips": '{"strength": 0.7}',
        "preview_nsfw_level": 1,
        "notes": "",
    },
    "cm-info.json": {
        "ModelName": "Ink Wash [XL]",
        "ModelDescription": MODEL["description"],
        "Nsfw": True,
        "VersionName": "v1.0",
        "VersionDescription": "<p>Trained longer.</p>",
        "BaseModel": "Pony",
        "TrainedWords": ["inkwash", "sumi-e"],
        "UserTitle": None,
    },
    "safetensors.rgthree-info.json": {
        "name": "Ink Wash [XL]",
        "baseModel": "Pony",
        "description": "Ink & water\nUse it lightly.\nOr not.",
        "nsfw": True,
        "trainedWords": [{"word": "inkwash", "count": 9}, {"word": "sumi-e", "civitai": True}],
    },
    "swarm.json": {
        "modelspec.title": "Ink Wash [XL]",
        "modelspec.description": "Ink & water\nUse it lightly.\nOr not.",
        "modelspec.architecture": "Pony",
        "modelspec.trigger_phrase": "inkwash, sumi-e",
        "nsfw": "Mature",
    },
}


def beside(home: Home, suffix: str, content: object, encoding: str = "utf-8") -> None:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode(encoding)
    home.put(home.models_dir / "loras" / f"ink.{suffix}", raw)


def ink(home: Home) -> AdapterEntry:
    return home.read().adapters["ink"]


@pytest.fixture
def with_ink(home: Home) -> Home:
    home.put(home.models_dir / "loras" / "ink.safetensors", lora_bytes(2048))
    return home


@pytest.mark.parametrize("suffix", SAME)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_all_programs_tell_the_same(with_ink: Home, suffix: str, encoding: str) -> None:
    beside(with_ink, suffix, SAME[suffix], encoding)
    read = with_ink.read()
    entry = read.adapters["ink"]
    assert entry.name == "Ink Wash [XL]"
    assert entry.trigger_words == ("inkwash", "sumi-e")
    assert entry.description == "Ink & water\nUse it lightly.\nOr not."
    assert entry.nsfw
    if suffix == "civitai.info":
        assert (with_ink.models_dir / "loras" / "ink.civitai.info").stat().st_size > 90_000
    assert entry.default_weight == (0.7 if suffix == "metadata.json" else 1.0)
    assert read.adapter_facts["ink"].base == "Pony"
    assert read.problems == ()


@pytest.mark.parametrize(
    ("said", "tags", "licence"),
    [
        ({"tags": ["Style", {"name": "ink"}, "ink", 3, "x" * 99]}, ("style", "ink"), ""),
        ({"modelspec.tags": "style, ink", "modelspec.license": "MIT"}, ("style", "ink"), "MIT"),
        ({"model": {"tags": [], "allowCommercialUse": ["Image", "Rent"]}}, (), "Civitai: you may"),
        ({"allowCommercialUse": "None", "allowNoCredit": False}, (), "credit the creator, no comm"),
        ({"allowDerivatives": False, "allowDifferentLicense": False}, (), "Civitai: no merges"),
        ({"allowNoCredit": True, "allowCommercialUse": 7}, (), ""),
    ],
)
def test_tags_and_the_licence_are_read(
    with_ink: Home, said: object, tags: tuple[str, ...], licence: str
) -> None:
    beside(with_ink, "civitai.info", said)
    entry = ink(with_ink)
    assert entry.tags == tags
    assert licence in entry.licence
    assert bool(licence) == bool(entry.licence)


def test_tags_that_are_no_list_are_named(with_ink: Home) -> None:
    beside(with_ink, "civitai.info", {"tags": 7})
    read = with_ink.read()
    assert read.adapters["ink"].tags == ()
    assert '"tags" ignored: it must be a list' in str(read.problems[0])


def test_each_field_comes_from_the_first_that_has_it(with_ink: Home) -> None:
    wanted = []
    for number, suffix in enumerate(reversed(SUFFIXES)):
        word = f"word {number}"
        beside(with_ink, suffix[1:], {"trainedWords": [word]})
        assert ink(with_ink).trigger_words == (word,), suffix
        wanted.append(word)
    beside(with_ink, "civitai.info", VERSION)
    beside(with_ink, "json", {"activation text": "mine", "preferred weight": 0.4})
    entry = ink(with_ink)
    assert (entry.trigger_words, entry.default_weight) == (("mine",), 0.4)
    assert entry.name == "Ink Wash [XL]"


def test_what_is_new_beside_a_file_is_noticed(with_ink: Home) -> None:
    live = LiveCatalog(with_ink.catalog_dir, with_ink.models_dir)
    for word in ("one", "two"):
        beside(with_ink, "civitai.info", {"trainedWords": [word]})
        assert live.refresh()
        assert live.current.adapters["ink"].trigger_words == (word,)


def test_phrases_are_alternatives_and_only_the_first_is_added(with_ink: Home) -> None:
    words = ["ada, red coat", "ada, swimsuit", "ada, armour"]
    beside(with_ink, "civitai.info", {"trainedWords": words})
    read = with_ink.read()
    assert read.adapters["ink"].trigger_words == ("ada", "red coat")
    assert read.adapter_facts["ink"].tags == ("swimsuit", "armour")
    beside(with_ink, "civitai.info", {"trainedWords": ["inkwash, ", "sumi-e,"]})
    assert ink(with_ink).trigger_words == ("inkwash", "sumi-e")
    beside(with_ink, "civitai.info", {"trainedWords": [f"artist {n}" for n in range(40)]})
    assert ink(with_ink).trigger_words == ("artist 0",)


def test_training_tags_are_suggestions_and_no_trigger_words(with_ink: Home) -> None:
    """rgthree-comfy keeps both in one list, and says where each is from."""
    tags = [{"word": "1girl", "count": 90, "metadata": True}, {"word": "smile", "metadata": True}]
    beside(with_ink, "rgthree-info.json", {"trainedWords": tags})
    read = with_ink.read()
    assert read.adapters["ink"].trigger_words == ()
    assert read.adapter_facts["ink"].tags == ("1girl", "smile")
    both = [*tags, {"word": "sumi-e", "civitai": True, "metadata": True, "count": 99}]
    beside(with_ink, "rgthree-info.json", {"trainedWords": both})
    read = with_ink.read()
    assert read.adapters["ink"].trigger_words == ("sumi-e",)
    assert read.adapter_facts["ink"].tags == ("1girl", "smile")
    beside(with_ink, "rgthree-info.json", {"trainedWords": tags})
    beside(with_ink, "civitai.info", {"trainedWords": ["inkwash"]})
    assert ink(with_ink).trigger_words == ("inkwash",)


@pytest.mark.parametrize(
    "said",
    [
        {"activation text": "<lora:ink:0.8> inkwash, (sumi-e:1.2),"},
        {"trainedWords": ["<lora:ink_v1.0:1>, inkwash", "(sumi-e:1.2) <lyco:x:1>"]},
    ],
)
def test_a_tag_that_applies_a_lora_is_no_trigger_word(
    with_ink: Home, said: dict[str, object]
) -> None:
    beside(with_ink, "json", said)
    words = ink(with_ink).trigger_words
    assert words in {("inkwash", "(sumi-e:1.2)"), ("inkwash",)}


def test_a_weight_may_be_text(with_ink: Home) -> None:
    beside(with_ink, "json", {"preferred weight": "0.8"})
    assert ink(with_ink).default_weight == 0.8


def test_the_case_of_a_files_name_does_not_matter(with_ink: Home) -> None:
    versions = [
        {"trainedWords": ["old"], "files": [{"name": "else.safetensors"}]},
        {"trainedWords": ["inkwash"], "files": [{"name": "Ink.SafeTensors"}]},
    ]
    beside(with_ink, "civitai.info", {"modelVersions": versions})
    assert ink(with_ink).trigger_words == ("inkwash",)


def test_of_several_versions_the_one_with_the_file_counts(with_ink: Home) -> None:
    versions = [{"trainedWords": [word], "files": [{"name": word}]} for word in ("a", "b")]
    beside(with_ink, "json", {"name": "Ink Wash", "modelVersions": versions})
    read = with_ink.read()
    assert read.adapters["ink"].trigger_words == ()
    assert read.adapters["ink"].name == "Ink Wash"
    assert "none of them has a file ink.safetensors" in str(read.problems[0])
    beside(with_ink, "json", {"modelVersions": versions[:1]})
    assert ink(with_ink).trigger_words == ("a",)


@pytest.mark.parametrize(
    ("said", "base"),
    [
        ("SDXL 1.0", "SDXL"),
        ("SDXL Lightning", "SDXL"),
        ("SD 1.5", "SD 1.5"),
        ("SD1", "SD 1.5"),
        ("Illustrious", "Illustrious"),
        ("NoobAI", "NoobAI"),
        ("Pony V7", "AuraFlow"),
        ("Flux.1 D", "FLUX.1"),
        ("Wan Video 2.2 T2V-A14B", "Wan"),
        ("Stable Cascade", "Stable Cascade"),
        ("Other", ""),
        ("", ""),
    ],
)
def test_a_base_in_words_counts_where_the_file_does_not_tell(
    home: Home, said: str, base: str
) -> None:
    home.weights("loras/ink.safetensors")
    beside(home, "civitai.info", {"baseModel": said})
    assert home.read().adapter_facts["ink"].base == base


def test_a_base_in_words_does_not_outweigh_the_tensors(with_ink: Home) -> None:
    beside(with_ink, "civitai.info", {"baseModel": "SD 1.5"})
    assert with_ink.read().adapter_facts["ink"].base == "SDXL"


def test_a_checkpoint_gets_its_name_and_description(home: Home) -> None:
    home.weights("checkpoints/ink.safetensors", {"ss_output_name": "merged_07"})
    raw = json.dumps(VERSION).encode()
    home.put(home.models_dir / "checkpoints" / "ink.civitai.info", raw)
    model = home.read().models["ink"]
    assert model.name == "Ink Wash [XL]"
    assert model.description.startswith("Ink & water")
    assert model.nsfw


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is not JSON"),
        (b"\xff\xfe{", "it is not JSON"),
        (b"\xfe\xff" + b"\xd8" * 7, "it is not JSON"),
        (b'{"a": "\xc3("}', "it is not JSON"),
        (b"{" + b'"a":{' * 40_000, "it is not JSON"),
        (b"[" + b"1," * 200_000 + b"1]", "it has more than 100000 values"),
        (b" " * (SIDECAR_MAX + 1), "it is larger than 2097152 bytes"),
        ([VERSION], "it is not a JSON object"),
        ({"trainedWords": 3}, '"trainedWords" ignored: it must be a list'),
        ({"trainedWords": ["x" * 101]}, "must have at most 100 characters"),
        ({"baseModel": ["SDXL"]}, '"baseModel" ignored: it must be text'),
        ({"ModelName": {"a": 1}}, '"ModelName" ignored: it must be text'),
        ({"modelVersions": "v1"}, '"modelVersions" ignored'),
        ({"lora_default_weight": "heavy"}, '"lora_default_weight" ignored: it must be a number'),
        ({"usage_tips": '{"strength": 70}'}, '"usage_tips.strength" ignored: it must be from -5'),
    ],
    ids=range(15),
)
def test_a_wrong_one_never_costs_the_lora(with_ink: Home, content: object, said: str) -> None:
    beside(with_ink, "civitai.info", content)
    beside(with_ink, "rgthree-info.json", {"trainedWords": ["inkwash"]})
    read = with_ink.read()
    assert read.adapters["ink"].trigger_words == ("inkwash",)
    (problem,) = read.problems
    assert problem.file.endswith("ink.civitai.info")
    assert said in problem.reason


def test_one_is_read_once_while_it_does_not_change(
    with_ink: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[bytes] = []

    def counted(raw: bytes) -> Any:
        reads.append(raw)
        return from_json(raw)

    monkeypatch.setattr(files_module, "from_json", counted)
    beside(with_ink, "json", {"activation text": "one"})
    headers = HeaderCache()
    for _ in range(3):
        read_catalog(with_ink.catalog_dir, with_ink.models_dir, headers=headers)
    assert len(reads) == 1


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("I <3 this, 2 < 3 > 1", "I <3 this, 2 < 3 > 1"),
        ("one\n\n two", "one\n\ntwo"),
        ("<p>one</p><p>two</p>", "one\ntwo"),
        ("<ul><li>one</li><li>two</li></ul>", "- one\n- two"),
        ('<a href="https://x.example" target=_blank>here</a>', "here"),
        ("<p>a<script>alert(1)</script>b<style>p{}</style><!-- <p>c</p> -->d</p>", "abd"),
        ("<p>&lt;b&gt; &#x27;&nbsp;&copy; &hearts;</p>", "<b> ' © ♥"),
        ("<P CLASS='x'>One<BR/>two", "One\ntwo"),
        ("a\u202eb\x00c", "abc"),
        ("<p>" + "x" * 60_000, "x" * 1000),
        ("<p>one</p><a href='" + "x" * 60_000, "one"),
        ("<pineapple> <b>b</b>", "<pineapple> b"),
    ],
)
def test_a_description_is_plain_text(text: str, plain: str) -> None:
    assert plain_text(text, 1000) == plain


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=150),
    lambda inner: (
        st.lists(inner, max_size=12)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("trainedWords", "activation text", "preferred weight", "description", "word"),
                    *("model", "modelVersions", "civitai", "nsfw", "name", "modelId", "usage_tips"),
                    *("files", "baseModel", "lora_default_weight", "modelspec.title", ""),
                ]
            ),
            inner,
            max_size=8,
        )
    ),
    max_leaves=30,
)


@given(st.dictionaries(st.text(max_size=3), VALUES, max_size=3) | VALUES)
def test_whatever_it_says_makes_a_valid_entry(data: Any) -> None:
    said, _ = fields_of(data if isinstance(data, dict) else {"civitai": data}, "a.safetensors")
    entry = AdapterEntry(
        key="a",
        name=said.name or "a",
        path="a",
        trigger_words=said.trigger_words,
        default_weight=1.0 if said.weight is None else said.weight,
        description=said.description,
        nsfw=said.nsfw,
    )
    assert len(entry.description) <= 1000
