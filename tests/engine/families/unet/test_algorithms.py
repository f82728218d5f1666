"""Every algorithm on the modules of every family with a UNet, in every layout of names."""

from pathlib import Path
from typing import Any

import pytest
import torch

from bot.engine.families.unet.adapter_names import sgm_path
from tests.engine.factories import save
from tests.engine.families.unet.kinds import KINDS, Kind
from tests.engine.patches import make
from tests.engine.patches.formulas import RANK, expected_delta
from tests.engine.patches.reading import read
from tests.parameters import mostly_long

CASES = [
    (kind.key, algorithm) for kind in KINDS for algorithm in make.ALGORITHMS if algorithm != "norm"
]
BY_KEY = {kind.key: kind for kind in KINDS}
LAYOUTS = ("kohya", "Stability", "diffusers", "ComfyUI")


@pytest.fixture(scope="module")
def known(sd15_dir: Path) -> dict[str, dict[str, Any]]:
    return {kind.key: kind.targets(sd15_dir) for kind in KINDS}


def spelled(kind: Kind, part: str, path: str, layout: str) -> str:
    """The name of a module in the files of one kind of program."""
    if part == "unet":
        theirs = sgm_path(path, kind.blocks)
        return {
            "kohya": f"lora_unet_{path.replace('.', '_')}",
            "Stability": f"lora_unet_{theirs.replace('.', '_')}",
            "diffusers": f"unet.{path}",
            "ComfyUI": f"diffusion_model.{theirs}",
        }[layout]
    number, letter = ("2", "g") if part == "text_encoder_2" else ("1", "l")
    alone = len(kind.encoders) == 1
    full = f"text_model.{path}"
    return {
        "kohya": f"lora_te{'' if alone else number}_{full.replace('.', '_')}",
        "Stability": f"lora_te{number}_{full.replace('.', '_')}",
        "diffusers": f"{part}.{path}",
        "ComfyUI": f"text_encoders.clip_{letter}.transformer.{full}",
    }[layout]


@pytest.mark.parametrize(
    ("key", "algorithm"), mostly_long(CASES, usual=[case for case in CASES if case[0] == "sd15"])
)
def test_is_the_dense_formula_in_every_layout(
    known: dict[str, dict[str, Any]], tmp_path: Path, key: str, algorithm: str
) -> None:
    kind = BY_KEY[key]
    modules = {
        (part, path): shape
        for part, shapes in kind.shapes.items()
        for path, shape in shapes.items()
        if algorithm in make.fitting(shape)
        and not ("Tucker" in algorithm and shape[-1] == 1)
        and not ("bias" in algorithm and not known[key][f"{part}.{path}"].has_bias)
    }
    made = {
        module: make.module(algorithm, shape, rank=RANK, seed=number)
        for number, (module, shape) in enumerate(modules.items())
    }
    pristine = torch.Generator().manual_seed(99)
    bases = {
        module: torch.randn(shape, generator=pristine) * 0.3 for module, shape in modules.items()
    }
    first: dict[Any, Any] = {}
    for layout in LAYOUTS:
        tensors = {
            f"{spelled(kind, *module, layout)}.{role}": tensor
            for module, roles in made.items()
            for role, tensor in roles.items()
        }
        file = read(save(tmp_path / f"{layout}.safetensors", tensors), known[key])
        assert (file.total, file.matched) == (len(modules), len(modules))
        deltas = {
            (change.part, change.parameter.removeprefix("text_model.")): change
            for change in file.changes
        }
        for (part, path), base in bases.items():
            delta = deltas[part, f"{path}.weight"].delta(base)
            wanted = expected_delta(algorithm, made[part, path], base.double())
            assert (delta.double() - wanted).abs().max() <= 1e-5
            assert torch.equal(delta, first.setdefault((part, path), delta))
