"""What an entry may contain, and how errors in one are explained."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from catalog import SCHEDULERS, AdapterEntry, FastPreset, FloatRange, IntRange, ModelEntry
from catalog.schema import explain, is_key

SOUND: dict[str, Any] = {"key": "k", "name": "N", "path": "org/name"}


def reason(kind: type[ModelEntry] | type[AdapterEntry], fields: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        kind.model_validate(SOUND | fields)
    return explain(caught.value)


def test_a_model_needs_a_name_and_a_path_and_has_defaults_for_the_rest() -> None:
    entry = ModelEntry(key="k", name="N", path="org/name")
    assert (entry.size, entry.min_side, entry.max_side) == ((1024, 1024), 512, 1536)
    assert entry.max_pixels == 1_600_000
    assert entry.steps == IntRange(min=10, default=30, max=100)
    assert entry.guidance == FloatRange(min=1.0, default=7.5, max=30.0)
    assert (entry.scheduler, entry.clip_skip) == (SCHEDULERS[0], None) == ("DPM++ 2M Karras", None)
    assert (entry.prediction, entry.zero_terminal_snr, entry.guidance_rescale) == (None, None, 0.0)
    assert (entry.enabled, entry.nsfw, entry.vae_path, entry.default_negative) == (
        True,
        False,
        None,
        "",
    )


def test_an_adapter_has_weight_1_and_fits_every_model_unless_it_says_so() -> None:
    entry = AdapterEntry(key="k", name="N", path="org/name")
    assert (entry.default_weight, entry.trigger_words, entry.models) == (1.0, (), ())


def test_toml_lists_become_tuples() -> None:
    entry = ModelEntry.model_validate(SOUND | {"size": [512, 768]})
    assert entry.size == (512, 768)
    adapter = AdapterEntry.model_validate(SOUND | {"trigger_words": ["a", "b"], "models": ["m"]})
    assert (adapter.trigger_words, adapter.models) == (("a", "b"), ("m",))


def test_entries_are_frozen() -> None:
    entry = ModelEntry(key="k", name="N", path="org/name")
    with pytest.raises(ValidationError):
        entry.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": ""}, "name must not be empty"),
        ({"name": "x" * 81}, "name must have at most 80 characters"),
        ({"name": 3}, "name must be text in quotes, got 3"),
        ({"name": "a\nb"}, "name must be one line"),
        ({"name": " a"}, "name must not begin or end with whitespace"),
        ({"path": ""}, "path must not be empty"),
        ({"path": "models/a.ckpt"}, "only .safetensors is ever loaded, got 'models/a.ckpt'"),
        ({"path": "/srv/A.PT"}, "only .safetensors"),
        ({"path": "a.bin"}, "only .safetensors"),
        ({"path": "../outside"}, "path must not contain '..'"),
        ({"path": "a\\..\\..\\b"}, "path must not contain '..'"),
        ({"path": "a\0b"}, "path must be one line without control characters"),
        ({"vae_path": "vae.pt"}, "vae_path must not be a pickle file"),
        ({"weight_name": "a.bin"}, "weight_name must end in .safetensors or .gguf"),
        ({"weight_name": "../a.safetensors"}, "weight_name must be the name of a file inside"),
        ({"weight_name": "/a.safetensors"}, "weight_name must be the name of a file inside"),
        ({"weight_name": "C:\\a.safetensors"}, "weight_name must be the name of a file inside"),
        ({"revision": "a b"}, "revision must be a commit, tag or branch name, got 'a b'"),
        ({"enabled": "yes"}, "enabled must be true or false, got 'yes'"),
        ({"nsfw": 1}, "nsfw must be true or false, got 1"),
        ({"size": 512}, "size must be a list in square brackets, got 512"),
        ({"size": [512, 512.0]}, "size.1 must be a whole number, got 512.0"),
        ({"size": [512]}, "size"),
        ({"size": [512, 512, 512]}, "size must have at most 2 items"),
        ({"size": [1001, 1000]}, "size must be multiples of 8 from 512 to 1536, got 1001 and 1000"),
        ({"size": [256, 512]}, "size must be multiples of 8 from 512 to 1536"),
        ({"size": [1536, 1536]}, "size must have at most 1600000 pixels"),
        ({"min_side": 516}, "min_side must be a multiple of 8, got 516"),
        ({"min_side": 56}, "min_side must be greater than or equal to 64, got 56"),
        ({"max_side": 5000}, "max_side must be less than or equal to 4096, got 5000"),
        ({"min_side": 1024, "max_side": 512}, "min_side must be at most max_side"),
        ({"steps": 30}, "steps must be a table like {min = 10, default = 30, max = 100}, got 30"),
        (
            {"steps": {"min": 5, "default": 3, "max": 9}},
            "steps must have min <= default <= max, got min=5, default=3, max=9",
        ),
        ({"steps": {"min": 0, "default": 3, "max": 9}}, "steps.min must be greater than or equal"),
        ({"steps": {"min": 1, "default": 3}}, "steps.max is missing"),
        ({"guidance": {"min": 1, "default": 9, "max": 5}}, "guidance must have min <= default"),
        (
            {"guidance": {"min": float("nan"), "default": 1, "max": 5}},
            "guidance.min must be a finite number",
        ),
        ({"scheduler": "Karras"}, "scheduler must be one of DPM++ 2M Karras, DPM++ 2M,"),
        ({"clip_skip": 1}, "clip_skip must be from 2 to 12 for Stable Diffusion XL, got 1"),
        (
            {"family": "sd9"},
            "family must be one of sdxl, sd15, flux2, zimage, anima, flux1, chroma, krea2, got"
            " 'sd9'",
        ),
        ({"variant": "odd"}, "variant must be one of base, distilled, got 'odd'"),
        (
            {"family": "zimage", "prediction": "epsilon"},
            "prediction must be flow for a model of Z-Image, got 'epsilon'",
        ),
        ({"prediction": "v"}, "prediction must be 'epsilon', 'v_prediction', 'edm', 'edm_v"),
        (
            {"prediction": "flow", "scheduler": "Euler a"},
            "scheduler must be one of Euler, Heun, DPM++ 2M, DPM++ 2M SDE, UniPC for a model of"
            " prediction flow, got 'Euler a'",
        ),
        ({"prediction": "edm", "shift": 3.0}, "shift is only for a flow, got prediction edm"),
        ({"shift": 0.0}, "shift must be greater than 0, got 0.0"),
        ({"zero_terminal_snr": 1}, "zero_terminal_snr must be true or false, got 1"),
        ({"guidance_rescale": 1.5}, "guidance_rescale must be less than or equal to 1, got 1.5"),
        ({"url": "javascript:alert(1)"}, "url must be empty or begin with https://"),
        ({"colour": "red"}, "colour is not a known field"),
        ({"key": "Big"}, "the key must be 1 to 48 of a-z, 0-9"),
    ],
)
def test_a_wrong_model_field_is_named_with_its_value_and_what_is_allowed(
    fields: dict[str, Any], said: str
) -> None:
    assert said in reason(ModelEntry, fields)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"default_weight": 5.1}, "default_weight must be less than or equal to 5, got 5.1"),
        ({"default_weight": -6}, "default_weight must be greater than or equal to -5, got -6"),
        ({"default_weight": "1"}, "default_weight must be a number, got '1'"),
        ({"default_weight": float("inf")}, "default_weight must be a finite number"),
        ({"trigger_words": ["ok", ""]}, "trigger_words.1 must not be empty"),
        ({"trigger_words": ["x" * 101]}, "trigger_words.0 must have at most 100 characters"),
        ({"trigger_words": "word"}, "trigger_words must be a list in square brackets"),
        ({"trigger_words": [3]}, "trigger_words.0 must be text in quotes"),
        ({"vae_path": "org/vae"}, "vae_path is not a known field"),
    ],
)
def test_a_wrong_adapter_field_is_named_with_its_value_and_what_is_allowed(
    fields: dict[str, Any], said: str
) -> None:
    assert said in reason(AdapterEntry, fields)


def test_an_absolute_path_is_the_owners_choice() -> None:
    assert ModelEntry(key="k", name="N", path="/srv/../srv/a.safetensors").path


@given(st.from_regex(r"[a-z0-9][a-z0-9._-]{0,47}", fullmatch=True))
def test_every_key_of_the_pattern_is_a_key(key: str) -> None:
    assert is_key(key)
    assert ModelEntry(key=key, name="N", path="org/name").key == key


@given(st.text(max_size=60))
def test_nothing_else_is_a_key(text: str) -> None:
    allowed = re.fullmatch("[a-z0-9][a-z0-9._-]*", text) is not None and len(text) <= 48
    assert is_key(text) == allowed


@given(
    st.dictionaries(
        st.sampled_from([*ModelEntry.model_fields]),
        st.none() | st.text() | st.floats() | st.lists(st.text() | st.integers(), max_size=3),
    )
)
def test_whatever_is_wrong_is_explained_in_one_line(fields: dict[str, Any]) -> None:
    try:
        ModelEntry.model_validate(SOUND | fields)
    except ValidationError as error:
        said = explain(error)
        assert said
        assert said.isprintable() or not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", said)


FAST: dict[str, Any] = {"steps": 6, "guidance": 1.5, "scheduler": "LCM"}


def test_fast_needs_no_adapter_and_gives_one_weight_1() -> None:
    entry = ModelEntry.model_validate(SOUND | {"fast": FAST})
    assert entry.fast == FastPreset(
        adapter=None, weight=1.0, steps=6, guidance=1.5, scheduler="LCM"
    )
    assert ModelEntry(**SOUND).fast is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"steps": 13}, "fast.steps must be from 1 to 12 for Stable Diffusion XL, got 13"),
        ({"steps": 0}, "fast.steps must be from 1 to 12 for Stable Diffusion XL, got 0"),
        (
            {"guidance": 4.5},
            "fast.guidance must be from 1.0 to 4.0 for Stable Diffusion XL, got 4.5",
        ),
        (
            {"guidance": 0.5},
            "fast.guidance must be from 1.0 to 4.0 for Stable Diffusion XL, got 0.5",
        ),
        ({"scheduler": "lcm"}, "fast.scheduler must be one of DPM++ 2M Karras,"),
        ({"weight": 6.0}, "fast.weight must be less than or equal to 5, got 6.0"),
        ({"lora": "x"}, "fast.lora is not a known field"),
    ],
)
def test_a_wrong_field_of_fast(change: dict[str, Any], said: str) -> None:
    assert said in reason(ModelEntry, {"fast": FAST | change})


def test_fast_that_is_no_table_or_lacks_something() -> None:
    assert reason(ModelEntry, {"fast": True}) == (
        'fast must be a table like {steps = 6, guidance = 1.5, scheduler = "LCM"}, got True'
    )
    assert reason(ModelEntry, {"fast": {}}) == (
        "fast.steps is missing; fast.guidance is missing; fast.scheduler is missing"
    )


@pytest.mark.parametrize(
    ("prediction", "first"),
    [(None, "DPM++ 2M Karras"), ("edm", "DPM++ 2M Karras"), ("flow", "Euler")],
)
def test_the_default_scheduler_fits_the_training(prediction: Any, first: str) -> None:
    entry = ModelEntry(key="a", name="A", path="a", prediction=prediction)
    assert entry.scheduler == entry.schedulers[0] == first
    assert (entry.draft is None) == (prediction is not None)
    assert ModelEntry(key="a", name="A", path="a", prediction="v_prediction").draft is not None
