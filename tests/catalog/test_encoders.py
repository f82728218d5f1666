"""Whose text encoder the files of a `text_encoder_path` are, and what is said of those that do not
fit."""

import json
from pathlib import Path
from typing import Any

import pytest

from catalog import LiveCatalog
from catalog.families import FAMILIES, TEXT_ENCODER, VAE
from catalog.families.encoders import QWEN3_06B, QWEN3_4B, QWEN3_VL_4B, T5_XXL
from catalog.weight_files.gguf import BLOCKS
from tests.catalog.home import ONE_MODEL, Home, checkpoint_bytes
from tests.catalog.test_judging import LORA, SDXL_UNET, put
from tests.catalog.test_vaes import MODEL_OF
from tests.gguf_files import SIZES, written

WIDTHS = {
    QWEN3_4B: 2560,
    QWEN3_06B: 1024,
    "Qwen3-8B": 4096,
    QWEN3_VL_4B: 2560,
    T5_XXL: 4096,
}
READING = tuple(key for key, family in FAMILIES.items() if family.encoder)


def shapes_of(kind: str) -> dict[str, list[int]]:
    """The first tensors of that encoder; only what identifies it, with rows as short as can be."""
    if kind == T5_XXL:
        return {
            "shared.weight": [1, WIDTHS[kind]],
            "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": [1, 1],
            "encoder.block.0.layer.1.DenseReluDense.wi_0.weight": [1, 1],
        }
    within = "model.language_model." if kind == QWEN3_VL_4B else "model."
    return {
        f"{within}embed_tokens.weight": [1, WIDTHS[kind]],
        f"{within}layers.0.self_attn.q_norm.weight": [1],
        f"{within}layers.0.mlp.gate_proj.weight": [1, 1],
    }


def packed(kind: str) -> dict[str, Any]:
    """The same in the names of llama.cpp."""
    if kind == T5_XXL:
        return {
            "token_embd.weight": ("F32", (1, WIDTHS[kind]), bytes(4 * WIDTHS[kind])),
            "enc.blk.0.attn_rel_b.weight": ("F32", (1, 1), bytes(4)),
            "enc.blk.0.ffn_gate.weight": ("F32", (1, 1), bytes(4)),
        }
    return {
        "token_embd.weight": ("F32", (1, WIDTHS[kind]), bytes(4 * WIDTHS[kind])),
        "blk.0.attn_q_norm.weight": ("F32", (1,), bytes(4)),
        "blk.0.ffn_gate.weight": ("F32", (1, 1), bytes(4)),
    }


def config_of(kind: str) -> dict[str, Any]:
    if kind == T5_XXL:
        return {"model_type": "t5", "d_model": WIDTHS[kind]}
    if kind == QWEN3_VL_4B:
        return {"model_type": "qwen3_vl", "text_config": {"hidden_size": WIDTHS[kind]}}
    return {"model_type": "qwen3", "hidden_size": WIDTHS[kind]}


def catalog_with(home: Home, family: str, encoder: str) -> Any:
    """A catalog with a model `far` of the family that has the text encoder at that path."""
    index = "modular_model_index.json" if family == "anima" else "model_index.json"
    home.put(home.models_dir / "far" / index, json.dumps(MODEL_OF[family]).encode())
    unet = {"cross_attention_dim": 768} if family == "sd15" else SDXL_UNET
    home.put(home.models_dir / "far/unet/config.json", json.dumps(unet).encode())
    home.pipeline("far", family)
    variant = FAMILIES[family].variants[-1].name
    fields = f'path = "far"\nvariant = "{variant}"\ntext_encoder_path = "{encoder}"\n'
    home.write(f'{ONE_MODEL}[models.far]\nname = "Far"\n{fields}')
    return home.read()


def unfit_encoder(home: Home, family: str, encoder: str) -> str:
    """Why the model cannot be used with the text encoder at that path; "" if it can."""
    read = catalog_with(home, family, encoder)
    assert not read.problems
    assert read.models["far"].family is FAMILIES[family]
    return str(read.unfit_models.get("far", ""))


