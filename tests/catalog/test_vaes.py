"""Whose VAE the files of a `vae_path` are, and what is said of those that do not fit."""

import json
from typing import Any

import pytest

from catalog import LiveCatalog
from catalog.families import FAMILIES
from catalog.families.vaes import KL_4, KL_16, KL_32, QWEN
from tests.catalog.home import ONE_MODEL, Home, checkpoint_bytes
from tests.catalog.test_judging import SDXL_UNET, VAE, put

VAES = {
    KL_4: VAE,
    KL_16: {"decoder.conv_in.weight": [1, 16, 3, 3]},
    KL_32: {"decoder.conv_in.weight": [1, 32, 3, 3], "bn.running_mean": [128]},
    QWEN: {
        "decoder.conv1.weight": [1, 16, 3, 3, 3],
        "encoder.conv1.weight": [1, 3, 3, 3, 3],
        "decoder.middle.0.residual.0.gamma": [1, 1, 1, 1],
    },
}
CONFIGS: dict[str, dict[str, Any]] = {
    KL_4: {"_class_name": "AutoencoderKL", "latent_channels": 4},
    KL_16: {"_class_name": "AutoencoderKL", "latent_channels": 16, "scaling_factor": 0.3611},
    KL_32: {"_class_name": "AutoencoderKLFlux2"},
    QWEN: {"_class_name": "AutoencoderKLQwenImage", "z_dim": 16},
}
MODEL_OF = {
    "sdxl": {"_class_name": "StableDiffusionXLPipeline"},
    "sd15": {"_class_name": "StableDiffusionPipeline"},
    "flux2": {"_class_name": "Flux2KleinPipeline", "is_distilled": True},
    "zimage": {"_class_name": "ZImagePipeline"},
    "anima": {"_class_name": "AnimaModularPipeline"},
    "chroma": {"_class_name": "ChromaPipeline"},
    "flux1": {"_class_name": "FluxPipeline"},
    "krea2": {"_class_name": "Krea2Pipeline"},
}


def unfit_vae(home: Home, family: str, vae: str) -> str:
    """Why a model of the family cannot be used with the VAE at that path; "" if it can."""
    facts = FAMILIES[family]
    index = "modular_model_index.json" if family == "anima" else "model_index.json"
    home.put(home.models_dir / "far" / index, json.dumps(MODEL_OF[family]).encode())
    unet = {"cross_attention_dim": 768} if family == "sd15" else SDXL_UNET
    home.put(home.models_dir / "far/unet/config.json", json.dumps(unet).encode())
    home.put(home.models_dir / "far/scheduler/scheduler_config.json", b"{}")
    fields = f'path = "far"\nvariant = "{facts.variants[-1].name}"\nvae_path = "{vae}"\n'
    home.write(f'{ONE_MODEL}[models.far]\nname = "Far"\n{fields}')
    read = home.read()
    assert not read.problems
    assert read.models["far"].family is facts
    return str(read.unfit_models.get("far", ""))


@pytest.mark.parametrize("layout", ["file", "folder", "pipeline"])
@pytest.mark.parametrize("kind", VAES)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_vae_of_another_family_is_refused_by_name(
    home: Home, family: str, kind: str, layout: str
) -> None:
    path = {"file": "v.safetensors", "folder": "v", "pipeline": "p"}[layout]
    within = {"file": "", "folder": "v/", "pipeline": "p/vae/"}[layout]
    put(home, f"{within}model.safetensors" if within else path, VAES[kind])
    if within:
        config = json.dumps(CONFIGS[kind]).encode()
        home.put(home.models_dir / within / "config.json", config)
    wanted = (
        f"{path} is a {kind}; vae_path of far must be a VAE for {FAMILIES[family].name},"
        " or left out if the model has its own"
    )
    assert unfit_vae(home, family, path) == ("" if FAMILIES[family].vae == kind else wanted)


