"""One SD 1.5 model in every layout that circulates: the same images to the byte."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from bot.errors import JobFailed
from tests.engine.factories import configs_only, digests, paint, resident, save, single_file
from tests.engine.families.sd15.factories import TINY, catalog, model, request
from tests.engine.hub_server import hub_server
from tests.parameters import mostly_long

pytestmark = pytest.mark.long

Tensors = dict[str, Any]
TEXT = "cond_stage_model.transformer."


def painted(engine: Engine, path: Path | str, **fields: Any) -> list[str]:
    entry = model("x", str(path), **fields)
    return digests(paint(engine, request(model="x"), catalog([entry])))


def expected(engine: Engine) -> list[str]:
    return digests(paint(engine, request(), catalog()))


def refusal(engine: Engine, path: Path, **fields: Any) -> JobFailed:
    with pytest.raises(JobFailed) as failure:
        painted(engine, path, **fields)
    return failure.value


@pytest.fixture
def checkpoint(sd15_dir: Path, tmp_path: Path) -> Path:
    return single_file(sd15_dir / TINY, tmp_path / "checkpoint.safetensors")


def test_one_file_is_the_same_model(
    engine: Engine, sd15_dir: Path, checkpoint: Path, tmp_path: Path
) -> None:
    from safetensors import safe_open

    with safe_open(checkpoint, "pt") as file:
        names = {*file.keys()}
    assert "model.diffusion_model.output_blocks.2.1.conv.weight" in names
    assert f"{TEXT}text_model.final_layer_norm.weight" in names
    assert "first_stage_model.decoder.mid.attn_1.q.weight" in names
    config = configs_only(sd15_dir / TINY, tmp_path / "config")
    assert painted(engine, checkpoint, config=str(config)) == expected(engine)


def test_diffusers_reads_that_file_as_the_same_model(
    sd15_dir: Path, checkpoint: Path, tmp_path: Path, plain: Any
) -> None:
    """So that it is laid out like those that circulate."""
    import torch
    from diffusers import StableDiffusionPipeline

    config = configs_only(sd15_dir / TINY, tmp_path / "config")
    index = json.loads((config / "model_index.json").read_text("utf-8"))
    index |= {name: [None, None] for name in ("safety_checker", "feature_extractor")}
    (config / "model_index.json").write_text(json.dumps(index))
    theirs = StableDiffusionPipeline.from_single_file(
        checkpoint, config=str(config), local_files_only=True
    )
    for network in ("unet", "vae", "text_encoder"):
        ours = getattr(plain, network).state_dict()
        found = getattr(theirs, network).state_dict()
        assert {*found} == {*ours}
        assert all(torch.equal(found[name], ours[name]) for name in ours)


def renamed(old: str, new: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {
        (new + name.removeprefix(old) if name.startswith(old) else name): tensor
        for name, tensor in tensors.items()
    }


def with_strays(tensors: Tensors) -> Tensors:
    """What files have besides: schedules, a running average, positions, an unused projection."""
    import torch

    some = {name: tensor.clone() for name, tensor in tensors.items() if "input_blocks.1.0" in name}
    return {
        **tensors,
        **{f"model_ema.{n.removeprefix('model.').replace('.', '')}": t for n, t in some.items()},
        "betas": torch.ones(1000),
        "alphas_cumprod": torch.ones(1000),
        f"{TEXT}text_model.embeddings.position_ids": torch.arange(77)[None],
        f"{TEXT}text_projection.weight": torch.eye(32),
    }


def linear_attention(tensors: Tensors) -> Tensors:
    """The UNet's 1×1 convolutions as Linears, as some programs that merge models write them."""
    ends = (".proj_in.weight", ".proj_out.weight")
    return {
        name: tensor.flatten(1) if name.startswith("model.") and name.endswith(ends) else tensor
        for name, tensor in tensors.items()
    }


SPELLINGS: dict[str, Callable[[Tensors], Tensors]] = {
    "with strays": with_strays,
    "without text_model": renamed(f"{TEXT}text_model.", TEXT),
    "ComfyUI": renamed(TEXT, "text_encoders.clip_l.transformer."),
    "linear": linear_attention,
}


