"""The drawn images, their captions, and the recognition of what an image shows."""

import math
import random

import numpy as np
import pytest
from PIL import Image

from tools.demo import judge
from tools.demo.pictures.layout import lay_out
from tools.demo.pictures.rendering import render
from tools.demo.pictures.scenes import COLOURS, SHAPES, SIDE, Group, Scene, draw_scene, held_out
from tools.demo.pictures.styles import STYLES
from tools.demo.words import caption, known_words

MANY = range(300)


def alone(shape: str, colour: str = "red", ground: str = "white", place: str = "") -> Scene:
    return Scene((Group(shape, colour, place=place),), "plain", ground)


def drawn(scene: Scene, seed: int = 0, style: str = "flat") -> Image.Image:
    return render(scene, random.Random(seed), style)


@pytest.mark.parametrize("style", STYLES)
def test_the_same_seed_draws_the_same_picture(style: str) -> None:
    scene = draw_scene(random.Random(3))
    first, again, other = (drawn(scene, seed, style) for seed in (1, 1, 2))
    assert first.size == (SIDE, SIDE)
    assert first.tobytes() == again.tobytes() != other.tobytes()


def test_the_styles_differ() -> None:
    scene = alone("heart")
    assert len({drawn(scene, 1, style).tobytes() for style in STYLES}) == len(STYLES)


def test_what_is_held_out_is_in_no_training_picture_and_everything_else_may_be() -> None:
    for seed in MANY:
        scene = draw_scene(random.Random(seed))
        for group in scene.groups:
            assert not held_out(group.shape, group.colour, scene.ground_colour)
            assert group.colour not in {scene.ground_colour, scene.sky}
    pairs = [(c, g) for c in COLOURS for g in COLOURS if c != g]
    kept = [(s, c, g) for s in SHAPES for c, g in pairs if held_out(s, c, g)]
    assert {s for s, _, _ in kept} == {*SHAPES}
    assert {c for _, c, _ in kept} == {g for _, _, g in kept} == {*COLOURS}
    assert len(kept) < 0.15 * len(SHAPES) * len(pairs)


@pytest.mark.parametrize("size", [(SIDE, SIDE), (104, 152), (152, 104)])
def test_things_are_apart_and_inside(size: tuple[int, int]) -> None:
    for seed in MANY:
        rng = random.Random(seed)
        scene = draw_scene(rng)
        things = lay_out(scene, rng, *size)
        assert len(things) == sum(group.count for group in scene.groups)
        for n, thing in enumerate(things):
            for other in things[:n]:
                distance = math.hypot(thing.x - other.x, thing.y - other.y)
                assert distance > thing.radius + other.radius
            assert thing.radius <= thing.x <= size[0] - thing.radius
            assert thing.radius <= thing.y <= size[1] - thing.radius


def test_every_caption_is_made_of_known_words() -> None:
    known = {*known_words()}
    for seed in MANY:
        rng = random.Random(seed)
        words = caption(draw_scene(rng), rng)
        unknown = {*words.replace(",", " ").replace("d'", " ").split()} - known
        assert not unknown, words


def test_a_caption_says_what_is_there() -> None:
    said = {caption(alone("star", "green", "black"), random.Random(seed)) for seed in MANY}
    assert "a green star on a black background" in said
    assert any("étoile verte" in words for words in said)


@pytest.mark.long
@pytest.mark.parametrize("colour", COLOURS)
def test_the_judge_tells_every_shape_and_colour(colour: str) -> None:
    ground = next(name for name in ("black", "white") if name != colour)
    for shape in SHAPES:
        for seed in range(3):
            picture = drawn(alone(shape, colour, ground), seed)
            (thing,) = judge.things(picture)
            assert judge.shape_of(thing) == shape
            assert judge.colour_of(picture, thing) == colour
            assert judge.colour_name(judge.ground(picture)) == ground


def test_the_judge_counts() -> None:
    scene = Scene((Group("circle", "blue", count=3, size="small"),), "plain", "yellow")
    assert len(judge.things(drawn(scene))) == 3
    assert judge.things(Image.new("RGB", (SIDE, SIDE), COLOURS["red"])) == []


def test_the_judge_tells_where_a_thing_is() -> None:
    for place, x, y in (("left", 0.26, 0.5), ("top", 0.5, 0.26)):
        (thing,) = judge.things(drawn(alone("circle", place=place)))
        assert judge.middle_of(thing) == pytest.approx((x, y), abs=0.06)
    two = Scene((Group("circle", "red"), Group("square", "green")), "plain", "white")
    pictures = [drawn(two, seed) for seed in range(8)]
    assert {judge.is_left(picture, "red") for picture in pictures} == {True, False}
    assert all(judge.is_left(p, "red") != judge.is_left(p, "green") for p in pictures)


def test_lightness_and_colour_are_cielab_s() -> None:
    white, red = judge.lab(np.array([[255.0, 255, 255], [255, 0, 0]]))
    assert white == pytest.approx([100, 0, 0], abs=0.1)
    assert red == pytest.approx([53.2, 80.1, 67.2], abs=0.3)
