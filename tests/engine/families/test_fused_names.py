"""An adapter of any kind for the authors' matrices does what merging it into their file would do.

Their files have as one matrix what diffusers has as several, and the last layer's halves swapped.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from bot.engine import Engine
from catalog import Catalog
from catalog.families import FAMILIES
from tests.engine.factories import catalog, model, paint, request, resident, save
from tests.parameters import mostly_long

pytestmark = pytest.mark.long

KINDS: Final = (
    *("DoRA, columns", "LoKr", "LoRA", "DoRA", "LoHa", "full"),
    *("LoHa, DoRA", "LoKr, both factored", "LoKr, full", "LoKr, DoRA", "GLoRA", "Diag-OFT"),
    *("(IA)³, input", "(IA)³, output"),
)
KEYS: Final = ("flux2", "zimage", "flux1", "chroma")
WEIGHT: Final = 0.7


def authors(key: str, folder: Path) -> dict[str, Any]:
    """The transformer in its authors' names."""
    from tests.engine.families.chroma import files as chroma
    from tests.engine.families.flux1 import files as flux1
    from tests.engine.families.flux2 import files as flux2
    from tests.engine.families.zimage import files as zimage

    named: Mapping[str, Callable[..., dict[str, Any]]] = {
        "flux2": flux2.authors,
        "zimage": zimage.authors,
        "chroma": chroma.authors,
        "flux1": flux1.authors,
    }
    return named[key](flux2.stored(folder / key, "transformer"))


def parameters(engine: Engine, there: Catalog, *adapters: tuple[str, float]) -> dict[str, Any]:
    """Of the transformer, with these adapters."""
    paint(engine, request(*adapters, model="x", guidance=1.0, steps=1), there)
    held = resident(engine)
    held.wake(lambda: None, "transformer")
    network = held.network("transformer")
    return {name: each.detach().clone() for name, each in network.named_parameters()}


@pytest.mark.parametrize("kind", mostly_long(KINDS, usual=1))
@pytest.mark.parametrize("key", KEYS)
def test_a_kind_on_fused_matrices_is_what_merging_gives(
    opened: Callable[..., Engine], every: Path, tmp_path: Path, key: str, kind: str
) -> None:
    import torch

    from tests.engine.patches import make
    from tests.engine.patches.formulas import expected_delta

    adapter: dict[str, Any] = {}
    merged: dict[str, Any] = {}
    for number, (name, tensor) in enumerate(sorted(authors(key, every).items())):
        merged[name] = tensor
        matrix = name.endswith(".weight") and tensor.ndim == 2 and "embedder" not in name
        if matrix and tensor.shape[0] % 4 == tensor.shape[1] % 4 == 0:
            made = make.module(kind, tuple(tensor.shape), rank=4, alpha=3.0, seed=number)
            path = name.removesuffix(".weight")
            adapter |= {f"diffusion_model.{path}.{leaf}": each for leaf, each in made.items()}
            delta = expected_delta(kind, made, tensor.double())
            merged[name] = (tensor.double() + WEIGHT * delta).float()
    assert any("qkv" in name for name in adapter)
    file = save(tmp_path / "merged.safetensors", merged)
    family, engine = FAMILIES[key], opened(memory="full", weights="full")
    whole = catalog([model("x", str(file), config=str(every / key), family=family)])
    wanted = parameters(engine, whole)
    there = catalog([model("x", key, family=family)], a=save(tmp_path / "a.safetensors", adapter))
    pristine = parameters(engine, there)
    found = parameters(engine, there, ("a", WEIGHT))
    changed = [name for name in found if not torch.equal(found[name], pristine[name])]
    assert {"q", "k", "v"} <= {name.split("to_")[-1][0] for name in changed if "to_" in name}
    for name, tensor in wanted.items():
        assert torch.allclose(found[name], tensor, atol=1e-5), name
    assert all(torch.equal(parameters(engine, there)[name], pristine[name]) for name in changed)