@pytest.mark.parametrize("spelling", mostly_long(SPELLINGS, usual=2))
def test_a_single_file_in_another_spelling(
    engine: Engine,
    checkpoint: Path,
    tmp_path: Path,
    spelling: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from safetensors.torch import load_file

    changed = SPELLINGS[spelling](load_file(checkpoint))
    path = save(tmp_path / "b.safetensors", changed)
    assert painted(engine, path, config=TINY) == expected(engine)
    assert not [record for record in caplog.records if "left out" in record.message]


def test_a_single_file_with_the_names_of_diffusers(
    engine: Engine, sd15_dir: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    tensors: Tensors = {}
    for folder in ("unet", "vae", "text_encoder"):
        (file,) = (sd15_dir / TINY / folder).glob("*.safetensors")
        tensors |= {f"{folder}.{name}": tensor for name, tensor in load_file(file).items()}
    path = save(tmp_path / "whole.safetensors", tensors)
    assert painted(engine, path, config=TINY) == expected(engine)


@pytest.mark.parametrize("layout", mostly_long(["file", "folder"], usual=1))
@pytest.mark.parametrize("embedded", [True, False])
def test_a_vae_of_its_own_replaces_the_checkpoints(
    engine: Engine, sd15_dir: Path, checkpoint: Path, tmp_path: Path, layout: str, embedded: bool
) -> None:
    """And stands in for one that the file has not got."""
    from safetensors.torch import load_file

    other = sd15_dir / "sd15-other"
    vae = other / "vae"
    if layout == "file":
        both = load_file(single_file(other, tmp_path / "both.safetensors", vae_prefix=""))
        alone = {n: t for n, t in both.items() if not n.startswith(("model.", "cond_stage_model."))}
        vae = save(tmp_path / "vae.safetensors", alone)
    if not embedded:
        kept = load_file(checkpoint)
        kept = {n: t for n, t in kept.items() if not n.startswith("first_stage_model.")}
        checkpoint = save(tmp_path / "without.safetensors", kept)
    mixed = Path(shutil.copytree(sd15_dir / TINY, tmp_path / "mixed"))
    shutil.rmtree(mixed / "vae")
    shutil.copytree(other / "vae", mixed / "vae")
    found = painted(engine, checkpoint, config=TINY, vae_path=str(vae))
    assert found == painted(engine, mixed) != expected(engine)


def test_a_repository_is_fetched_without_its_safety_checker(
    engine: Engine, sd15_dir: Path, tmp_path: Path
) -> None:
    folder = sd15_dir / TINY
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    extra = {
        "safety_checker/config.json": b"{}",
        "safety_checker/model.safetensors": b"x",
        "feature_extractor/preprocessor_config.json": b"{}",
        "v1-5-pruned-emaonly.safetensors": b"x",
    }
    with hub_server() as hub:
        hub.repositories["org/model"] = files | extra
        own = Engine(
            models_dir=tmp_path / "models", hashes_file=tmp_path / "h.json", hub_endpoint=hub.url
        )
        assert painted(own, "org/model") == expected(engine)
        assert {*hub.fetched()} == {*files}
        own.close()


OTHERS: dict[str, tuple[str, tuple[int, ...]]] = {
    "SD 2 checkpoint": ("attn2.to_k.weight", (64, 1024)),
    "inpainting": ("input_blocks.0.0.weight", (32, 9, 3, 3)),
}
"""Ends of names of tensors, and the shape by which they are another model's."""


@pytest.mark.parametrize("kind", OTHERS)
def test_a_file_of_another_model_is_said(
    engine: Engine, checkpoint: Path, tmp_path: Path, kind: str
) -> None:
    import torch
    from safetensors.torch import load_file

    tensors = load_file(checkpoint)
    end, shape = OTHERS[kind]
    for name in [name for name in tensors if name.endswith(end)]:
        tensors[name] = torch.zeros(shape)
    failure = refusal(engine, save(tmp_path / "x.safetensors", tensors), config=TINY)
    assert failure.code == "model.other_family"
    assert failure.params["family"] == "Stable Diffusion 1.5"
    assert kind in str(failure.params["what"])


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"cross_attention_dim": 1024}, "SD 2 model"),
        ({"in_channels": 9}, "SD 1.5 inpainting model"),
        ({"addition_embed_type": "text_time"}, "SDXL model"),
    ],
)
def test_a_folder_of_another_model_is_said(
    engine: Engine, sd15_dir: Path, tmp_path: Path, fields: dict[str, Any], what: str
) -> None:
    folder = Path(shutil.copytree(sd15_dir / TINY, tmp_path / "other"))
    file = folder / "unet" / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), **fields}))
    failure = refusal(engine, folder)
    assert failure.code == "model.other_family"
    assert what in str(failure.params["what"])


