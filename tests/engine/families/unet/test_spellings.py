"""Every spelling of a module's name is that module: prefixes, wrappers, dots and underscores."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from bot.engine.families.unet.adapter_names import sgm_path
from bot.engine.patches import Spellings
from catalog.weight_files import UNKNOWN, adapter_facts, read_configs, read_header
from tests.engine.factories import save
from tests.engine.families.unet.kinds import CONVOLUTION, KINDS, TEXT, UNET, Kind
from tests.engine.patches.reading import read, refused
from tests.parameters import mostly_long

OF_UNETS = (
    *("unet.", "", "lora_unet_", "lora_unet.", "unet_", "lycoris_", "oft_unet_"),
    *("diffusion_model.", "model.diffusion_model.", "pipe.unet.", "model.unet."),
    *("base_model.model.", "base_model.model.unet.", "unet.base_model.model."),
    *("module.", "unet.module.", "module.unet.", "_orig_mod.", "unet._orig_mod."),
    *("unet._orig_mod.base_model.model.", "module._orig_mod.unet.", "lora_unet__orig_mod_"),
    *("_fsdp_wrapped_module.", "base_model.model.diffusion_model.", "lora_unet_module."),
    "lycoris_unet_",
)
OF_LAYOUTS = ("lora_unet_", "unet.", "diffusion_model.")
"""Enough for paths that differ from others in nothing but Stability's numbers or their shapes."""
HOLDERS = ("self.", "network.", "state_dict.", "trainer.student.", "module.model.")


def names(kind: Kind) -> list[tuple[str, str, str]]:
    """Part, path and every spelling of each of a family's modules."""
    found = []
    for part, shapes in kind.shapes.items():
        for path in shapes:
            if part == "unet":
                spelled = (path, sgm_path(path, kind.blocks))
                prefixes: tuple[str, ...] = OF_UNETS if path in kind.usual else OF_LAYOUTS
            else:
                spelled, prefixes = (path, f"text_model.{path}"), kind.prefixes[part]
            found += [
                (part, path, name)
                for one in spelled
                for prefix in prefixes
                for name in {prefix + one: 0, (prefix + one).replace(".", "_"): 0}
            ]
            if path in (UNET, TEXT):
                found += [(part, path, f"{holder}{part}.{path}") for holder in HOLDERS]
    return found


NAMES = [(kind.key, *each) for kind in KINDS for each in names(kind)]
USUAL = [each for each in NAMES if each[0] == "sdxl" and each[2] in (UNET, TEXT)]
BY_KEY = {kind.key: kind for kind in KINDS}


@pytest.fixture(scope="module")
def all_known(sd15_dir: Path) -> dict[str, Spellings]:
    return {kind.key: Spellings(kind.targets(sd15_dir)) for kind in KINDS}


@pytest.fixture(scope="module")
def known(all_known: dict[str, Spellings]) -> Spellings:
    """Of SDXL, where the family makes no difference."""
    return all_known["sdxl"]


SHAPES = {"text_encoder": (32, 32), "text_encoder_2": (48, 48)}
"""Of TEXT in SDXL."""


def lora(name: str, shape: tuple[int, ...], *, lettered: bool = False) -> dict[str, Any]:
    ones = [1 for _ in shape[2:]]
    down, up = ("lora_A", "lora_B") if lettered else ("lora_down", "lora_up")
    return {
        f"{name}.{down}.weight": torch.full((2, *shape[1:]), 0.5),
        f"{name}.{up}.weight": torch.full((shape[0], 2, *ones), 0.5),
    }


