"""A file of the transformer is sampled as its variant, and lent what both variants have alike."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.engine import Engine
from bot.recipe import Recipe
from tests.engine.factories import catalog, digests, paint, request
from tests.engine.families.flux2.files import stored, write
from tests.engine.families.krea2.conftest import RAW, TURBO, entry
from tests.engine.families.krea2.files import authors
from tests.engine.hub_server import HubServer, contents, hub_server

pytestmark = pytest.mark.long

SOURCES = {"turbo": "krea/Krea-2-Turbo", "raw": "krea/Krea-2-Raw"}


@pytest.fixture
def hub(folders: Path) -> Iterator[HubServer]:
    """The authors' repositories; of Raw's, what must not be read."""
    turbo, raw = (contents(folders / name) for name in (TURBO, RAW))
    raw |= {name: b"never downloaded" for name in raw if name.endswith(".safetensors")}
    with hub_server() as server:
        server.repositories |= {SOURCES["turbo"]: turbo, SOURCES["raw"]: raw}
        yield server


def test_each_has_its_own_noise_levels_and_both_one_text_encoder(
    tmp_path: Path, hub: HubServer, folders: Path
) -> None:
    file = write(tmp_path / "krea.safetensors", authors(stored(folders / TURBO, "transformer")))
    engine = Engine(
        models_dir=tmp_path / "models", hashes_file=tmp_path / "h.json", hub_endpoint=hub.url
    )
    there = catalog([entry(file, key, variant=key) for key in SOURCES])
    painted = {
        key: paint(engine, request(model=key, guidance=1.0, steps=2), there) for key in SOURCES
    }
    whole = catalog([entry(folders / TURBO)])
    wanted = paint(engine, request(model="x", guidance=1.0, steps=2), whole)
    engine.close()
    for variant, shift in (("turbo", 1.15), ("raw", 0.5)):
        recipe = painted[variant].recipe
        assert recipe.scheduler["base_shift"] == shift
        assert (recipe.variant, recipe.config) == (variant, SOURCES[variant])
        lent = [part.name for part in recipe.parts]
        assert lent == [f"{SOURCES['turbo']}/{name}" for name in ("text_encoder", "vae")]
        assert Recipe.from_dict(recipe.to_dict()) == recipe
    assert digests(painted["turbo"]) == digests(wanted) != digests(painted["raw"])
    fetched = sorted(name for name in hub.fetched() if name.endswith(".safetensors"))
    assert fetched == [
        "text_encoder/model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
    ]