@pytest.mark.parametrize("layout", ["file", "gguf", "folder", "pipeline"])
@pytest.mark.parametrize("kind", WIDTHS)
@pytest.mark.parametrize("family", READING)
def test_a_text_encoder_of_another_model_is_refused_by_name(
    home: Home, family: str, kind: str, layout: str
) -> None:
    path = {"file": "e.safetensors", "gguf": "e.gguf", "folder": "e", "pipeline": "p"}[layout]
    within = {"folder": "e/", "pipeline": "p/text_encoder/"}.get(layout, "")
    if layout == "gguf":
        stated = {T5_XXL: "t5encoder", QWEN3_VL_4B: "qwen3vl"}.get(kind, "qwen3")
        written(home.models_dir / path, packed(kind), metadata={"general.architecture": stated})
    else:
        put(home, f"{within}model.safetensors" if within else path, shapes_of(kind))
    if within:
        home.put(home.models_dir / within / "config.json", json.dumps(config_of(kind)).encode())
    needed = FAMILIES[family].encoder
    wanted = (
        f"{path} is a text encoder ({kind}); text_encoder_path of far must be {needed} for"
        f" {FAMILIES[family].name}, or left out for the usual one"
    )
    assert unfit_encoder(home, family, path) == ("" if needed == kind else wanted)


@pytest.mark.parametrize("family", [key for key in FAMILIES if key not in READING])
def test_a_family_with_clip_takes_none(home: Home, family: str) -> None:
    put(home, "e.safetensors", shapes_of(QWEN3_4B))
    read = catalog_with(home, family, "e.safetensors")
    (problem,) = read.problems
    assert str(problem).endswith(
        f"text_encoder_path is not for a {FAMILIES[family].name} model, got 'e.safetensors'"
    )
    assert "far" not in read.models


def test_a_model_that_is_not_here_has_to_say_its_family(home: Home) -> None:
    fields = '[models.far]\nname = "Far"\npath = "org/far"\ntext_encoder_path = "e.gguf"\n'
    home.write(f"{ONE_MODEL}{fields}")
    (problem,) = home.read().problems
    assert str(problem).endswith(
        "; if it is one of another family that is not here yet, write its family"
    )
    home.write(f'{ONE_MODEL}{fields}family = "anima"\nvariant = "base"\n')
    assert home.read().problems == ()


@pytest.mark.parametrize(
    ("config", "what"),
    [
        ({}, ""),
        (config_of(QWEN3_4B), ""),
        # Whether it is as wide as the model's own, the engine knows.
        ({**config_of(QWEN3_4B), "hidden_size": 5120}, ""),
        (config_of(QWEN3_06B), "text encoder (Qwen3-0.6B)"),
        ({"model_type": "qwen3_vl"}, "text encoder (Qwen3-VL)"),
        ({"model_type": "t5", "d_model": 1024}, "text encoder (T5)"),
        ({"model_type": "umt5", "d_model": 4096}, "text encoder of the type umt5"),
        ({"model_type": "qwen3_vl", "text_config": "x"}, "text encoder (Qwen3-VL)"),
        (config_of(QWEN3_VL_4B), "text encoder (Qwen3-VL-4B)"),
        ({"model_type": ["**@everyone"]}, "text encoder of the type everyone"),
        ({"_class_name": "AutoencoderKL"}, "folder of the class AutoencoderKL"),
        ("[]", "folder that cannot be read (config.json is not a JSON object)"),
    ],
)
def test_its_configuration_is_judged_as_well(home: Home, config: Any, what: str) -> None:
    """Of weights that would fit, and of shards, which are not judged one by one."""
    raw = config if isinstance(config, str) else json.dumps(config)
    home.put(home.models_dir / "e/config.json", raw.encode())
    for name in ("model.safetensors", "model-00002-of-00002.safetensors"):
        put(home, f"e/{name}", shapes_of(QWEN3_4B))
        said = unfit_encoder(home, "zimage", "e")
        article = "a" if what.startswith(("t", "f")) else ""
        assert said.partition(";")[0] == (f"e is {article} {what}" if what else "")


ADVICE = "use a version of it in fp16, bf16, fp8, or one of the GGUF types that are read"


