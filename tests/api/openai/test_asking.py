"""What a body for OpenAI's edits asks for, by the model that it is for."""

from typing import Any

import pytest

from bot.api.openai.asking import HIGH_FIDELITY, Asked, image_characters, understood
from bot.api.openai.bodies import Edit, Generation
from bot.errors import InvalidRequest
from catalog import Catalog, ModelEntry
from catalog.families.flux2 import FLUX2

CATALOG = Catalog(
    {
        "sdxl": ModelEntry(key="sdxl", name="SDXL", path="a/b"),
        "klein": ModelEntry(
            key="klein", name="klein", path="a/b", family=FLUX2, variant="distilled"
        ),
    },
    {},
    "sdxl",
)


def asked(model: str, *images: bytes, **fields: Any) -> Asked:
    body = Edit(prompt="a fox", model=model, image=list(images), **fields)
    return understood(body, CATALOG, nsfw=False, previews=False)


@pytest.mark.parametrize("fidelity", [None, "low", "high"])
def test_a_model_that_edits_looks_at_its_images_whatever_the_fidelity(fidelity: str | None) -> None:
    found = asked("klein", b"one", b"two", input_fidelity=fidelity)
    assert found.draft.strength is None
    assert found.pictures == {"edit": b"one", "edit2": b"two"}


def test_with_a_strength_it_paints_over_one() -> None:
    found = asked("klein", b"one", strength=0.5, input_fidelity="high")
    assert (found.draft.strength, found.pictures) == (0.5, {"image": b"one"})
    with pytest.raises(InvalidRequest):
        asked("klein", b"one", b"two", strength=0.5)


@pytest.mark.parametrize("model", ["sdxl", "klein"])
@pytest.mark.parametrize("fidelity", [None, "high"])
def test_with_a_mask_a_part_of_one_is_painted_anew(model: str, fidelity: str | None) -> None:
    found = asked(model, b"one", mask=b"mask", input_fidelity=fidelity)
    assert found.draft.strength is None
    assert found.pictures == {"image": b"one", "mask": b"mask"}
    with pytest.raises(InvalidRequest):
        asked(model, b"one", b"two", mask=b"mask")


def test_a_mask_in_json() -> None:
    kept = "7f" * 32
    assert asked("sdxl", b"one", mask={"file_id": kept}).pictures["mask"] == kept
    assert asked("sdxl", b"one", mask="data:;base64,AAAA").pictures["mask"] == bytes(3)
    assert asked("sdxl", b"one", mask={"image_url": "data:,AAAA"}).pictures["mask"] == bytes(3)
    for ref in ({"image_url": "http://127.0.0.1/secret"}, {"file_id": "file-abc"}, {}):
        with pytest.raises(InvalidRequest) as caught:
            asked("sdxl", b"one", mask=ref)
        assert caught.value.field == "mask"


@pytest.mark.parametrize("model", ["sdxl", "klein"])
def test_an_image_that_is_extended_is_not_edited(model: str) -> None:
    found = asked(model, b"one", extend="zoom 1.5", input_fidelity="high")
    assert (found.draft.extend, found.draft.strength) == ("zoom 1.5", None)
    assert found.pictures == {"image": b"one"}
    assert asked(model, b"one", extend=" ").pictures == asked(model, b"one").pictures


def test_images_to_follow_are_given_as_text() -> None:
    kept = "7f" * 32
    sent = {"control": "canny:0.8", "control_image": kept, "control_image2": "data:;base64,AAAA"}
    found = asked("sdxl", b"one", **sent)
    assert found.draft.control == "canny:0.8"
    followed = {"control_image": kept, "control_image2": bytes(3)}
    assert found.pictures == {"image": b"one", **followed}
    new = Generation(prompt="a fox", **sent)
    assert understood(new, CATALOG, nsfw=False, previews=False).pictures == followed
    assert image_characters(new) == len(kept) + len(sent["control_image2"])


@pytest.mark.parametrize(
    ("fields", "strength"),
    [
        ({}, None),
        ({"input_fidelity": "low"}, None),
        ({"input_fidelity": "high"}, HIGH_FIDELITY),
        ({"input_fidelity": "high", "strength": 0.7}, 0.7),
    ],
)
def test_for_others_high_fidelity_is_a_strength(
    fields: dict[str, Any], strength: float | None
) -> None:
    found = asked("sdxl", b"one", **fields)
    assert (found.draft.strength, found.pictures) == (strength, {"image": b"one"})
