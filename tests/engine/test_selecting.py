"""Which files stand for a network that replaces a model's own, by their names."""

from typing import Any

import pytest

from bot.engine.selecting import (
    Unfit,
    checkpoint_files,
    config_files,
    control_files,
    depth_files,
    detector_files,
    replacing_files,
)
from catalog.families import FAMILIES

ENCODER = ("text_encoder", "model")
QUANTS = ("Qwen3-4B-Q4_K_M.gguf", "Qwen3-4B-Q8_0.gguf")
WHOLE = "diffusion_pytorch_model"
DEEP = "split_files/text_encoders/qwen_3_4b.safetensors"


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (("config.json", "model.safetensors", *QUANTS), ("config.json", "model.safetensors")),
        (("config.json", "odd.safetensors"), ("config.json", "odd.safetensors")),
        (("config.json", "README.md", QUANTS[0]), QUANTS[:1]),
        ((QUANTS[0], DEEP), QUANTS[:1]),
        (
            ("config.json", "text_encoder/config.json", "text_encoder/model.safetensors"),
            ("text_encoder/config.json", "text_encoder/model.safetensors"),
        ),
    ],
)
def test_the_files_are_those_of_a_layout_or_the_only_one(
    names: tuple[str, ...], chosen: tuple[str, ...]
) -> None:
    assert replacing_files(names, *ENCODER, half=True) == chosen


def refused(*names: str, network: str = "text_encoder", base: str = "model") -> Any:
    with pytest.raises(Unfit) as refusal:
        replacing_files(names, network, base, half=True)
    return refusal.value.codes, refusal.value.params


@pytest.mark.parametrize("beside", [(), ("config.json",), ("README.md", DEEP)])
def test_of_several_files_none_is_guessed(beside: tuple[str, ...]) -> None:
    wanted = {"field": "text_encoder_path", "files": ", ".join(QUANTS)}
    assert refused(*QUANTS, *beside) == (("model.choose_network",), wanted)


def test_files_in_folders_are_named_those_of_the_network_first() -> None:
    other = "split_files/diffusion_models/z_image.safetensors"
    assert refused(other, DEEP, "README.md") == (
        ("model.choose_network",),
        {"field": "text_encoder_path", "files": f"{DEEP}, {other}"},
    )
    vae = "split_files/vae/ae.safetensors"
    found = refused(other, DEEP, vae, network="vae", base="diffusion_pytorch_model")
    assert found[1] == {"field": "vae_path", "files": f"{vae}, {other}, {DEEP}"}


def test_the_only_folder_that_is_a_whole_network_is_named() -> None:
    inner = ("qwen/config.json", *(f"qwen/model-0000{n}-of-00002.safetensors" for n in (1, 2)))
    wanted = (("model.inside",), {"field": "text_encoder_path", "inside": "qwen"})
    assert refused(*inner, "README.md", "other/config.json") == wanted
    assert refused(*inner[:2])[0] == ("model.choose_network",)
    twice = [name.replace("qwen", "other") for name in inner]
    assert refused(*inner, *twice)[0] == ("model.choose_network",)
    assert refused(*inner, *QUANTS)[0] == ("model.choose_network",)


def test_the_only_folder_that_is_a_whole_model_is_named_whatever_its_family() -> None:
    files = FAMILIES["zimage"].files
    whole = [files.index, "scheduler/scheduler_config.json", "tokenizer/tokenizer_config.json"]
    whole += [f"{network}/config.json" for network in files.weights]
    whole += [f"{network}/{base}.safetensors" for network, base in files.weights.items()]
    inner = [f"real/{name}" for name in whole]

    def refusal(*names: str) -> Unfit:
        with pytest.raises(Unfit) as raised:
            checkpoint_files(names, FAMILIES["sdxl"].files, None, half=True)
        return raised.value

    found = refusal(*inner, "README.md", "notes/one.txt")
    assert (found.codes, found.params) == (("model.inside",), {"field": "path", "inside": "real"})
    for names in (inner[:-1], [*inner, *(f"copy/{name}" for name in whole)]):
        assert refusal(*names).codes[0] == "model.no_safetensors"


def test_what_has_no_weights_says_so() -> None:
    assert refused("config.json", "model.bin") == (("model.no_safetensors",), {})
    pipeline = ("text_encoder/config.json", "transformer/model.safetensors")
    codes, params = refused(*pipeline)
    assert (codes[0], params) == ("model.incomplete", {"part": "text_encoder"})