@pytest.mark.parametrize("layout", ["file", "folder"])
def test_one_that_is_quantised_in_a_way_that_is_not_read_is_refused(
    home: Home, layout: str
) -> None:
    path = "e" if layout == "folder" else "e.safetensors"
    file = "e/m.safetensors" if layout == "folder" else path
    nvfp4 = {"model.layers.0.mlp.gate_proj.weight_scale_2": [1]}
    put(home, file, {**shapes_of(QWEN3_4B), **nvfp4})
    if layout == "folder":
        home.put(home.models_dir / "e/config.json", json.dumps(config_of(QWEN3_4B)).encode())
    assert unfit_encoder(home, "zimage", path) == (
        f"{path} is a text encoder (Qwen3-4B) (its weights cannot be read: they are quantised with"
        f" NVFP4 (model.layers.0.mlp.gate_proj.weight_scale_2)); {ADVICE}"
    )
    # One of another model is called that first.
    put(home, file, {**shapes_of(QWEN3_06B), **nvfp4})
    assert "must be Qwen3-4B" in unfit_encoder(home, "zimage", path)


@pytest.mark.parametrize("name", ["IQ4_XS", "IQ4_NL", "Q3_K", "Q2_K"])
def test_one_packed_in_a_way_that_is_not_read_is_refused(home: Home, name: str) -> None:
    numbers, size = SIZES[name]
    gate = {"blk.0.ffn_gate.weight": (name, (1, numbers), bytes(size))}
    written(home.models_dir / "e.gguf", {**packed(QWEN3_4B), **gate})
    assert unfit_encoder(home, "zimage", "e.gguf") == (
        "e.gguf is a text encoder (Qwen3-4B) (its weights cannot be read: blk.0.ffn_gate.weight is"
        f" of type {name}; known are {', '.join(BLOCKS)}); {ADVICE}"
    )


@pytest.mark.parametrize("said", [{}, config_of(QWEN3_4B)])
def test_one_whose_configuration_names_a_quantisation_is_refused(
    home: Home, said: dict[str, Any]
) -> None:
    config = {**said, "quantization_config": {"quant_method": "bitsandbytes"}}
    home.put(home.models_dir / "e/config.json", json.dumps(config).encode())
    assert unfit_encoder(home, "zimage", "e") == (
        "e is a text encoder (Qwen3-4B) (its weights cannot be read: they are quantised with"
        f" bitsandbytes (quantization_config)); {ADVICE}"
    )


def test_one_among_the_checkpoints_that_is_not_read_is_not_to_be_named(home: Home) -> None:
    nvfp4 = {"model.layers.0.mlp.gate_proj.weight_scale_2": [1]}
    put(home, "checkpoints/qwen.safetensors", {**shapes_of(QWEN3_4B), **nvfp4})
    home.write(ONE_MODEL)
    assert str(home.read().unfit_models["qwen"]) == (
        "qwen.safetensors is a text encoder (Qwen3-4B); name a version of it in fp16, bf16, fp8, or"
        " one of the GGUF types that are read as text_encoder_path of a model in models.toml"
        " instead"
    )


def test_what_is_no_text_encoder_is_refused_by_name(home: Home) -> None:
    put(home, "lora.safetensors", LORA)
    put(home, "gemma.safetensors", {"model.embed_tokens.weight": [1, 2560]})
    for file, what in (
        ("lora.safetensors", "lora.safetensors is a LoRA"),
        ("gemma.safetensors", "gemma.safetensors is a text encoder (language model)"),
    ):
        assert unfit_encoder(home, "zimage", file).partition(";")[0] == what


def test_both_of_the_networks_of_an_entry_are_judged(home: Home) -> None:
    put(home, "e.safetensors", shapes_of(QWEN3_06B))
    put(home, "v.safetensors", {"decoder.conv_in.weight": [1, 16, 3, 3]})
    fields = 'e.safetensors"\nvae_path = "v.safetensors'
    assert unfit_encoder(home, "zimage", fields).startswith("e.safetensors is a text encoder")
    put(home, "v.safetensors", LORA)
    assert unfit_encoder(home, "zimage", fields).startswith("v.safetensors is a LoRA")