@pytest.mark.parametrize(
    ("config", "what"),
    [
        ({}, ""),
        ({**CONFIGS[KL_16], "scaling_factor": 1.5305}, "VAE of SD 3"),
        ({"_class_name": "AutoencoderKL"}, KL_4),
        ({"_class_name": "AutoencoderKL", "latent_channels": 8}, "VAE of another model"),
        ({"_class_name": "AutoencoderKL", "latent_channels": [16]}, "VAE of another model"),
        ({"_class_name": "AutoencoderDC"}, "VAE of the class AutoencoderDC"),
        ({"_class_name": ["**@everyone"]}, "VAE of the class everyone"),
        ("[]", "folder that cannot be read (config.json is not a JSON object)"),
    ],
)
def test_the_configuration_of_a_vae_is_judged_as_well(home: Home, config: Any, what: str) -> None:
    """Of weights that would fit, and of several, of which the engine chooses."""
    raw = config if isinstance(config, str) else json.dumps(config)
    home.put(home.models_dir / "v/config.json", raw.encode())
    put(home, "v/model.safetensors", VAES[KL_16])
    for name in ("model.safetensors", "model.fp16.safetensors"):
        put(home, f"v/{name}", VAES[KL_16])
        said = unfit_vae(home, "zimage", "v")
        assert said.partition(";")[0] == (f"v is a {what}" if what else "")


def test_a_vae_whose_weights_are_not_read_is_refused(home: Home) -> None:
    advice = "use a version of it in fp16, bf16, fp8, or one of the GGUF types that are read"
    absmax = {"decoder.conv_in.weight.absmax": [1]}
    put(home, "v.safetensors", {**VAES[KL_16], **absmax})
    assert unfit_vae(home, "zimage", "v.safetensors") == (
        f"v.safetensors is a {KL_16} (its weights cannot be read: they are quantised with"
        f" bitsandbytes (4 bits) (decoder.conv_in.weight.absmax)); {advice}"
    )
    for said in ({}, CONFIGS[KL_16]):
        config = {**said, "quantization_config": {"quant_method": "nf4"}}
        home.put(home.models_dir / "v/config.json", json.dumps(config).encode())
        assert unfit_vae(home, "zimage", "v") == (
            f"v is a {KL_16} (its weights cannot be read: they are quantised with nf4"
            f" (quantization_config)); {advice}"
        )
    # One of another family is called that first.
    assert "must be a VAE for FLUX.2" in unfit_vae(home, "flux2", "v.safetensors")


def test_a_vae_that_changes_is_judged_again(home: Home) -> None:
    config = home.models_dir / "v/config.json"
    home.put(config, json.dumps(CONFIGS[KL_16]).encode())
    file = put(home, "v/model.safetensors", VAES[KL_16])
    assert not unfit_vae(home, "zimage", "v")
    live = LiveCatalog(home.catalog_dir, home.models_dir)
    assert live.current.unfit_models == {}
    assert not live.refresh()
    home.put(config, json.dumps(CONFIGS[QWEN]).encode())
    assert live.refresh()
    unfit = live.current.unfit_models["far"]
    assert (unfit.what, unfit.vae_for) == (QWEN, FAMILIES["zimage"])
    home.put(config, json.dumps(CONFIGS[KL_16]).encode())
    home.put(file, checkpoint_bytes(VAES[KL_32]))
    assert live.refresh()
    assert live.current.unfit_models["far"].what == KL_32


def test_a_vae_of_a_repository_that_is_here_is_judged(home: Home) -> None:
    place = "hub/models--org--vae/snapshots/abc"
    home.put(home.models_dir / place / "config.json", json.dumps(CONFIGS[KL_32]).encode())
    assert unfit_vae(home, "anima", "org/vae").startswith(f"org/vae is a {KL_32};")
    assert not unfit_vae(home, "anima", "org/other")


@pytest.mark.parametrize("kind", VAES)
def test_a_vae_among_the_checkpoints_is_told_what_it_is(home: Home, kind: str) -> None:
    put(home, "checkpoints/ae.safetensors", VAES[kind])
    home.write(ONE_MODEL)
    assert str(home.read().unfit_models["ae"]) == (
        f"ae.safetensors is a {kind}; name it as vae_path of a model in models.toml instead"
    )


def test_a_vae_that_an_entry_names_is_no_model_and_no_problem(home: Home) -> None:
    put(home, "checkpoints/ae.safetensors", VAES[KL_16])
    assert not unfit_vae(home, "zimage", "checkpoints/ae.safetensors")
    assert "ae" not in home.read().models
    # A checkpoint whose VAE another model takes is offered itself.
    home.weights("checkpoints/whole.safetensors")
    assert not unfit_vae(home, "sdxl", "checkpoints/whole.safetensors")
    assert {"ae", "whole"} <= home.read().models.keys()
