"""What is found in a finished image is painted again, each part with noise of its own."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from bot.engine import Engine
from bot.errors import JobFailed
from bot.recipe import Found, Recipe
from bot.request import Box, ControlUse, DetailUse, Hires, InitImage
from catalog import Catalog, DetectorEntry
from tests.engine import grounding_dino
from tests.engine.factories import catalog, digests, paint, picture, request
from tests.engine.test_inpainting import pixels

FACE = (DetailUse("face"),)


@pytest.fixture(scope="module")
def folder(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("detector")
    grounding_dino.write(folder, grounding_dino.module())
    return folder


@pytest.fixture
def offered(folder: Path) -> Catalog:
    return catalog(detector=DetectorEntry(path=str(folder)))


@pytest.fixture
def boxes(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Box]]:
    """What the detector finds, by word, in any image."""
    from bot.engine import detector

    there: dict[str, list[Box]] = {}

    def told(_: Any, image: PIL.Image.Image, word: str) -> Any:
        assert image.mode == "RGB"
        return [(0.9, box) for box in there.get(word, [])]

    monkeypatch.setattr(detector.Finder, "boxes", told)
    return there


LEFT, RIGHT = Box(10, 16, 12, 12), Box(40, 16, 12, 12)


def test_only_the_parts_that_are_found_change(
    engine: Engine, offered: Catalog, boxes: dict[str, list[Box]]
) -> None:
    boxes["face"] = [RIGHT, LEFT]
    plain = paint(engine, request(steps=4), offered)
    painted = paint(engine, request(steps=4, detail=FACE), offered)
    before, after = (pixels(each.images[0].image) for each in (plain, painted))
    for box in (LEFT, RIGHT):
        part = (slice(box.top, box.top + box.height), slice(box.left, box.left + box.width))
        assert (after[part] != before[part]).any(-1).mean() > 0.8
    assert (after[:, 30:31] == before[:, 30:31]).all()
    assert (after[48:] == before[48:]).all()
    assert painted.recipe.found == (Found(11, "face", LEFT), Found(11, "face", RIGHT))
    assert painted.recipe.detector is not None
    assert (painted.recipe.detector.name, plain.recipe.detector) == (
        Path(offered.detector.path).name if offered.detector else "",
        None,
    )
    assert digests(paint(engine, request(steps=4, detail=FACE), offered)) == digests(painted)
    assert Recipe.from_dict(painted.recipe.to_dict()) == painted.recipe
    assert painted.warnings == plain.warnings


@pytest.mark.parametrize("tile", [False, True])
def test_a_part_is_what_painting_it_alone_gives(
    engine: Engine, offered: Catalog, boxes: dict[str, list[Box]], tile: bool
) -> None:
    """Of the first, with the image's own seed; of the second, with the next, and over the first.
    A part's own edges do not meet."""
    import hashlib
    import io

    from bot.request import Area
    from tests.engine import factories

    boxes["face"], strength = [LEFT, RIGHT], 0.6
    detail = (DetailUse("face", strength),)
    painted = paint(engine, request(steps=4, detail=detail, tile=tile), offered)
    image = paint(engine, request(steps=4, tile=tile), offered).images[0].image

    def kept(image: PIL.Image.Image) -> str:
        file = io.BytesIO()
        image.save(file, "PNG")
        sha256 = hashlib.sha256(file.getvalue()).hexdigest()
        factories.KEPT[sha256] = file.getvalue()
        return sha256

    for n, box in enumerate((LEFT, RIGHT)):
        mask = PIL.Image.new("L", (64, 64))
        mask.paste(255, (box.left, box.top, box.left + box.width, box.top + box.height))
        init = InitImage(kept(image), strength, kept(mask), area=Area(32, 64, 64))
        asked = request(steps=4, seed=11 + n, init_image=init)
        image = paint(engine, asked, offered).images[0].image
    assert (pixels(image) == pixels(painted.images[0].image)).all()


def test_opposite_edges_that_meet_still_do(
    engine: Engine, offered: Catalog, boxes: dict[str, list[Box]]
) -> None:
    boxes["face"] = [Box(0, 20, 24, 24), Box(56, 0, 8, 3)]
    plain = pixels(paint(engine, request(steps=4, tile=True), offered).images[0].image)
    painted = paint(engine, request(steps=4, tile=True, detail=FACE), offered)
    after = pixels(painted.images[0].image)
    for edge in (np.s_[:, 0], np.s_[:, -1], np.s_[0], np.s_[-1]):
        assert (after[edge] == plain[edge]).all()
    assert (after != plain).any()


@pytest.mark.parametrize("box", [Box(0, 0, 64, 64), Box(40, 3, 24, 24)])
def test_what_is_off_the_edges_lies_within_them(box: Box) -> None:
    from bot.engine.regions import off_edges

    inner = off_edges(box, (64, 64))
    assert inner is not None
    assert min(inner.left, inner.top, 64 - inner.left - inner.width) > 0
    assert off_edges(Box(0, 0, 2, 40), (64, 64)) is None


