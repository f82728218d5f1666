"""A file of the transformer is sampled as its variant, and lent what all variants have alike."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from bot.engine.networks import ModelFiles
from bot.engine.sources import Source
from bot.order import order_of
from bot.recipe import Recipe
from catalog.families.zimage import ZIMAGE
from tests.engine.factories import catalog, digests, model, ordered, paint, request
from tests.engine.families.flux2.files import stored, write
from tests.engine.families.zimage.conftest import TURBO
from tests.engine.families.zimage.files import authors
from tests.engine.hub_server import HubServer, contents, hub_server
from tests.parameters import mostly_long

pytestmark = pytest.mark.long

SCHEDULER = "scheduler/scheduler_config.json"
VAE_CONFIG = "vae/config.json"
SHIFTS = {"turbo": 3.0, "base": 6.0}
SOURCES = {"turbo": "Tongyi-MAI/Z-Image-Turbo", "base": "Tongyi-MAI/Z-Image"}
ASKED = {key: request(model=key, guidance=1.0, steps=2) for key in (*SHIFTS, "whole")}


def shifted(raw: bytes, shift: float) -> bytes:
    return json.dumps({**json.loads(raw), "shift": shift}).encode()


@pytest.fixture
def hub(folders: Path) -> Iterator[HubServer]:
    """The authors' repositories: they differ in the shift alone, and in what must not be read."""
    turbo = contents(folders / TURBO)
    base = {**turbo, SCHEDULER: shifted(turbo[SCHEDULER], 6.0)}
    base |= {name: b"never downloaded" for name in base if name.endswith(".safetensors")}
    with hub_server() as server:
        server.repositories |= {SOURCES["turbo"]: turbo, SOURCES["base"]: base}
        yield server


@pytest.fixture
def own(tmp_path: Path, hub: HubServer) -> Iterator[Engine]:
    engine = Engine(
        models_dir=tmp_path / "models", hashes_file=tmp_path / "h.json", hub_endpoint=hub.url
    )
    yield engine
    engine.close()


@pytest.fixture
def file(folders: Path, tmp_path: Path) -> Path:
    return write(tmp_path / "zimg.safetensors", authors(stored(folders / TURBO, "transformer")))


def entry(key: str, path: Path, **fields: Any) -> Any:
    return model(key, str(path), family=ZIMAGE, **fields)


def shift_of(recipe: Recipe) -> Any:
    return recipe.scheduler["shift"]


def test_each_variant_has_its_own_noise_levels_and_all_one_text_encoder(
    own: Engine, hub: HubServer, file: Path, folders: Path
) -> None:
    whole = Path(shutil.copytree(folders / TURBO, file.parent / "z-image-base"))
    scheduler = whole / SCHEDULER
    scheduler.write_bytes(shifted(scheduler.read_bytes(), 6.0))
    there = catalog([*(entry(each, file, variant=each) for each in SHIFTS), entry("whole", whole)])
    painted = {key: paint(own, asked, there) for key, asked in ASKED.items()}
    for variant, shift in SHIFTS.items():
        recipe = painted[variant].recipe
        assert shift_of(recipe) == shift
        assert (recipe.variant, recipe.config) == (variant, SOURCES[variant])
        lent = [part.name for part in recipe.parts]
        assert lent == [f"{SOURCES['turbo']}/{name}" for name in ("text_encoder", "vae")]
        assert Recipe.from_dict(recipe.to_dict()) == recipe
    assert (painted["whole"].recipe.variant, painted["whole"].recipe.config) == ("base", None)
    assert painted["turbo"].recipe.parts == painted["base"].recipe.parts
    assert digests(painted["base"]) == digests(painted["whole"])
    assert digests(painted["base"]) != digests(painted["turbo"])
    fetched = hub.fetched()
    assert sorted(name for name in fetched if name.endswith(".safetensors")) == [
        "text_encoder/model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
    ]
    assert fetched.count(SCHEDULER) == 2