def test_one_that_changes_is_judged_again(home: Home) -> None:
    config = home.models_dir / "e/config.json"
    home.put(config, json.dumps(config_of(QWEN3_4B)).encode())
    file = put(home, "e/model.safetensors", shapes_of(QWEN3_4B))
    assert not unfit_encoder(home, "zimage", "e")
    live = LiveCatalog(home.catalog_dir, home.models_dir)
    assert live.current.unfit_models == {}
    assert not live.refresh()
    home.put(config, json.dumps(config_of("Qwen3-8B")).encode())
    assert live.refresh()
    unfit = live.current.unfit_models["far"]
    assert (unfit.what, unfit.encoder_for) == ("text encoder (Qwen3-8B)", FAMILIES["zimage"])
    assert unfit.family is FAMILIES["zimage"]
    home.put(config, json.dumps(config_of(QWEN3_4B)).encode())
    home.put(file, checkpoint_bytes(shapes_of(QWEN3_06B)))
    assert live.refresh()
    assert live.current.unfit_models["far"].what == "text encoder (Qwen3-0.6B)"


def test_one_of_a_repository_that_is_here_is_judged(home: Home) -> None:
    place = "hub/models--org--encoder/snapshots/abc"
    home.put(home.models_dir / place / "config.json", json.dumps(config_of(QWEN3_4B)).encode())
    assert unfit_encoder(home, "anima", "org/encoder").startswith(
        "org/encoder is a text encoder (Qwen3-4B);"
    )
    assert not unfit_encoder(home, "anima", "org/other")


@pytest.mark.parametrize("kind", WIDTHS)
def test_one_among_the_checkpoints_is_told_what_it_is(home: Home, kind: str) -> None:
    put(home, "checkpoints/qwen.safetensors", shapes_of(kind))
    home.write(ONE_MODEL)
    said = str(home.read().unfit_models["qwen"])
    assert said.startswith(f"qwen.safetensors is a text encoder ({kind}); ")
    usable = "name it as text_encoder_path of a model in models.toml instead"
    assert said.endswith(usable) == (kind in {QWEN3_4B, QWEN3_06B, QWEN3_VL_4B, T5_XXL})


def test_one_that_an_entry_names_is_no_model_and_no_problem(home: Home) -> None:
    put(home, "checkpoints/qwen.safetensors", shapes_of(QWEN3_4B))
    assert not unfit_encoder(home, "zimage", "checkpoints/qwen.safetensors")
    assert "qwen" not in home.read().models


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("gone.safetensors", "text_encoder_path '{}/gone.safetensors' does not exist"),
        ("e", "text_encoder_path '{}/e' contains no config.json and no whole .safetensors or"),
        ("broken.gguf", "text_encoder_path '{}/broken.gguf' cannot be read: it does not begin"),
    ],
)
def test_what_is_not_there_or_broken_is_said(home: Home, path: str, said: str) -> None:
    from catalog import problems_of

    (home.models_dir / "e").mkdir()
    home.put(home.models_dir / "broken.gguf", b"PK\x03\x04" + bytes(100))
    entry = catalog_with(home, "zimage", path).models["far"]
    (problem,) = problems_of(entry, home.models_dir, {})
    assert problem.startswith(said.format(Path(home.models_dir)))


def test_where_it_is_counts_for_where_the_model_is(home: Home) -> None:
    """And what lends its own is not needed any more, once both are named."""
    from catalog import locate_entry

    put(home, "e.safetensors", shapes_of(QWEN3_4B))
    home.weights("v.safetensors")
    entry = catalog_with(home, "zimage", "e.safetensors").models["far"]
    both = entry.model_copy(update={"path": "e.safetensors", "vae_path": "v.safetensors"})
    one = both.model_copy(update={"vae_path": None})
    lacking = {"far": (TEXT_ENCODER, VAE)}
    home.pipeline("hub/models--Tongyi-MAI--Z-Image/snapshots/abc", "zimage", ())
    assert locate_entry(both, home.models_dir, lacking).kind == "file"
    assert locate_entry(one, home.models_dir, lacking).kind == "download"
    home.pipeline("hub/models--Tongyi-MAI--Z-Image-Turbo/snapshots/abc", "zimage", (VAE,))
    assert locate_entry(one, home.models_dir, lacking).kind == "file"
    for path, kind in (("org/encoder", "download"), ("gone", "missing")):
        far = both.model_copy(update={"text_encoder_path": path})
        assert locate_entry(far, home.models_dir, lacking).kind == kind
