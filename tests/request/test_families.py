"""Requests for models of several families: what each takes, by the family of its model."""

from typing import Any

import pytest

from bot.errors import InvalidRequest, Refused
from bot.request import AdapterUse, Draft, GenerationRequest, Hires, Picture, compose
from catalog import AdapterEntry, AdapterFacts, Catalog, ModelEntry, ReferenceEntry
from catalog.families.sd15 import SD15
from catalog.families.sdxl import SDXL

MODELS = {
    key: ModelEntry(key=key, name=key, path="a/b", family=family)
    for key, family in (("new", SDXL), ("old", SD15))
}
LORAS = {key: AdapterEntry(key=key, name=key, path="a/b") for key in ("large", "small")}
CATALOG = Catalog(
    MODELS,
    LORAS,
    "new",
    references={"sdxl": ReferenceEntry(path="a/b", weight_name="x.safetensors", encoder="e")},
    adapter_facts={
        "large": AdapterFacts(base="SDXL", certain=True),
        "small": AdapterFacts(base="SD 1.5", certain=True),
    },
)


def composed(model: str, **fields: Any) -> GenerationRequest:
    return compose(Draft(prompt="a fox", model=model, **fields), CATALOG, nsfw=False)


def test_the_defaults_are_the_familys() -> None:
    new, old = composed("new"), composed("old")
    assert (new.width, new.height, new.steps, new.guidance) == (1024, 1024, 30, 7.5)
    assert (old.width, old.height, old.steps, old.guidance) == (512, 512, 25, 7.0)
    assert composed("old", size="2:3").width == 448


@pytest.mark.parametrize(
    ("model", "asked", "layer"),
    [("new", 1, None), ("new", 2, 2), ("old", 1, 1), ("old", 2, 2), ("old", None, None)],
)
def test_clip_skip_1_is_sd15s_last_layer_and_leaves_sdxl_its_own(
    model: str, asked: int | None, layer: int | None
) -> None:
    assert composed(model, clip_skip=asked).clip_skip == layer


def test_a_pasted_clip_skip_is_understood_by_the_model_it_is_for() -> None:
    pasted = "a fox\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Clip skip: 1"
    for model, layer in (("new", None), ("old", 1)):
        draft = Draft(prompt=pasted, model=model)
        assert compose(draft, CATALOG, nsfw=False).clip_skip == layer


def test_sizes_have_the_familys_bounds() -> None:
    with pytest.raises(InvalidRequest, match=r"size\.side"):
        composed("old", size="1536x512")
    with pytest.raises(InvalidRequest, match=r"size\.side"):
        composed("new", size="256x512")
    assert composed("old", size="256x512").width == 256


def test_a_lora_of_the_other_family_is_refused_in_words() -> None:
    for model, fits, other, base in (
        ("new", "large", "small", "SD 1.5"),
        ("old", "small", "large", "SDXL"),
    ):
        assert composed(model, lora=fits).adapters == (AdapterUse(fits, 1.0),)
        with pytest.raises(Refused) as refusal:
            composed(model, lora=other)
        assert refusal.value.code == "lora.other_base"
        assert (refusal.value.params["base"], refusal.value.params["model"]) == (base, model)


def test_a_reference_needs_the_familys_own_adapter() -> None:
    picture = Picture("0" * 64, 64, 64)
    assert composed("new", reference=picture).reference
    with pytest.raises(Refused) as refusal:
        composed("old", reference=picture)
    assert refusal.value.code == "reference.none"
    assert refusal.value.params == {"family": "Stable Diffusion 1.5", "key": "sd15"}


def test_a_second_pass_keeps_to_the_familys_grid() -> None:
    assert composed("old", hires=1.5).final_size == (768, 768)
    assert Hires(1.25, 0.5, 10, pixel_step=16).enlarged(1000) == 1248
    assert Hires(1.25, 0.5, 10).enlarged(1000) == 1248
    assert Hires(1.25, 0.5, 10, pixel_step=32).enlarged(1000) == 1248


def test_only_another_grid_than_eight_is_stored() -> None:
    request = composed("old", hires=1.5)
    assert "pixel_step" not in request.to_dict()["hires"]
    assert GenerationRequest.from_dict(request.to_dict()) == request