@pytest.mark.parametrize(
    ("key", "part", "path", "name"),
    mostly_long(NAMES, usual=USUAL),
    ids=[f"{k} {p} {n}" for k, p, _, n in NAMES],
)
def test_every_spelling_is_the_module(
    all_known: dict[str, Spellings], tmp_path: Path, key: str, part: str, path: str, name: str
) -> None:
    kind = BY_KEY[key]
    shape = kind.shapes[part][path]
    magnitude = torch.ones(1, shape[0], 1, 1) if len(shape) > 2 else torch.ones(shape[0])
    tensors = lora(name, shape) | {f"{name}.lora_magnitude_vector": magnitude}
    (change,) = read(save(tmp_path / "x.safetensors", tensors), all_known[key]).changes
    assert change.part == part
    assert change.parameter.removeprefix("text_model.") == f"{path}.weight"
    assert type(change).__name__ == "Decomposed"
    header = read_header(tmp_path / "x.safetensors")
    assert adapter_facts(header.shapes, header.metadata).algorithm == (
        "LoCon + DoRA" if max(shape[2:], default=1) > 1 else "DoRA"
    )


@pytest.mark.parametrize("path", [CONVOLUTION, "down_blocks.2.resnets.0.conv2"])
def test_a_convolutions_magnitude_that_diffusers_renamed_is_of_its_rows(
    known: Spellings, tmp_path: Path, path: str
) -> None:
    """The second has as many rows as columns, so that only its name tells."""
    shape = known.known[f"unet.{path}"].shape
    head, _, tail = f"lora_unet.{path}".rpartition(".")
    tensors = lora(f"{head}.{tail}".replace(".", "_"), shape)
    magnitude = torch.rand(1, shape[0], 1, 1) + 0.5
    tensors[f"{head.replace('.', '_')}.{tail}.dora_scale"] = magnitude
    (change,) = read(save(tmp_path / "x.safetensors", tensors), known).changes
    base = torch.randn(shape)
    norms = (base + change.delta(base)).flatten(1).norm(dim=1)
    assert (norms - magnitude.flatten()).abs().max() <= 1e-4


MAGNITUDES = (
    "lora_magnitude_vector",
    "lora_magnitude_vector.weight",
    "lora_magnitude_vector.default",
    "lora_magnitude_vector.default.weight",
    "lora_magnitude_vector.my-style",
    "lora_magnitude_vector.my-style.weight",
    "dora_scale",
    "dora_scale.weight",
)


@pytest.mark.parametrize("spelled", MAGNITUDES)
@pytest.mark.parametrize("part", ["unet", "text_encoder", "text_encoder_2"])
def test_a_magnitude_in_another_spelling_than_its_factors_is_theirs(
    known: Spellings, tmp_path: Path, part: str, spelled: str
) -> None:
    """diffusers' converter to kohya's names keeps the last two dots, whatever they separate."""
    kohya = {"unet": "lora_unet", "text_encoder": "lora_te1", "text_encoder_2": "lora_te2"}[part]
    path, shape = (UNET, (64, 64)) if part == "unet" else (f"text_model.{TEXT}", SHAPES[part])
    module = f"{kohya}_{path.replace('.', '_')}"
    head, _, tail = path.rpartition(".")
    half = f"{kohya}_{head.replace('.', '_')}.{tail}"
    rows = torch.rand(shape[0]) + 0.5
    magnitude = rows.reshape(-1, 1) if "dora" in spelled else rows
    tensors = lora(module, shape) | {f"{half}.{spelled}": magnitude}
    file = read(save(tmp_path / "x.safetensors", tensors), known)
    assert (file.total, file.matched) == (1, 1)
    (change,) = file.changes
    base = torch.randn(shape)
    norms = (base + change.delta(base)).norm(dim=1)
    torch.testing.assert_close(norms, rows)
    header = read_header(tmp_path / "x.safetensors")
    assert adapter_facts(header.shapes, header.metadata).algorithm == "DoRA"