@pytest.mark.parametrize(
    ("said", "fields", "shift"),
    mostly_long(
        [
            (3.0, {"variant": "base"}, 6.0),  # of the other one, whose folder lends what is lacking
            (4.0, {"variant": "base"}, 4.0),
            (6.0, {"variant": "turbo"}, 3.0),
            (3.0, {"variant": "base", "shift": 3.0}, 3.0),
        ],
        usual=2,
    ),
)
def test_a_folder_of_another_variant_lends_all_but_its_noise_levels(
    own: Engine, hub: HubServer, file: Path, folders: Path, said: float, fields: Any, shift: float
) -> None:
    lender = Path(shutil.copytree(folders / TURBO, file.parent / "lender"))
    scheduler = lender / SCHEDULER
    scheduler.write_bytes(shifted(scheduler.read_bytes(), said))
    there = catalog([entry("base", file, config=str(lender), **fields)])
    recipe = paint(own, ASKED["base"], there).recipe
    assert shift_of(recipe) == shift
    assert [part.name for part in recipe.parts] == ["lender/text_encoder", "lender/vae"]
    assert hub.asked == []


def test_an_engine_elsewhere_reads_what_is_lent_as_the_configuration_here_says(
    own: Engine, hub: HubServer, file: Path, folders: Path, tmp_path: Path
) -> None:
    """Also where that of the lender says otherwise. An engine elsewhere has the configuration in
    one folder, and each network in another, without its own."""
    usual = hub.repositories[SOURCES["base"]]
    scaled = json.dumps({**json.loads(usual[VAE_CONFIG]), "scaling_factor": 0.9}).encode()
    base = hub.repositories[SOURCES["base"]] = {**usual, VAE_CONFIG: scaled}
    there = catalog([entry("base", file, variant="base")])
    here = paint(own, ASKED["base"], there)

    config = tmp_path / "fetched/config"
    for name in (name for name in base if name.endswith((".json", ".txt"))):
        path = config / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base[name])
    lent = {}
    for network in ("text_encoder", "vae"):
        weights = tmp_path / "fetched" / network
        weights.mkdir()
        for path in (folders / TURBO / network).glob("*.safetensors"):
            shutil.copy(path, weights)
        lent[network] = str(weights)
    local = catalog([entry("base", file, variant="base", config=str(config))])
    order = replace(ordered(ASKED["base"], local), lent=lent)
    elsewhere = own.paint(order, lambda _: None, lambda: None)
    assert digests(elsewhere) == digests(here)
    assert [part.sha256 for part in elsewhere.recipe.parts] == [
        part.sha256 for part in here.recipe.parts
    ]

    (config / VAE_CONFIG).write_bytes(usual[VAE_CONFIG])
    assert digests(own.paint(order, lambda _: None, lambda: None)) != digests(here)


def test_another_file_of_the_lender_is_never_taken_for_what_it_lends(
    own: Engine, hub: HubServer, file: Path, tmp_path: Path
) -> None:
    """The authors' own file of the transformer lies beside the folders of the networks."""
    whole = {"transformer.safetensors": file.read_bytes()}
    hub.repositories[SOURCES["turbo"]] = {**hub.repositories[SOURCES["turbo"]], **whole}
    alone = entry("turbo", Path(SOURCES["turbo"]), weight_name="transformer.safetensors")
    there = catalog([alone, entry("base", file, variant="base")])
    snapshots = tmp_path / f"models/hub/models--{SOURCES['turbo'].replace('/', '--')}/snapshots"
    paint(own, ASKED["turbo"], there)
    [snapshot] = snapshots.iterdir()
    for folder in ("text_encoder", "vae"):
        shutil.rmtree(snapshot / folder)
    assert (snapshot / "transformer.safetensors").is_file()
    lent = paint(own, ASKED["base"], there).recipe.parts
    assert hashlib.sha256(file.read_bytes()).hexdigest() not in {part.sha256 for part in lent}


def test_what_is_lent_tells_one_model_from_another(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"a")
    source = Source(tmp_path, (tmp_path / "a.safetensors",))
    bare = ModelFiles(source, source, lent=("vae",))
    assert bare.fingerprint() != replace(bare, apart={"vae": source}).fingerprint()


def test_an_order_is_for_the_variant_that_its_file_is_called(tmp_path: Path) -> None:
    there = catalog([entry("base", tmp_path / "z_image_base.safetensors")])
    sent = order_of(ASKED["base"], there, lambda _: b"").model
    assert sent is not None
    assert (sent.completed_by, sent.lent_by) == (SOURCES["base"], SOURCES["turbo"])
