"""What every list of models says that a model does, bound to what requests do with it."""

from dataclasses import replace
from typing import Any

import pytest

from bot.errors import UserError
from bot.request import Draft, Picture, compose
from catalog import (
    Catalog,
    ControlNetEntry,
    ControlNets,
    ModelEntry,
    ReferenceEntry,
    Unfit,
    abilities,
)
from catalog.abilities import as_json, surely
from catalog.families import FAMILIES
from catalog.families.flux2 import FLUX2
from catalog.families.sdxl import SDXL
from catalog.weight_files import Refusal

EVERY = [
    ModelEntry(key=f"{key}-{each.name}", name="M", path="a/b", family=family, variant=each.name)
    for key, family in FAMILIES.items()
    for each in family.variants
]
"""A model of every variant of every family."""
ADAPTER = ReferenceEntry(path="a/b", weight_name="w.safetensors", encoder="a/b")
PICTURE = Picture("0" * 64, 512, 512)
ASKED: dict[str, dict[str, Any]] = {
    "negative": {"negative": "fog"},
    "guidance": {"guidance": 5.0},
    "image": {"image": PICTURE},
    "reference": {"reference": PICTURE},
    "control": {"control_images": (PICTURE,)},
    "tile": {"tile": True},
}
CONTROLS = {
    key: ControlNetEntry(key=key, name=key, path="a/b", family=key)
    for key, family in FAMILIES.items()
    if family.takes_control
}


def of(*models: ModelEntry, set_up: bool = False) -> Catalog:
    """set_up: with an IP-Adapter and a ControlNet for each family that takes one."""
    known = Catalog({each.key: each for each in models}, {}, models[0].key)
    if not set_up:
        return known
    references = dict.fromkeys(FAMILIES, ADAPTER)
    return replace(known, references=references, controlnets=ControlNets(CONTROLS))


@pytest.mark.parametrize("set_up", [True, False])
@pytest.mark.parametrize("model", EVERY, ids=lambda model: model.key)
def test_it_takes_what_requests_may_have(model: ModelEntry, set_up: bool) -> None:
    known = of(model, set_up=set_up)
    able = abilities(model, known, nsfw=False)
    assert able is not None
    assert able.taken.keys() == ASKED.keys()
    for name, takes in able.taken.items():
        draft = Draft(prompt="a fox", **ASKED[name])
        if takes:
            compose(draft, known, nsfw=False)
        else:
            with pytest.raises(UserError):
                compose(draft, known, nsfw=False)
    plain = model.family.plain
    assert able.variant == (None if plain and plain.name == model.variant else model.variant)
    assert able.speed == model.speed
    assert able.brackets is model.family.takes_emphasis
    if able.edits:
        compose(Draft(prompt="x", pictures=(PICTURE,) * able.edits), known, nsfw=False)
    too_many = Draft(prompt="x", pictures=(PICTURE,) * (able.edits + 1), model=model.key)
    with pytest.raises(UserError):
        compose(too_many, known, nsfw=False)


def test_base_models_are_named_as_the_files_of_loras_name_them() -> None:
    klein = next(model for model in EVERY if model.family is FLUX2)
    able = abilities(klein, of(klein), nsfw=False)
    assert able is not None
    assert able.bases == FLUX2.adapter_bases
    assert surely(able.bases) == ("FLUX.2 klein 4B", "FLUX.2 klein")
    demo = ModelEntry(key="demo", name="Demo", path="builtin:demo", demo=True)
    able = abilities(demo, of(demo), nsfw=False)
    assert able is not None
    assert able.bases == ()


def test_a_gated_controlnet_is_none_to_whoever_may_not_know_of_it() -> None:
    model = ModelEntry(key="m", name="M", path="a/b", family=SDXL)
    gated = ControlNetEntry(key="x", name="x", path="a/b", nsfw=True)
    known = replace(of(model), controlnets=ControlNets({"x": gated}))
    for nsfw in (False, True):
        able = abilities(model, known, nsfw=nsfw)
        assert able is not None
        assert able.control is nsfw


def test_nothing_is_said_of_what_cannot_be_used() -> None:
    entry = ModelEntry(key="flux", name="Flux", path="a/b")
    unfit = {"flux": Unfit("flux.safetensors", Refusal("Flux (dev) transformer"))}
    found = abilities(entry, Catalog({"flux": entry}, {}, "", unfit_models=unfit), nsfw=False)
    assert found is None
    assert set(as_json(found).values()) == {None}
    unclear = ModelEntry(key="z", name="z", path="a/z", family=FAMILIES["zimage"])
    assert abilities(unclear, of(unclear), nsfw=False) is None


def test_as_json_types_by_other_names() -> None:
    model = next(model for model in EVERY if model.family is SDXL)
    said = as_json(abilities(model, of(model), nsfw=False), {"negative": "negative_prompt"})
    assert said == {
        "variant": None,
        "speed": "medium",
        "takes": {
            "negative_prompt": True,
            "guidance": True,
            "image": True,
            "reference": False,
            "control": False,
            "tile": True,
            "brackets": True,
        },
        "edits": 0,
        "bases": ["SDXL", "Pony", "Illustrious", "NoobAI"],
    }