def test_a_model_that_takes_the_guidance_as_an_input_is_refused(
    engine: Engine, sd15_dir: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(sd15_dir / TINY, tmp_path / "lcm"))
    file = folder / "unet" / "config.json"
    config = {**json.loads(file.read_text("utf-8")), "time_cond_proj_dim": 256}
    file.write_text(json.dumps(config))
    failure = refusal(engine, folder)
    assert failure.code == "model.other_family"
    assert "guidance-distilled" in str(failure.params["what"])


def test_sdxl_is_no_sd_15_and_the_other_way_round(engine: Engine, sd15_dir: Path) -> None:
    from tests.engine import factories

    assert refusal(engine, sd15_dir / "tiny").code == "model.other_family"
    entry = factories.model("x", str(sd15_dir / TINY))
    with pytest.raises(JobFailed) as failure:
        paint(engine, request(model="x"), factories.catalog([entry]))
    assert failure.value.code in {"model.other_family", "model.incomplete"}


def test_its_vae_computes_in_16_bits_whatever_its_configuration_says(
    sd15_dir: Path, tmp_path: Path
) -> None:
    """diffusers writes `force_upcast` into every VAE's, and only SDXL's pipelines read it."""
    import torch

    config = json.loads((sd15_dir / TINY / "vae" / "config.json").read_text("utf-8"))
    assert config["force_upcast"] is True
    engine = Engine(models_dir=sd15_dir, hashes_file=tmp_path / "h.json", dtype="float16")
    painting = paint(engine, request(steps=1), catalog())
    assert resident(engine).vae.dtype == resident(engine).denoiser.dtype == torch.float16
    assert painting.recipe.environment["dtype"] == "float16"
    engine.close()


def test_published_configurations_pass() -> None:
    """Of stable-diffusion-v1-5/stable-diffusion-v1-5, and with what newer programs write."""
    from bot.engine.families import FAMILIES
    from bot.engine.subject import Subject

    checked = FAMILIES["sd15"].checked_config
    subject = Subject("model", "x", lambda _: None, lambda: None)
    unet = {
        "_class_name": "UNet2DConditionModel", "_diffusers_version": "0.6.0", "act_fn": "silu",
        "attention_head_dim": 8, "block_out_channels": [320, 640, 1280, 1280],
        "center_input_sample": False, "cross_attention_dim": 768,
        "down_block_types": [*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"],
        "downsample_padding": 1, "flip_sin_to_cos": True, "freq_shift": 0, "in_channels": 4,
        "layers_per_block": 2, "mid_block_scale_factor": 1, "norm_eps": 1e-05,
        "norm_num_groups": 32, "out_channels": 4, "sample_size": 64,
        "up_block_types": ["UpBlock2D", *["CrossAttnUpBlock2D"] * 3],
    }  # fmt: skip
    newer = {
        "addition_embed_type": None, "addition_embed_type_num_heads": 64,
        "addition_time_embed_dim": None, "projection_class_embeddings_input_dim": None,
        "time_cond_proj_dim": None, "use_linear_projection": False, "upcast_attention": False,
        "transformer_layers_per_block": 1, "encoder_hid_dim_type": None,
    }  # fmt: skip
    assert checked("unet", unet, subject) == {k: v for k, v in unet.items() if k[0] != "_"}
    assert checked("unet", unet | newer, subject)["addition_embed_type_num_heads"] == 64
    vae = {
        "_class_name": "AutoencoderKL", "_diffusers_version": "0.6.0", "act_fn": "silu",
        "block_out_channels": [128, 256, 512, 512], "down_block_types": ["DownEncoderBlock2D"] * 4,
        "in_channels": 3, "latent_channels": 4, "layers_per_block": 2, "norm_num_groups": 32,
        "out_channels": 3, "sample_size": 512, "up_block_types": ["UpDecoderBlock2D"] * 4,
    }  # fmt: skip
    assert checked("vae", vae, subject) == {k: v for k, v in vae.items() if k[0] != "_"}
