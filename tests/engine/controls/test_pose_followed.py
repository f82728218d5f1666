"""A ControlNet that follows a pose: of the people in a photo, as the estimator tells it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch

from bot.engine import Engine
from bot.engine.controls import pose, skeleton
from bot.engine.controls.pose import PoseEstimator
from bot.engine.detector import Finder
from bot.errors import JobFailed
from bot.request import ControlUse, Hires, MapDraft, Picture
from bot.request.mapping import compose_map
from catalog import Catalog, ControlNets, DetectorEntry, PoseEntry
from tests.engine import grounding_dino
from tests.engine.controls import tiny, vitpose
from tests.engine.controls.test_depth_followed import kept
from tests.engine.factories import (
    TINY,
    catalog,
    digests,
    opened,
    paint,
    picture,
    plain_pipeline,
    request,
)

KEY = "controlnet"


@pytest.fixture(scope="module")
def network() -> Any:
    return vitpose.module()


@pytest.fixture
def controlnets(models_dir: Path, network: Any, tmp_path: Path) -> ControlNets:
    vitpose.write(tmp_path / "pose", network)
    made = tiny.network(plain_pipeline(models_dir / TINY).unet, KEY)
    offered = tiny.offered({KEY: tiny.write(tmp_path / KEY, made)})
    return ControlNets(offered.entries, pose=PoseEntry(path=str(tmp_path / "pose")))


@pytest.fixture
def alone(controlnets: ControlNets) -> Catalog:
    """Without anything that finds people."""
    return catalog(controlnets=controlnets)


@pytest.fixture
def offered(controlnets: ControlNets, tmp_path: Path) -> Catalog:
    grounding_dino.write(tmp_path / "finds", grounding_dino.module())
    return catalog(controlnets=controlnets, detector=DetectorEntry(path=str(tmp_path / "finds")))


def following(**fields: Any) -> ControlUse:
    return ControlUse(KEY, picture((80, 50), seed=8), "openpose", of_photo=True, **fields)


def map_of(people: Any, image: PIL.Image.Image, size: int) -> PIL.Image.Image:
    """The middle square of the image, as the map of a square result shows it."""
    wide, high = image.size
    left = (wide - high) / 2
    return skeleton.drawn(people, (left, 0.0, left + high, float(high)), (size, size))


def told(network: Any, image: PIL.Image.Image, boxes: Any) -> list[Any]:
    """The people in boxes of an image."""
    people = []
    for box in boxes:
        view = pose.seen(box, vitpose.SIZE)
        seen = torch.from_numpy(pose.shown(image, view, vitpose.SIZE))
        with torch.no_grad():
            heatmaps = network(seen).heatmaps[0].numpy()
        people.append(skeleton.from_coco(pose.points(heatmaps, view)))
    return [each for each in people if sum(point is not None for point in each) >= 4]


def test_it_follows_the_one_person_that_an_image_shows(
    engine: Engine, network: Any, alone: Catalog
) -> None:
    painted = paint(engine, request(controls=(following(),)), alone)
    image = opened(following().sha256)
    people = told(network, image, [pose._all_of(image)])
    assert people
    map_ = map_of(people, image, 64)
    assert map_.getbbox()
    finished = ControlUse(KEY, kept(map_), "openpose", is_map=True)
    assert digests(painted) == digests(paint(engine, request(controls=(finished,)), alone))
    assert digests(painted) != digests(paint(engine, request(), alone))
    recipe = painted.recipe
    assert recipe.pose is not None
    assert recipe.detector is None
    assert "opencv" in recipe.environment
    # In earlier versions the image itself was taken for the map.
    before = ControlUse(KEY, following().sha256, "openpose")
    assert digests(paint(engine, request(controls=(before,)), alone)) != digests(painted)


@pytest.mark.long
def test_the_people_are_found_and_told_once_for_all_passes(
    fresh: Engine, network: Any, offered: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Any] = []
    looked: list[object] = []
    find, estimate = Finder.found, PoseEstimator._estimate

    def finding(self: Finder, image: PIL.Image.Image, words: Any) -> Any:
        assert words == ("person",)
        found.append(find(self, image, words))
        return found[-1]

    def estimating(self: PoseEstimator, *asked: Any) -> Any:
        looked.append(asked)
        return estimate(self, *asked)

    monkeypatch.setattr(Finder, "found", finding)
    monkeypatch.setattr(PoseEstimator, "_estimate", estimating)
    asked = request(controls=(following(),), hires=Hires(1.5, 0.5, 2))
    first = paint(fresh, asked, offered)
    assert digests(first) == digests(paint(fresh, asked, offered))
    assert len(found) == len(looked) == 1
    assert first.recipe.detector is not None
    assert first.recipe.found == ()
    # It is what comes of a finished map, with every person of them.
    boxes = [box for _, box in found[0]]
    assert len(boxes) > 1
    image = opened(following().sha256)
    map_ = map_of(told(network, image, boxes), image, 64)
    plain = paint(fresh, request(controls=(following(),)), offered)
    finished = ControlUse(KEY, kept(map_), "openpose", is_map=True)
    assert digests(plain) == digests(paint(fresh, request(controls=(finished,)), offered))
    # Of an image that is the map already nothing is told.
    assert len(looked) == 1


def test_where_nobody_is_found_it_is_said(
    engine: Engine, offered: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Finder, "found", lambda *_: ())
    other = ControlUse(KEY, picture((60, 60), seed=11), "openpose", of_photo=True)
    with pytest.raises(JobFailed) as failed:
        paint(engine, request(controls=(other,)), offered)
    assert failed.value.code == "pose.nobody"


def test_a_skeleton_is_followed_as_it_is_and_nobody_looked_for_in_it(
    engine: Engine, offered: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def looked(*_: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(Finder, "found", looked)
    monkeypatch.setattr(PoseEstimator, "_estimate", looked)
    person = tuple((20.0 + 7 * (n % 4), 10.0 + 5 * n) for n in range(18))
    sha256 = kept(skeleton.drawn([person], (0.0, 0.0, 96.0, 96.0), (128, 128)))
    given = ControlUse(KEY, sha256, "openpose", of_photo=True)
    finished = ControlUse(KEY, sha256, "openpose", is_map=True)
    painted = paint(engine, request(controls=(given,)), offered)
    assert digests(painted) == digests(paint(engine, request(controls=(finished,)), offered))


def test_an_estimator_that_cannot_be_used_is_named(
    engine: Engine, tmp_path: Path, alone: Catalog
) -> None:
    (tmp_path / "pose/model.safetensors").write_bytes(b"PK\x03\x04" * 100)
    with pytest.raises(JobFailed) as failed:
        paint(engine, request(controls=(following(),)), alone)
    assert failed.value.code == "pose.not_safetensors"
    assert failed.value.params["pose"] == "pose"


def test_a_scribble_is_made_of_a_photo(engine: Engine, alone: Catalog) -> None:
    from bot.engine.controls import maps

    sha256 = picture((80, 50), seed=8)
    use = ControlUse(KEY, sha256, "scribble", of_photo=True)
    map_ = maps.scribble(opened(sha256), (64, 64))
    finished = ControlUse(KEY, kept(map_), "scribble", is_map=True)
    painted = paint(engine, request(controls=(use,)), alone)
    assert digests(painted) == digests(paint(engine, request(controls=(finished,)), alone))


@pytest.mark.parametrize("kind", ["openpose", "canny", "scribble", "lineart"])
def test_a_map_alone_is_the_one_that_is_followed(engine: Engine, alone: Catalog, kind: str) -> None:
    sha256 = picture((80, 50), seed=8)
    draft = MapDraft(image=Picture(sha256, 80, 50), type=kind, side=64)
    asked = compose_map(draft, alone)
    before = engine.loaded
    painted = paint(engine, asked, alone)
    assert engine.loaded == before
    [image] = painted.images
    assert image.image.size == (102, 64)
    assert digests(paint(engine, asked, alone)) == digests(painted)
    assert painted.recipe.checkpoint is None
    assert (painted.recipe.pose is not None) == (kind == "openpose")
    # It is what a ControlNet is shown of the photo in that size.
    use, square = replace(asked.controls[0], key=KEY), replace(asked, width=64, height=64)
    [shown] = paint(engine, square, alone).images
    finished = ControlUse(KEY, kept(shown.image), kind, is_map=True)
    of_photo = paint(engine, request(controls=(use,)), alone)
    assert digests(of_photo) == digests(paint(engine, request(controls=(finished,)), alone))