@pytest.mark.parametrize(
    "end",
    [
        *("lora_A.default.weight", "lora_A.my-style.weight", "lora_A.weight", "lora_A"),
        "lora_A.default_0.weight",
    ],
)
def test_names_of_adapters_inside_names_of_tensors(
    known: Spellings, tmp_path: Path, end: str
) -> None:
    tensors = lora(f"base_model.model.{UNET}", (64, 64), lettered=True)
    spelled = {name.replace("lora_A.weight", end): tensor for name, tensor in tensors.items()}
    other = end.replace("lora_A", "lora_B")
    spelled = {name.replace("lora_B.weight", other): t for name, t in spelled.items()}
    path = save(tmp_path / "x.safetensors", spelled)
    assert read(path, known).matched == 1
    header = read_header(path)
    facts = adapter_facts(header.shapes, header.metadata)
    assert (facts.algorithm, facts.rank) == ("LoRA", 2)


@pytest.mark.parametrize("algorithm", ["LoHa", "LoKr", "LoKr, full"])
def test_names_of_adapters_behind_tensors(known: Spellings, tmp_path: Path, algorithm: str) -> None:
    from tests.engine.patches import make

    made = make.module(algorithm, (64, 64), alpha=None)
    path = save(
        tmp_path / "x.safetensors",
        {f"base_model.model.{UNET}.{part}.my-style": tensor for part, tensor in made.items()},
    )
    assert read(path, known).matched == 1
    header = read_header(path)
    told = adapter_facts(header.shapes, header.metadata).algorithm
    assert told != UNKNOWN
    assert told == algorithm.partition(",")[0]


def test_one_module_with_two_sets_of_factors_is_broken(known: Spellings, tmp_path: Path) -> None:
    name = f"lora_unet_{UNET.replace('.', '_')}"
    tensors = lora(name, (64, 64)) | lora(f"unet.base_model.model.{UNET}", (64, 64))
    failure = refused(save(tmp_path / "x.safetensors", tensors), known)
    assert failure.code == "adapter.broken"


BARE, FULL = TEXT, f"text_model.{TEXT}"


@pytest.mark.parametrize("part", ["text_encoder", "text_encoder_2"])
@pytest.mark.parametrize("spelled", [BARE, FULL])
@pytest.mark.parametrize(
    "pattern", [BARE, FULL, f"^{BARE}", f"^{FULL}$", "layers.0.self_attn.q_proj", ".*q_proj"]
)
@pytest.mark.parametrize("where", ["metadata", "folder"])
def test_patterns_mean_a_text_encoder_of_either_transformers(
    known: Spellings, tmp_path: Path, part: str, spelled: str, pattern: str, where: str
) -> None:
    shape = SHAPES[part]
    fields = {"r": 2, "lora_alpha": 2, "alpha_pattern": {pattern: 12}}
    metadata = None
    if where == "metadata":
        name = f"{part}.{spelled}"
        told = {f"{part}.{key}": value for key, value in fields.items()}
        metadata = {"lora_adapter_metadata": json.dumps(told)}
    else:
        name = f"base_model.model.{spelled}"
        told = fields | {"peft_type": "LORA"}
        (tmp_path / "adapter_config.json").write_text(json.dumps(told))
    tensors = lora(name, shape, lettered=True)
    path = save(tmp_path / "adapter_model.safetensors", tensors, metadata)
    assert read_configs(path, read_header(path).metadata)
    (change,) = read(path, known).changes
    torch.testing.assert_close(change.delta(torch.zeros(shape)), torch.full(shape, 6.0 * 0.5))


def test_a_text_encoder_that_could_be_either_matches_nothing(
    known: Spellings, tmp_path: Path
) -> None:
    """Not even its shapes tell."""
    from bot.engine.patches import Target

    twins = {
        f"{part}.{FULL}": Target(part, FULL, (8, 8), has_bias=False)
        for part in ("text_encoder", "text_encoder_2")
    }
    path = save(tmp_path / "x.safetensors", lora(f"base_model.model.{FULL}", (8, 8)))
    assert refused(path, twins).code == "adapter.matches_nothing"
