"""What `check`, `/models` and `GET /models` say of a model of which only a part is here."""

import json
from collections.abc import Collection
from pathlib import Path

import pytest

from catalog.families import FAMILIES, TEXT_ENCODER, VAE
from tests.catalog.home import ONE_MODEL, Home, checkpoint_bytes
from tests.catalog.test_judging import SDXL_UNET
from tests.catalog.test_vaes import MODEL_OF
from tests.cli.test_networks import FOUND, Said, told

LATER: Said = ("model far: downloaded at first use", " · downloads on first use", (False, []))
SNAPSHOT = "hub/models--org--far/snapshots/abc"
USUAL = "hub/models--Tongyi-MAI--Z-Image-Turbo/snapshots/abc"
"""Of the repository that completes a Turbo, and lends it what it lacks."""
ALONE = {"cap_pad_token": [1, 1], "noise_refiner.0.attention.k_norm.weight": [1]}
WHOLE = {
    **{f"model.diffusion_model.{name}": shape for name, shape in ALONE.items()},
    "text_encoders.qwen3_4b.transformer.model.norm.weight": [1],
    "vae.decoder.conv_in.weight": [1, 16, 3, 3],
}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def incomplete(field: str, folder: Path, lacks: str) -> Said:
    problem = f"{field} '{folder}' is incomplete: it lacks {lacks}"
    return f"model far: {problem}", " · currently unavailable", (False, [problem])


def in_layout(home: Home, path: str, family: str, networks: Collection[str] | None) -> Path:
    """A model in diffusers' layout of which the weights of only these networks are there."""
    folder = home.models_dir / path
    home.put(folder / FAMILIES[family].files.index, json.dumps(MODEL_OF[family]).encode())
    if unet := {"sdxl": SDXL_UNET, "sd15": {"cross_attention_dim": 768}}.get(family):
        home.put(folder / "unet/config.json", json.dumps(unet).encode())
    return home.pipeline(path, family, networks)


def written(home: Home, path: str, *fields: str) -> None:
    lines = (f'path = "{path}"', *fields)
    home.write(f'{ONE_MODEL}[models.far]\nname = "Far"\n' + "\n".join(lines) + "\n")


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_repository_is_here_once_all_its_weights_are(home: Home, family: str) -> None:
    """Its configurations are, as soon as they complete a file of another."""
    written(home, "org/far", f'variant = "{FAMILIES[family].variants[0].name}"')
    networks = [*FAMILIES[family].files.weights]
    for number in range(len(networks) + 1):
        in_layout(home, SNAPSHOT, family, networks[:number])
        assert await told(home, home.read()) == (LATER if number < len(networks) else FOUND)


async def test_a_repository_lacks_nothing_that_another_replaces(home: Home) -> None:
    in_layout(home, SNAPSHOT, "sdxl", ("unet", "text_encoder", "text_encoder_2"))
    home.put(
        home.models_dir / "vae.safetensors",
        checkpoint_bytes({"decoder.conv_in.weight": [1, 4, 3, 3]}),
    )
    written(home, "org/far")
    assert await told(home, home.read()) == LATER
    written(home, "org/far", 'vae_path = "vae.safetensors"')
    assert await told(home, home.read()) == FOUND


async def test_of_a_folder_of_ones_own_what_is_missing_is_said(home: Home) -> None:
    folder = in_layout(home, "far", "sdxl", ("unet", "text_encoder", "vae"))
    written(home, "far")
    missing = incomplete("path", folder, "the weights of text_encoder_2")
    assert await told(home, home.read()) == missing
    home.weights("far/text_encoder_2/model-00002-of-00002.safetensors")
    shard = "text_encoder_2/model-00001-of-00002.safetensors"
    assert await told(home, home.read()) == incomplete("path", folder, shard)
    home.weights(f"far/{shard}")
    assert await told(home, home.read()) == FOUND
    (folder / "tokenizer/tokenizer_config.json").unlink()
    missing = incomplete("path", folder, "the configuration of tokenizer")
    assert await told(home, home.read()) == missing


@pytest.mark.parametrize(
    ("shapes", "needed"), [(ALONE, (TEXT_ENCODER, VAE)), (WHOLE, ())], ids=["alone", "whole"]
)
async def test_what_completes_a_file_is_here_once_it_has_all_that_the_file_lacks(
    home: Home, shapes: dict[str, list[int]], needed: tuple[str, ...]
) -> None:
    home.put(home.models_dir / "far_turbo.safetensors", checkpoint_bytes(shapes))
    written(home, "far_turbo.safetensors")
    assert await told(home, home.read()) == LATER
    home.put(home.models_dir / USUAL / "model_index.json", b"{}")
    assert await told(home, home.read()) == LATER
    for number in range(len(needed) + 1):
        home.pipeline(USUAL, "zimage", needed[:number])
        assert await told(home, home.read()) == (LATER if number < len(needed) else FOUND)


async def test_a_configuration_of_ones_own_has_to_have_what_the_file_lacks(home: Home) -> None:
    home.put(home.models_dir / "far_turbo.safetensors", checkpoint_bytes(ALONE))
    folder = home.pipeline("own", "zimage", (TEXT_ENCODER,))
    written(home, "far_turbo.safetensors", 'config = "own"')
    missing = incomplete("config", folder, "the weights of vae")
    assert await told(home, home.read()) == missing
    home.weights("own/vae/diffusion_pytorch_model.safetensors")
    assert await told(home, home.read()) == FOUND
    (folder / "vae/diffusion_pytorch_model.safetensors").unlink()
    home.put(home.models_dir / "far_turbo.safetensors", checkpoint_bytes(WHOLE))
    assert await told(home, home.read()) == FOUND
