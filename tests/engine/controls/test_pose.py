"""Poses as transformers tells them, from checked files, and without anything left on the device."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from bot.engine import Engine
from bot.errors import JobFailed, PaintStopped, StopReason
from bot.request import Box
from tests.engine.controls import vitpose
from tests.engine.controls.test_depth import nothing, picture
from tests.engine.controls.vitpose import POINTS, SIZE

BOXES = (Box(3, 5, 40, 50), Box(-4, 0, 90, 60), Box(60, 20, 20, 90), Box(10, 10, 30, 40))
COCO_OF_OPENPOSE = {0: 0, 2: 6, 3: 8, 4: 10, 5: 5, 6: 7, 7: 9, 8: 12, 9: 14, 10: 16, 11: 11} | {
    12: 13,
    13: 15,
    14: 2,
    15: 1,
    16: 4,
    17: 3,
}


@pytest.fixture(scope="module", autouse=True)
def _libraries() -> None:
    Engine(models_dir=Path(), hashes_file=Path()).warm_up()
    import torch

    torch.set_num_threads(1)


class Estimator:
    """An estimator and the files of one folder."""

    def __init__(self, folder: Path) -> None:
        # Later than at the top: torch is imported only once the libraries are prepared.
        from bot.engine.controls.pose import PoseEstimator
        from bot.engine.environment import Place

        self.folder = folder
        self.inner = PoseEstimator(Place("cpu", "auto"))

    def __call__(
        self,
        image: PIL.Image.Image,
        boxes: Sequence[Box] | None = None,
        sha256: str = "a",
        check_stop: Callable[[], None] = nothing,
    ) -> Any:
        """The people in an image. boxes: what a detector finds in it; None without one."""
        from bot.engine.sources import Source
        from bot.engine.subject import Subject

        files = (self.folder / "config.json", self.folder / "model.safetensors")
        source = Source(self.folder, files)
        subject = Subject("pose", "tiny", nothing, check_stop)
        detector = None if boxes is None else (source, lambda _: boxes)
        return self.inner.people(source, (sha256, image), subject, detector)


@pytest.mark.parametrize(
    ("write", "simple", "mixed"),
    [
        (vitpose.write, True, False),
        (vitpose.write, False, True),
        (vitpose.write_renamed, True, True),
    ],
)
def test_it_tells_what_transformers_tells(
    tmp_path: Path, write: Callable[[Path, Any], None], *, simple: bool, mixed: bool
) -> None:
    import torch
    from transformers import VitPoseForPoseEstimation
    from transformers.models.vitpose import image_processing_pil_vitpose as theirs

    from bot.engine.controls.pose import THRESHOLD, _blurred, seen, shown

    network = vitpose.module(simple=simple, mixed=mixed)
    write(tmp_path, network)
    vitpose.write(tmp_path / "theirs", network)
    image = picture(100, 120)
    found = Estimator(tmp_path)(image, BOXES)
    reference = VitPoseForPoseEstimation.from_pretrained(tmp_path / "theirs")
    index = {"dataset_index": torch.tensor([0])} if mixed else {}
    drawn = []
    for box in BOXES:
        sides = (box.left, box.top, box.width, box.height)
        center, scale = theirs.box_to_center_and_scale(sides, *SIZE)
        pixels = torch.from_numpy(shown(image, seen(box, SIZE), SIZE))
        heatmaps = reference(pixels, **index).heatmaps.detach().numpy()
        coords, scores = theirs.get_keypoint_predictions(heatmaps)
        # scipy, which it blurs with, is not among our packages.
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(theirs, "gaussian_filter", lambda m, **_: _blurred(m), raising=False)
            peaks = coords[0].copy()
            refined = theirs.post_dark_unbiased_data_processing(coords, heatmaps, kernel=11)[0]
        # It lets a point go anywhere where a heatmap has no peak; here it stays.
        near = (np.abs(refined - peaks) <= 1).all(axis=1)
        refined = np.where(near[:, None], refined, peaks)
        points = theirs.transform_preds(refined, center, scale, heatmaps.shape[2:])
        seen_points = scores[0, :, 0] > THRESHOLD
        assert 4 < seen_points.sum() <= POINTS
        drawn.append((points, seen_points))
    assert len(found) == len(BOXES)
    for person, (points, sure) in zip(found, drawn, strict=True):
        for ours, coco in COCO_OF_OPENPOSE.items():
            assert (person[ours] is not None) == sure[coco]
            if person[ours] is not None:
                assert np.abs(np.array(person[ours]) - points[coco]).max() < 1e-2


@pytest.mark.parametrize("box", BOXES)
def test_it_sees_what_transformers_shows_it(box: Box) -> None:
    from transformers.models.vitpose import image_processing_pil_vitpose as theirs

    from bot.engine.controls.pose import DEVIATION, MEAN, seen, shown

    image = picture(100, 120)
    sides = (box.left, box.top, box.width, box.height)
    center, scale = theirs.box_to_center_and_scale(sides, *SIZE)
    matrix = theirs.get_warp_matrix(0, center * 2.0, np.array(SIZE) - 1.0, scale * 200.0)
    back = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))
    ours = (shown(image, seen(box, SIZE), SIZE)[0].transpose(1, 2, 0) * DEVIATION + MEAN) * 255
    levels = np.asarray(image, float)
    compared = 0
    for row in range(SIZE[1]):
        for column in range(SIZE[0]):
            x, y, _ = back @ (column, row, 1)
            if 0 <= x < image.width - 1 and 0 <= y < image.height - 1:
                left, top = int(x), int(y)
                right, below = x - left, y - top
                around = levels[top : top + 2, left : left + 2]
                upper = around[0, 0] * (1 - right) + around[0, 1] * right
                lower = around[1, 0] * (1 - right) + around[1, 1] * right
                expected = upper * (1 - below) + lower * below
                assert np.abs(ours[row, column] - expected).max() < 1.5
                compared += 1
            elif not (-1 < x < image.width and -1 < y < image.height):
                assert np.abs(ours[row, column]).max() < 1e-3
    assert compared > 200


def test_a_peak_is_told_within_a_pixel() -> None:
    from bot.engine.controls.pose import points

    rows, columns = np.mgrid[:64, :48]
    middles = [(20.3, 30.6), (5.0, 40.8), (41.9, 9.2)]
    heatmaps = [np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8) for x, y in middles]
    faint = heatmaps[0] * 0.3
    # A view whose outer pixels are 2 pixels of the image apart, across, and 3 down.
    found = points(np.array([*heatmaps, faint], np.float32), (10.0, 20.0, 94.0, 189.0))
    assert found[3] is None
    for point, (x, y) in zip(found, middles, strict=False):
        assert point is not None
        assert abs(point[0] - (10 + 2 * x)) < 0.3
        assert abs(point[1] - (20 + 3 * y)) < 0.5


def test_each_image_is_looked_at_once(tmp_path: Path) -> None:
    vitpose.write(tmp_path, vitpose.module())
    estimate = Estimator(tmp_path)
    first = estimate(picture(), BOXES[:1])
    assert estimate(picture(56, 56), BOXES) == first
    assert len(estimate(picture(), BOXES, "b")) == len(BOXES)
    # Without what finds people, the image shows one.
    [alone] = estimate(picture())
    assert [alone] == [*Estimator(tmp_path)(picture(), (Box(0, 0, 90, 60),))]
    # Other files may tell something else.
    vitpose.write(tmp_path, vitpose.module(seed=4))
    assert estimate(picture(), BOXES[:1]) != first


def test_where_nobody_is_nothing_is_followed(tmp_path: Path) -> None:
    network = vitpose.module()
    vitpose.write(tmp_path, network)
    with pytest.raises(JobFailed) as failed:
        Estimator(tmp_path)(picture(), ())
    assert (failed.value.code, failed.value.params) == ("pose.nobody", {"pose": "tiny"})
    import torch

    with torch.no_grad():
        network.head.conv.bias.fill_(-100.0)
    vitpose.write(tmp_path, network)
    with pytest.raises(JobFailed) as failed:
        Estimator(tmp_path)(picture(), BOXES)
    assert failed.value.code == "pose.nobody"


def test_a_job_that_was_stopped_stops(tmp_path: Path) -> None:
    vitpose.write(tmp_path, vitpose.module())

    def stop() -> None:
        raise PaintStopped(StopReason.CANCELLED)

    with pytest.raises(PaintStopped):
        Estimator(tmp_path)(picture(), BOXES, check_stop=stop)


@pytest.mark.parametrize(
    ("stated", "field"),
    [
        ({"model_type": "vit"}, "pose.model_type"),
        ({"backbone": "org/other"}, "pose.backbone"),
        ({"auto_map": {"AutoModel": "code.Network"}}, "pose.auto_map"),
        ({"id2label": {"0": "nose"}}, "pose.id2label"),
        ({"architectures": ["VitModel"]}, "pose.architectures"),
        ({"backbone_config": {"hidden_act": "code"}}, "pose.backbone_config.hidden_act"),
        ({"backbone_config": {"image_size": [9, 9, 9]}}, "pose.backbone_config.image_size"),
        ({"backbone_config": None}, "pose.backbone_config.config.json"),
    ],
)
def test_a_configuration_is_checked(tmp_path: Path, stated: dict[str, Any], field: str) -> None:
    vitpose.write(tmp_path, vitpose.module(), stated)
    with pytest.raises(JobFailed) as failed:
        Estimator(tmp_path)(picture())
    assert failed.value.code == "pose.configuration"
    assert failed.value.params["field"] == field


@pytest.mark.parametrize(
    ("lost", "code"),
    [("head.conv.bias", "pose.incomplete"), ("head.batchnorm1.running_var", "pose.incomplete")],
)
def test_files_that_lack_something_are_named(tmp_path: Path, lost: str, code: str) -> None:
    from tests.engine.factories import save

    network = vitpose.module(simple=False)
    vitpose.write(tmp_path, network)
    tensors = network.state_dict()
    del tensors[lost]
    save(tmp_path / "model.safetensors", tensors)
    with pytest.raises(JobFailed) as failed:
        Estimator(tmp_path)(picture())
    assert failed.value.code == code
    assert lost in str(failed.value.params["part"])


def test_what_is_not_finite_is_no_pose(tmp_path: Path) -> None:
    import torch

    network = vitpose.module()
    with torch.no_grad():
        network.head.conv.bias[0] = torch.inf
    vitpose.write(tmp_path, network)
    with pytest.raises(JobFailed) as failed:
        Estimator(tmp_path)(picture())
    assert failed.value.code == "pose.unreadable"


def test_a_configuration_that_is_no_json_is_named(tmp_path: Path) -> None:
    vitpose.write(tmp_path, vitpose.module())
    (tmp_path / "config.json").write_text(json.dumps({})[:1], encoding="utf-8")
    with pytest.raises(JobFailed) as failed:
        Estimator(tmp_path)(picture())
    assert failed.value.code == "pose.unreadable"
