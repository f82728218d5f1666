"""A file of the transformer is completed by its own authors, and lent what all have alike."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from catalog.families.flux1 import FLUX1
from tests.engine.factories import catalog, digests, model, paint, request
from tests.engine.families.flux1.conftest import DEV
from tests.engine.families.flux1.files import authors
from tests.engine.families.flux2.files import stored, write
from tests.engine.hub_server import HubServer, contents, hub_server

pytestmark = pytest.mark.long

SCHEDULER = "scheduler/scheduler_config.json"
TRANSFORMER = "transformer/config.json"
OF_SCHNELL = "black-forest-labs/FLUX.1-schnell"
OF_DEV = "black-forest-labs/FLUX.1-dev"
LENT = ("text_encoder", "text_encoder_2", "vae")


def saying(raw: bytes, **options: Any) -> bytes:
    return json.dumps({**json.loads(raw), **options}).encode()


@pytest.fixture
def hub(folders: Path) -> Iterator[HubServer]:
    """The authors' repositories: all but the denoiser is alike, and downloaded from one."""
    dev = contents(folders / DEV)
    schnell = {
        **dev,
        SCHEDULER: saying(dev[SCHEDULER], use_dynamic_shifting=False, shift=1.0),
        TRANSFORMER: saying(dev[TRANSFORMER], guidance_embeds=False),
    }
    dev |= {name: b"never downloaded" for name in dev if name.endswith(".safetensors")}
    with hub_server() as server:
        server.repositories |= {OF_DEV: dev, OF_SCHNELL: schnell}
        yield server


@pytest.fixture
def own(tmp_path: Path, hub: HubServer) -> Iterator[Engine]:
    engine = Engine(
        models_dir=tmp_path / "models",
        hashes_file=tmp_path / "h.json",
        memory="full",
        weights="full",
        hub_endpoint=hub.url,
    )
    yield engine
    engine.close()


def test_dev_has_its_own_configuration_and_schnells_text_encoders(
    own: Engine, painter: Engine, hub: HubServer, folders: Path, tmp_path: Path
) -> None:
    file = write(tmp_path / "flux1-dev.safetensors", authors(stored(folders / DEV, "transformer")))
    asked = request(model="x", guidance=3.5, steps=2)
    found = paint(own, asked, catalog([model("x", str(file), family=FLUX1)]))
    recipe = found.recipe
    assert (recipe.variant, recipe.config) == (None, OF_DEV)  # the plain one has no name
    assert [part.name for part in recipe.parts] == [f"{OF_SCHNELL}/{name}" for name in LENT]
    whole = paint(painter, asked, catalog([model("x", DEV, family=FLUX1)]))
    assert digests(found) == digests(whole)
    fetched = [name for name in hub.fetched() if name.endswith(".safetensors")]
    assert sorted(name.partition("/")[0] for name in fetched) == [*LENT]