@pytest.mark.long
def test_words_come_one_after_the_other_with_their_strengths(
    engine: Engine, offered: Catalog, boxes: dict[str, list[Box]]
) -> None:
    boxes["face"], boxes["hand"] = [RIGHT], [LEFT]
    two = (DetailUse("face"), DetailUse("hand", 0.9))
    painted = paint(engine, request(steps=4, detail=two, count=2), offered)
    assert [(each.seed, each.word) for each in painted.recipe.found] == [
        (11, "face"),
        (11, "hand"),
        (12, "face"),
        (12, "hand"),
    ]
    single = paint(engine, request(steps=4, detail=two, seed=12), offered)
    assert digests(single) == digests(painted)[1:]
    weaker = (DetailUse("face"), DetailUse("hand", 0.3))
    assert digests(paint(engine, request(steps=4, detail=weaker, count=2), offered)) != digests(
        painted
    )


def test_it_comes_after_the_second_pass(
    engine: Engine, offered: Catalog, boxes: dict[str, list[Box]]
) -> None:
    boxes["face"] = [Box(90, 90, 20, 20)]
    hires = Hires(2.0, 0.4, 4)
    plain = paint(engine, request(hires=hires), offered).images[0].image
    painted = paint(engine, request(hires=hires, detail=FACE), offered).images[0].image
    assert plain.size == painted.size == (128, 128)
    before, after = pixels(plain), pixels(painted)
    assert (after[:80] == before[:80]).all()
    assert (after[90:110, 90:110] != before[90:110, 90:110]).any()


def test_where_nothing_is_found_the_image_stays_and_that_is_said(
    engine: Engine, offered: Catalog, boxes: dict[str, list[Box]], monkeypatch: pytest.MonkeyPatch
) -> None:
    painted = paint(engine, request(detail=FACE), offered)
    assert digests(painted) == digests(paint(engine, request(), offered))
    assert [(each.code, dict(each.params)) for each in painted.warnings] == [
        ("detail.none", {"words": ("face",)})
    ]
    assert painted.recipe.found == ()
    from bot.engine import detector

    seen: list[int] = []

    def second(*_: object) -> Any:
        seen.append(0)
        return [(0.9, LEFT)] if len(seen) == 2 else []

    monkeypatch.setattr(detector.Finder, "boxes", second)
    painted = paint(engine, request(detail=FACE, count=3), offered)
    assert [(each.code, dict(each.params)) for each in painted.warnings] == [
        ("detail.none_in", {"words": ("face",), "images": ("1", "3")})
    ]


def test_controlnets_follow_their_part(
    engine: Engine,
    folder: Path,
    models_dir: Path,
    tmp_path: Path,
    boxes: dict[str, list[Box]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from bot.engine.controls.preparing import Maps
    from tests.engine.controls import tiny
    from tests.engine.factories import TINY, plain_pipeline

    boxes["face"] = [LEFT]
    made = tiny.network(plain_pipeline(models_dir / TINY).unet, "controlnet")
    paths = {"controlnet": tiny.write(tmp_path / "controlnet", made)}
    offered = catalog(controlnets=tiny.offered(paths), detector=DetectorEntry(path=str(folder)))
    regions: list[Box | None] = []
    of = Maps.of

    def seen(self: Any, *asked: Any) -> Any:
        regions.append(self.region and self.region.box)
        return of(self, *asked)

    monkeypatch.setattr(Maps, "of", seen)
    use = ControlUse("controlnet", picture((64, 64)), "lineart", is_map=True)
    paint(engine, request(detail=FACE, controls=(use,)), offered)
    assert regions[0] is None
    assert regions[-1] is not None


@pytest.mark.long
def test_what_really_finds_something_is_the_same_again(fresh: Engine, offered: Catalog) -> None:
    """With the network itself, on the image as it is."""
    asked = request(detail=(DetailUse("face"), DetailUse("hand")))
    painted = paint(fresh, asked, offered)
    assert painted.recipe.found
    assert digests(paint(fresh, asked, offered)) == digests(painted)
    assert painted.recipe.found == paint(fresh, asked, offered).recipe.found


def test_without_a_detector_there_is_no_order(engine: Engine) -> None:
    with pytest.raises(JobFailed) as failed:
        paint(engine, request(detail=FACE))
    assert failed.value.code == "detail.no_detector"


def test_on_a_card_that_is_too_small_the_model_makes_room(
    models_dir: Path, tmp_path: Path, offered: Catalog, boxes: dict[str, list[Box]]
) -> None:
    boxes["face"] = [LEFT]
    small = Engine(models_dir=models_dir, hashes_file=tmp_path / "h.json", memory="8gb")
    try:
        low = paint(small, request(detail=FACE), offered)
        assert digests(low) == digests(paint(small, request(detail=FACE), offered))
        other = replace(request(detail=FACE), seed=12)
        assert digests(paint(small, other, offered)) != digests(low)
    finally:
        small.close()