def test_a_configuration_without_its_index_is_incomplete() -> None:
    files = FAMILIES["sd15"].files
    parts = [f"{part}/config.json" for part in ("text_encoder", "unet", "vae")]
    parts += ["scheduler/scheduler_config.json", "tokenizer/tokenizer_config.json"]
    assert set(config_files([*parts, files.index], files)) == {*parts, files.index}
    with pytest.raises(Unfit) as refusal:
        config_files(parts, files)
    assert refusal.value.params == {"part": "model_index.json"}


def test_the_vocabulary_of_a_tokenizer_belongs_to_its_configuration() -> None:
    files = FAMILIES["chroma"].files
    parts = [f"{part}/config.json" for part in files.weights]
    parts += [files.index, "scheduler/scheduler_config.json", "tokenizer/tokenizer_config.json"]
    there = [*parts, "tokenizer/spiece.model"]
    assert set(config_files([*there, "vae/a.model", "tokenizer/a.model"], files)) == {*there}


@pytest.mark.parametrize(
    ("names", "named", "chosen"),
    [
        (("a.safetensors", "README.md"), None, ("a.safetensors",)),
        (("a.safetensors", "b.safetensors"), "b.safetensors", ("b.safetensors",)),
        (
            ("config.json", f"{WHOLE}.safetensors", f"{WHOLE}.fp16.safetensors"),
            None,
            (f"{WHOLE}.fp16.safetensors", "config.json"),
        ),
        (
            ("config.json", f"{WHOLE}.safetensors", f"{WHOLE}.fp16.safetensors"),
            f"{WHOLE}.safetensors",
            (f"{WHOLE}.safetensors", "config.json"),
        ),
        (
            ("config.json", "config_promax.json", f"{WHOLE}_promax.safetensors"),
            f"{WHOLE}_promax.safetensors",
            (f"{WHOLE}_promax.safetensors", "config_promax.json"),
        ),
        (
            ("config.json", f"canny/{WHOLE}.safetensors", "canny/config.json"),
            f"canny/{WHOLE}.safetensors",
            (f"canny/{WHOLE}.safetensors", "canny/config.json"),
        ),
    ],
)
def test_of_a_controlnet_the_weights_and_the_configuration_beside_them(
    names: tuple[str, ...], named: str | None, chosen: tuple[str, ...]
) -> None:
    assert control_files(names, named, half=True) == chosen


def test_the_variant_of_a_controlnet_is_that_for_how_the_engine_computes() -> None:
    names = ("config.json", f"{WHOLE}.safetensors", f"{WHOLE}.fp16.safetensors")
    assert control_files(names, None, half=False) == (f"{WHOLE}.safetensors", "config.json")


@pytest.mark.parametrize(
    ("names", "named", "code"),
    [
        (("a.bin",), None, "control.no_safetensors"),
        (("config.json", "a.bin"), None, "control.no_safetensors"),
        (("a.safetensors", "b.safetensors"), None, "control.choose_file"),
        (("a.safetensors",), "b.safetensors", "control.no_such_file"),
        (("config.json", f"{WHOLE}-00001-of-00002.safetensors"), None, "control.incomplete"),
    ],
)
def test_a_controlnet_that_cannot_be_chosen_says_so(
    names: tuple[str, ...], named: str | None, code: str
) -> None:
    with pytest.raises(Unfit) as refusal:
        control_files(names, named, half=True)
    assert code in refusal.value.codes


def test_what_tells_depth_is_its_configuration_and_weights() -> None:
    names = ("README.md", "config.json", "model.safetensors", "preprocessor_config.json")
    assert depth_files(names, half=True) == names[1:3]
    for lacking, code in ((names[2:], "depth.incomplete"), (names[:2], "depth.no_safetensors")):
        with pytest.raises(Unfit) as refusal:
            depth_files(lacking, half=True)
        assert code in refusal.value.codes


def test_what_finds_things_has_its_words_beside_its_weights() -> None:
    names = ("config.json", "model.safetensors", "tokenizer.json", "vocab.txt")
    assert detector_files(names, half=True) == ("config.json", "vocab.txt", "model.safetensors")
    for lacking, code in (
        (names[1:], "detector.incomplete"),
        (names[:3], "detector.incomplete"),
        ((names[0], names[3]), "detector.no_safetensors"),
    ):
        with pytest.raises(Unfit) as refusal:
            detector_files(lacking, half=True)
        assert code in refusal.value.codes
