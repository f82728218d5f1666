"""What recipes and engines say of how each family's networks are stored is how they are."""

from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bot.engine import Engine
from bot.engine.families import FAMILIES, VAE
from bot.recipe import formats_in, place_id
from tests.engine.factories import catalog, model, paint, request, resident
from tests.engine.families.test_complete import TINY
from tests.parameters import mostly_long

Opened = Callable[..., Engine]
ASKED = request(model="x", guidance=1.0, steps=1)


@pytest.fixture(scope="module", params=mostly_long(FAMILIES, usual=["sd15", "zimage"]))
def key(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def folder(key: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(key)
    TINY[key](folder / "tiny")
    return folder


@pytest.fixture
def opened(key: str, folder: Path) -> Iterator[Opened]:
    """Opens engines that take every model for one of the family; closed at the end."""
    from bot.engine import needed, pipeline, sources

    engines = []

    def new(**options: Any) -> Engine:
        hashes = folder / "hashes.json"
        engines.append(Engine(models_dir=folder, hashes_file=hashes, **options))
        return engines[-1]

    with pytest.MonkeyPatch.context() as patch:
        for module in (needed, pipeline, sources):
            patch.setattr(module, "family_of", lambda _: FAMILIES[key])
        yield new
    for engine in engines:
        engine.close()


@pytest.mark.parametrize(
    "options",
    mostly_long(
        [{}, {"weights": "int8"}, {"memory": "8gb"}, {"dtype": "bfloat16"}, {"dtype": "float16"}],
        usual=[{"weights": "int8"}],
    ),
    ids=str,
)
def test_what_is_told_of_an_image_is_what_was_there(
    opened: Opened, key: str, monkeypatch: pytest.MonkeyPatch, options: dict[str, str]
) -> None:
    from bot.engine import passes

    drawn = []
    noise: Callable[..., Any] = vars(passes)["noise"]

    def watched(*given: Any) -> Any:
        drawn.append(given[-1])
        return noise(*given)

    monkeypatch.setattr(passes, "noise", watched)
    engine = opened(**options)
    engine.warm_up()
    before = engine.environment
    environment = paint(engine, ASKED, catalog([model("x", "tiny")])).recipe.environment
    for name, part in resident(engine).parts.items():
        told = environment.get(f"{name}_dtype", environment["dtype"])
        assert told.partition(",")[0] == str(part.layout.dtype).removeprefix("torch.")
        eight = any(slot.scales is not None for slot in part._stored.slots.values())
        assert told.endswith(", int8") == eight
    (dtype,) = {*drawn}
    assert environment["noise"] == f"torch.Generator cpu {str(dtype).removeprefix('torch.')}"
    # So the queue knows where it comes out the same, and what would be otherwise today.
    assert place_id(environment, key) in before.ids
    assert formats_in(environment) == before.formats[key]
    assert engine.environment == before


@pytest.mark.long
def test_another_format_is_another_place(opened: Opened, key: str) -> None:
    engines = [opened(weights=weights) for weights in ("full", "int8")]
    for engine in engines:
        engine.warm_up()
    plain, eight = (engine.environment for engine in engines)
    assert plain.machine == eight.machine
    assert plain.ids & eight.ids == {plain.machine}


def test_a_vaes_dtype_follows_from_what_else_is_told(key: str) -> None:
    """So a recipe that does not name it tells as much, and neither need a place."""
    from bot.engine.environment import DTYPES

    family, found = FAMILIES[key], dict[tuple[Any, ...], Any]()
    for dtype, automatic, bfloat16 in product(DTYPES.values(), (True, False), (True, False)):
        place: Any = SimpleNamespace(
            dtype=dtype, automatic=automatic, computes_in_bfloat16=bfloat16
        )
        of = {name: family.dtype_of(name, {}, place) for name in family.networks}
        vae = of.pop(VAE)
        assert found.setdefault((dtype, *of.values()), vae) == vae
