"""Only a part of an image is painted, at a size of its own, and put back."""

from dataclasses import replace
from typing import Any

import numpy as np
import PIL.Image
import pytest

from bot.engine import Engine
from bot.request import Area, Box, ControlUse, InitImage
from tests.engine.factories import digests, opened, paint, picture, request
from tests.engine.test_inpainting import mask, pixels, plain
from tests.engine.test_pictures import CONFIG, KINDS

__all__ = ["plain"]

WHOLE = (160, 128)


def only(sha256: str, masked: str, padding: int = 16, strength: float = 0.6, **options: Any) -> Any:
    init = InitImage(sha256, strength, masked, area=Area(padding, *WHOLE))
    return request(init_image=init, **options)


@pytest.mark.parametrize(
    ("white", "padding"),
    [
        pytest.param((48, 48, 80, 80), 16, id="as it is"),
        pytest.param((48, 32, 80, 64), 0, id="at twice the size"),
        pytest.param((128, 96, 160, 128), 32, id="at an edge"),
        pytest.param((40, 50, 104, 82), 0, id="wider than the result", marks=pytest.mark.long),
    ],
)
def test_without_a_seam_the_pixels_are_those_of_diffusers(
    engine: Engine,
    plain: Any,
    white: tuple[int, int, int, int],
    padding: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import diffusers
    import torch

    from bot.engine import regions

    monkeypatch.setattr(regions, "SEAM_MIN", 0)
    monkeypatch.setattr(regions, "SEAMS", 1000)
    sha256, masked = picture(WHOLE), mask(white, WHOLE)
    kind, config = KINDS["DDIM"]
    plain.scheduler = getattr(diffusers, kind)(**CONFIG, **config)
    theirs = plain(
        "a fox in the snow",
        image=opened(sha256),
        mask_image=opened(masked).convert("L"),
        padding_mask_crop=padding,
        strength=0.6,
        width=64,
        height=64,
        guidance_scale=5.0,
        num_inference_steps=5,
        generator=torch.Generator().manual_seed(11),
    ).images[0]
    asked = only(sha256, masked, padding, scheduler="DDIM", steps=5)
    ours = paint(engine, asked).images[0].image
    assert ours.size == theirs.size == WHOLE
    assert np.abs(pixels(ours) - pixels(theirs)).max() <= 1
    assert (pixels(ours) != pixels(opened(sha256))).any()


@pytest.mark.parametrize("strength", [0.5, 1.0])
@pytest.mark.parametrize("white", [(70, 50, 90, 66), (0, 0, 12, 12), (150, 0, 160, 128)])
def test_every_pixel_outside_the_mask_and_its_seam_is_kept(
    engine: Engine, white: tuple[int, int, int, int], strength: float
) -> None:
    sha256 = picture(WHOLE)
    asked = only(sha256, mask(white, WHOLE), 8, strength, steps=4)
    painted = paint(engine, asked)
    after, before = pixels(painted.images[0].image), pixels(opened(sha256))
    left, top, right, bottom = white
    kept = np.ones(WHOLE[::-1], bool)
    kept[max(0, top - 8) : bottom + 8, max(0, left - 8) : right + 8] = False
    assert (after[kept] == before[kept]).all()
    assert (after[top:bottom, left:right] != before[top:bottom, left:right]).any(-1).mean() > 0.9
    assert digests(paint(engine, asked)) == digests(painted)


def test_a_mask_without_white_changes_nothing(engine: Engine) -> None:
    sha256 = picture(WHOLE)
    painted = paint(engine, only(sha256, mask((0, 0, 1, 1), WHOLE, level=0))).images[0].image
    assert (pixels(painted) == pixels(opened(sha256))).all()


def test_the_edges_of_what_is_cut_out_do_not_meet(engine: Engine) -> None:
    asked = only(picture(WHOLE), mask((70, 50, 90, 66), WHOLE))
    assert digests(paint(engine, replace(asked, tile=True))) == digests(paint(engine, asked))


def test_each_image_of_a_request_has_its_own(engine: Engine) -> None:
    sha256 = picture(WHOLE)
    several = digests(paint(engine, only(sha256, mask((70, 50, 90, 66), WHOLE), count=2)))
    assert len({*several}) == 2
    second = paint(engine, only(sha256, mask((70, 50, 90, 66), WHOLE), seed=12))
    assert digests(second) == several[1:]


@pytest.mark.usefixtures("models_dir")
class TestShapes:
    @pytest.mark.parametrize(
        ("bounds", "padding", "size", "box"),
        [
            ((40, 40, 60, 60), 10, (64, 64), Box(30, 30, 40, 40)),
            ((40, 40, 80, 50), 0, (64, 64), Box(40, 25, 40, 40)),
            ((40, 40, 50, 80), 0, (128, 64), Box(5, 40, 80, 40)),
            # At an edge it is moved, and where there is too little of the image it goes beyond.
            ((0, 90, 30, 100), 0, (64, 64), Box(0, 70, 30, 30)),
            ((0, 0, 100, 100), 0, (128, 64), Box(-50, 0, 200, 100)),
        ],
    )
    def test_boxes(self, bounds: Any, padding: int, size: Any, box: Box) -> None:
        from bot.engine.regions import shaped

        assert shaped(bounds, padding, (100, 100), size) == box

    def test_what_is_beyond_the_image_goes_on_with_its_edge(self) -> None:
        from bot.engine.regions import Region

        image = PIL.Image.new("RGB", (100, 100), "red")
        image.paste("blue", (50, 0, 100, 100))
        white = PIL.Image.new("L", (100, 100), 255)
        region = Region.of(image, white, 0, (128, 64), 0.5)
        assert region.box == Box(-50, 0, 200, 100)
        assert pixels(region.image)[32, 4].tolist() == [255, 0, 0]
        assert pixels(region.image)[32, 124].tolist() == [0, 0, 255]
        assert (pixels(region.over(region.image))[:, 55:] == [0, 0, 255]).all()

    def test_of_another_picture_it_is_the_same_part(self) -> None:
        from bot.engine.regions import Region

        image, white = PIL.Image.new("RGB", (100, 100)), PIL.Image.new("L", (100, 100))
        white.paste(255, (30, 30, 70, 70))
        region = Region.of(image, white, 6, (64, 64), 0.5)
        assert region.box == Box(16, 16, 68, 68)
        # Twice as large, and wider: its middle is what the image shows.
        other = PIL.Image.new("RGB", (300, 200))
        other.paste("white", (82, 32, 218, 168))
        assert (pixels(region.part_of(other)) == 255).all()
        assert region.part_of(other).size == (136, 136)
        depth = other.resize((150, 100)).convert("F")
        assert region.part_of(depth, (300, 200)).size == (136, 136)

    def test_poses_are_followed_in_that_part_of_theirs(self) -> None:
        from types import SimpleNamespace

        from bot.engine.controls.preparing import Maps
        from bot.engine.controls.skeleton import from_coco
        from bot.engine.regions import Region

        sha256, white = "a" * 64, PIL.Image.new("L", (100, 100))
        white.paste(255, (30, 30, 70, 70))
        picture = PIL.Image.new("RGB", (200, 200))
        region = Region.of(PIL.Image.new("RGB", (100, 100)), white, 6, (64, 64), 0.5)
        person = from_coco([(60.0 + 5 * n, 60.0 + 7 * n % 90) for n in range(17)])
        moved = tuple(point and (point[0] - 32, point[1] - 32) for point in person)
        use = ControlUse("any", sha256, "openpose", of_photo=True)

        def map_of(image: PIL.Image.Image, people: Any, region: Any = None) -> Any:
            shown: Any = SimpleNamespace(pictures={sha256: image})
            return pixels(Maps(shown, {}, {sha256: (people,)}, region).of(use, (64, 64)))

        found = map_of(picture, person, region)
        assert found.any()
        assert (found == map_of(picture.crop((32, 32, 168, 168)), moved)).all()
        assert (found != map_of(picture, person)).any()

    @pytest.mark.parametrize("kind", ["canny", "depth", "lineart", "segment"])
    @pytest.mark.parametrize("is_map", [False, True])
    def test_controlnets_follow_that_part_of_theirs(self, kind: str, is_map: bool) -> None:
        from types import SimpleNamespace

        from bot.engine.controls.preparing import Maps
        from bot.engine.regions import Region

        sha256, white = "a" * 64, PIL.Image.new("L", (100, 100))
        white.paste(255, (30, 30, 70, 70))
        followed = PIL.Image.new("RGB", (100, 100), "red")
        followed.paste("white", (40, 30, 90, 55))
        region = Region.of(followed, white, 6, (64, 64), 0.5)
        depth = PIL.Image.linear_gradient("L").resize((50, 50)).convert("F")
        use = ControlUse("any", sha256, kind, is_map=is_map)

        def map_of(image: PIL.Image.Image, far: PIL.Image.Image, region: Any = None) -> Any:
            shown: Any = SimpleNamespace(pictures={sha256: image})
            return pixels(Maps(shown, {sha256: far}, {}, region).of(use, (64, 64)))

        part = (16, 16, 84, 84)
        large = depth.resize((100, 100), PIL.Image.Resampling.BICUBIC)
        expected = map_of(followed.crop(part), large.crop(part))
        assert (map_of(followed, depth, region) == expected).all()
        assert (map_of(followed, depth) != expected).any()
