"""Images and recipes come out as they went in, or are refused by name."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.errors import WireError
from bot.painting import PaintedImage, Painting
from bot.progress import Notice
from bot.recipe import Found, Recipe, Weights
from bot.request import (
    WORDS_MAX,
    AdapterUse,
    Box,
    ControlUse,
    DetailUse,
    GenerationRequest,
    Hires,
)
from bot.wire import paintings
from tests.language import TEXTS
from tests.wire.things import CANARY, describing, painted, request, requests

ASKED = request(count=2, adapters=(AdapterUse("ink", 0.5),))
CHECKPOINT = Weights("demo", "a" * 64, "a" * 10)
RECIPE = Recipe(
    request=ASKED,
    checkpoint=CHECKPOINT,
    adapters=(Weights("ink", "b" * 64, "b" * 12),),
    scheduler={"class": "Euler", "steps_offset": 1, "shift": 0.5, "trained_betas": None},
    environment={"torch": "2.13", "device": "cuda"},
)
IMAGES = (painted(ASKED), painted(ASKED, 1))
WARNING = Notice("memory.lowered", {"profile": "16gb"})
PAINTING = Painting(IMAGES, RECIPE, (WARNING,))


def recipe_of(**fields: Any) -> Painting:
    return replace(PAINTING, recipe=replace(RECIPE, **fields))


@settings(max_examples=30)
@given(requests())
def test_pixels_come_out_as_they_went_in(asked: GenerationRequest) -> None:
    asked = replace(asked, width=5, height=3, hires=None)
    pixels = hashlib.shake_128(repr(asked.seed).encode()).digest(5 * 3 * 3)
    image = PIL.Image.frombytes("RGB", (5, 3), pixels)
    seed = asked.image_seed(asked.count - 1)
    sent = PaintedImage(seed, image, hashlib.sha256(pixels).hexdigest())
    data, raw = paintings.encode_image(sent)
    got = paintings.decode_image(paintings.decode_header(data, asked), raw)
    assert (got.seed, got.pixels_sha256) == (sent.seed, sent.pixels_sha256)
    assert got.image.mode == "RGB"
    assert got.image.tobytes() == pixels


def test_an_enlarged_image_has_its_final_size() -> None:
    asked = request(width=64, height=64, hires=Hires(1.5, 0.5, 10))
    data, raw = paintings.encode_image(painted(asked))
    got = paintings.decode_image(paintings.decode_header(data, asked), raw)
    assert got.image.size == (96, 96)


def test_a_painting_comes_out_as_it_went_in() -> None:
    data = paintings.encode(PAINTING)
    sent = paintings.decode(data, ASKED, TEXTS)
    got = sent.with_images({image.pixels_sha256: image for image in IMAGES})
    assert got == PAINTING


@settings(max_examples=30)
@given(requests())
def test_so_does_every_recipe(asked: GenerationRequest) -> None:
    used = tuple(Weights(use.key, "b" * 64, "b" * 12) for use in asked.adapters)
    recipe = replace(RECIPE, request=asked, adapters=used)
    headers = [
        PaintedImage(asked.image_seed(n), _Sized(asked), "c" * 64) for n in range(asked.count)
    ]
    data = paintings.encode(Painting(tuple(headers), recipe, ()))
    assert paintings.decode(data, asked, TEXTS).recipe == recipe


class _Sized(PIL.Image.Image):
    """An image without pixels."""

    def __init__(self, asked: GenerationRequest) -> None:
        super().__init__()
        self._size = asked.final_size


LOOKED: GenerationRequest = replace(ASKED, detail=(DetailUse("face"),))
FINDS = Weights("org/finds", "d" * 64, "d" * 10)


def looked(*found: Found, detector: Weights | None = FINDS) -> Painting:
    return recipe_of(request=LOOKED, detector=detector, found=found)


def test_what_was_found_comes_out_as_it_went_in() -> None:
    painting = looked(Found(ASKED.seed, "face", Box(1, 2, 3, 4)))
    sent = paintings.decode(paintings.encode(painting), LOOKED, TEXTS)
    assert sent.recipe == painting.recipe


@pytest.mark.parametrize(
    ("painting", "field"),
    [
        (looked(detector=None), "detector"),
        (looked(Found(ASKED.seed, "hand", Box(1, 2, 3, 4))), "found"),
        (looked(Found(ASKED.seed + 2, "face", Box(1, 2, 3, 4))), "found"),
        (looked(Found(ASKED.seed, "face", Box(14, 2, 3, 4))), "found"),
        (looked(Found(ASKED.seed, "face", Box(1, 2, 0, 4))), "found"),
        (looked(*[Found(ASKED.seed, "face", Box(1, 2, 3, 4))] * 17), "found"),
    ],
)
def test_what_was_not_looked_for_is_refused(painting: Painting, field: str) -> None:
    with pytest.raises(WireError, match=rf"^painting: recipe: {field}"):
        paintings.decode(paintings.encode(painting), LOOKED, TEXTS)


def test_what_told_a_pose_comes_out_with_whatever_found_the_people() -> None:
    use = ControlUse("union", "e" * 64, "openpose", of_photo=True)
    asked: GenerationRequest = replace(ASKED, controls=(use,))
    union = (Weights("union", "d" * 64, "d" * 10),)
    posed = {"request": asked, "controls": union}
    for detector in (None, FINDS):
        painting = recipe_of(**posed, pose=FINDS, detector=detector)
        sent = paintings.decode(paintings.encode(painting), asked, TEXTS)
        assert sent.recipe == painting.recipe
    with pytest.raises(WireError, match=r"^painting: recipe: pose"):
        paintings.decode(paintings.encode(recipe_of(**posed)), asked, TEXTS)
    with pytest.raises(WireError, match=r"^painting: recipe: pose"):
        paintings.decode(paintings.encode(recipe_of(pose=FINDS)), ASKED, TEXTS)


SEEN: GenerationRequest = describing().request
SEES = Weights("org/sees", "e" * 64, "e" * 10)


def said(words: str | None = "a red star", describer: Weights | None = SEES) -> Painting:
    recipe = Recipe(request=SEEN, checkpoint=None, describer=describer)
    return Painting((), recipe, (), words)


def test_words_come_out_as_they_went_in() -> None:
    sent = paintings.decode(paintings.encode(said()), SEEN, TEXTS)
    assert sent.with_images({}) == said()


@pytest.mark.parametrize(
    ("painting", "field"),
    [
        (said(words=None), "words"),
        (said(""), "words"),
        (said("a" * (WORDS_MAX + 1)), "words"),
        (said("two\nlines"), "words"),
        (said("\u202etool"), "words"),
        (said(describer=None), "recipe: describer"),
        (replace(said(), images=(painted(SEEN),)), "1 images"),
    ],
)
def test_words_that_cannot_be_those_of_an_image_are_refused(painting: Painting, field: str) -> None:
    with pytest.raises(WireError, match=rf"^painting: {field}"):
        paintings.decode(paintings.encode(painting), SEEN, TEXTS)


@given(st.binary(max_size=100))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(WireError, match=r"^painting: "):
        paintings.decode(noise, ASKED, TEXTS)
    with pytest.raises(WireError, match=r"^image: "):
        paintings.decode_header(noise, ASKED)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"width": 17}, "17×8; allowed is 16×8"),
        ({"seed": 9}, "seed 9"),
        ({"seed": -1}, "seed -1"),
        ({"seed": 2**32 + 7}, "seed"),
        ({"pixels_sha256": "../x"}, "pixels_sha256"),
        ({"mode": "RGBA"}, "mode"),
    ],
)
def test_an_image_that_was_not_asked_for_is_refused(changed: dict[str, object], field: str) -> None:
    data, _ = paintings.encode_image(IMAGES[0])
    [parsed] = json.loads(data)
    with pytest.raises(WireError, match=f"^image: .*{field}"):
        paintings.decode_header(json.dumps([{**parsed, **changed}]).encode(), ASKED)


@pytest.mark.parametrize("damage", [lambda p: p[:-1], lambda p: p + b"\0", lambda p: p[::-1]])
def test_pixels_that_are_others_are_refused(damage: Callable[[bytes], bytes]) -> None:
    data, pixels = paintings.encode_image(IMAGES[0])
    header = paintings.decode_header(data, ASKED)
    with pytest.raises(WireError, match="pixels"):
        paintings.decode_image(header, damage(pixels))


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (recipe_of(request=replace(ASKED, seed=8)), "recipe.request"),
        (recipe_of(checkpoint=None), "checkpoint"),
        (recipe_of(checkpoint=replace(CHECKPOINT, name="another")), "checkpoint"),
        (recipe_of(adapters=()), "adapters"),
        (recipe_of(adapters=(replace(CHECKPOINT, name="**free** money"),)), "adapters"),
        (recipe_of(embeddings=(CHECKPOINT,)), "embeddings"),
        (recipe_of(upscaler=CHECKPOINT), "upscaler"),
        (recipe_of(reference=(CHECKPOINT,)), "reference"),
        (recipe_of(environment={f"fact_{n}": "" for n in range(41)}), "environment: entries"),
        (recipe_of(environment={"Visit us": ""}), "environment: allowed are names"),
        (recipe_of(environment={"torch": "x" * 101}), "environment: torch"),
        (recipe_of(scheduler={"class": "x" * 20_000}), "scheduler"),
        (replace(PAINTING, warnings=(Notice("job.worker", {}),)), "no sentence of an engine"),
        (replace(PAINTING, images=IMAGES[:1]), "1 images; allowed are 2"),
        (replace(PAINTING, images=IMAGES[::-1]), "seed 8 of image 0; allowed is 7"),
        (
            replace(PAINTING, recipe=replace(RECIPE, checkpoint=Weights("demo", "x", "a"))),
            "sha256 of weights",
        ),
        (
            replace(PAINTING, recipe=replace(RECIPE, vae=Weights("demo", "a" * 64, "<b>"))),
            "short hash",
        ),
        (replace(PAINTING, warnings=(WARNING,) * 101), "101 warnings"),
        (replace(PAINTING, warnings=(Notice("no.such", {}),)), "no.such"),
        (replace(PAINTING, warnings=(Notice("memory.lowered", {}),)), "KeyError"),
    ],
)
def test_a_painting_that_was_not_asked_for_is_refused(wrong: Painting, field: str) -> None:
    with pytest.raises(WireError, match=f"^painting: .*{field}") as refused:
        paintings.decode(paintings.encode(wrong), ASKED, TEXTS)
    assert CANARY not in str(refused.value)


@pytest.mark.parametrize(
    "recipe",
    [
        replace(RECIPE, environment={"device_name": "https://example.org"}),
        replace(RECIPE, environment={"device_name": "a\nb"}),
        replace(RECIPE, vae=replace(CHECKPOINT, name="x" * 400)),
        replace(RECIPE, text_encoder=replace(CHECKPOINT, name="x" * 400)),
        replace(RECIPE, vae=replace(CHECKPOINT, name="https://example.org")),
    ],
)
def test_what_people_are_shown_of_a_recipe_is_a_short_line(recipe: Recipe) -> None:
    data = paintings.encode(replace(PAINTING, recipe=recipe))
    with pytest.raises(WireError, match="allowed is a line"):
        paintings.decode(data, ASKED, TEXTS)


def test_an_image_that_was_not_sent_is_missed() -> None:
    sent = paintings.decode(paintings.encode(PAINTING), ASKED, TEXTS)
    with pytest.raises(WireError, match=IMAGES[1].pixels_sha256):
        sent.with_images({IMAGES[0].pixels_sha256: IMAGES[0]})
