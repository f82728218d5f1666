"""Depth as transformers tells it, from checked files, and without anything left on the device."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from bot.engine import Engine
from bot.errors import JobFailed, PaintStopped, StopReason
from tests.engine.controls import depth_anything
from tests.engine.controls.depth_anything import ENCODER, PATCH, SIDE
from tests.engine.factories import save


@pytest.fixture(scope="module")
def network() -> Any:
    Engine(models_dir=Path(), hashes_file=Path()).warm_up()
    import torch

    torch.set_num_threads(1)
    return depth_anything.module()


@pytest.fixture
def folder(network: Any, tmp_path: Path) -> Path:
    depth_anything.write(tmp_path / "depth", network)
    return tmp_path / "depth"


def nothing(*_: object) -> None:
    pass


def picture(width: int = 90, height: int = 60) -> PIL.Image.Image:
    """Of colours that change slowly."""
    bands = [PIL.Image.radial_gradient("L"), PIL.Image.linear_gradient("L")]
    image = PIL.Image.merge("RGB", [*bands, bands[1].rotate(90)])
    return image.resize((width, height))


class Estimator:
    """An estimator and the files of one folder."""

    def __init__(self, folder: Path) -> None:
        # Later than at the top: torch is imported only once the libraries are prepared.
        from bot.engine.controls.depth import DepthEstimator
        from bot.engine.environment import Place

        self.folder = folder
        self.inner = DepthEstimator(Place("cpu", "auto"))

    def __call__(
        self, image: PIL.Image.Image, sha256: str = "a", check_stop: Callable[[], None] = nothing
    ) -> Any:
        """The depths of an image, as an array."""
        from bot.engine.sources import Source
        from bot.engine.subject import Subject

        files = (self.folder / "config.json", self.folder / "model.safetensors")
        subject = Subject("depth", "tiny", nothing, check_stop)
        found = self.inner.depth(Source(self.folder, files), (sha256, image), subject)
        assert found.mode == "F"
        return np.asarray(found)


@pytest.mark.parametrize("size", [(90, 60), (60, 90), (56, 56), (300, 200), (33, 40), (64, 200)])
@pytest.mark.parametrize("write", [depth_anything.write, depth_anything.write_renamed])
def test_it_tells_what_transformers_tells(
    network: Any, tmp_path: Path, write: Callable[[Path, Any], None], size: tuple[int, int]
) -> None:
    from transformers import DepthAnythingForDepthEstimation, DPTImageProcessorPil
    from transformers.pipelines import DepthEstimationPipeline

    write(tmp_path, network)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    found = Estimator(tmp_path)(picture(*size))
    (tmp_path / "config.json").write_text(json.dumps({**config, "max_depth": 1}))
    theirs = DepthAnythingForDepthEstimation.from_pretrained(tmp_path)
    # As the published preprocessor_config.json has it, but for the size.
    processor = DPTImageProcessorPil(
        size={"height": SIDE, "width": SIDE},
        ensure_multiple_of=PATCH,
        keep_aspect_ratio=True,
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )
    pixels = processor(picture(*size), return_tensors="pt")
    expected = theirs(**pixels).predicted_depth[0].detach().numpy()
    assert expected.std() > 0.1
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-5
    # And what people see of it: `depth` is in 8 bits, resized as torch does.
    shown = DepthEstimationPipeline(model=theirs, image_processor=processor)(picture(*size))
    map_ = np.asarray(prepared(found, picture(*size)))[..., 0]
    assert np.abs(map_.astype(int) - np.asarray(shown["depth"], int)).mean() < 3


def prepared(depth: Any, image: PIL.Image.Image) -> PIL.Image.Image:
    from bot.engine.controls import maps

    return maps.prepared(image, "depth", image.size, depth=PIL.Image.fromarray(depth))


@pytest.mark.parametrize("size", [(5, 400), (3000, 20), (9000, 300)])
def test_an_image_of_an_unusual_shape_is_stretched(folder: Path, size: tuple[int, int]) -> None:
    found = Estimator(folder)(picture(*size))
    assert min(found.shape) >= PATCH
    assert max(found.shape) <= 4 * SIDE


def test_each_image_is_looked_at_once(folder: Path, network: Any) -> None:
    estimate = Estimator(folder)
    first = estimate(picture())
    assert (estimate(picture(56, 56), "a") == first).all()
    assert estimate(picture(56, 56), "b").shape != first.shape
    # Other files may tell something else.
    depth_anything.write_renamed(folder, depth_anything.module(seed=4))
    assert not (estimate(picture(), "a") == first).all()


def test_what_was_found_longest_ago_is_forgotten(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.engine.controls import depth

    monkeypatch.setattr(depth, "KEPT", 2)
    looked: list[str] = []
    inner = depth.DepthEstimator._estimate

    def estimating(self: Any, *asked: Any) -> Any:
        looked.append("")
        return inner(self, *asked)

    monkeypatch.setattr(depth.DepthEstimator, "_estimate", estimating)
    estimate = Estimator(folder)
    for sha256 in "abacab":  # b is gone at the end, a is not
        estimate(picture(), sha256)
    assert len(looked) == 4


def test_the_bits_are_the_same_again(folder: Path) -> None:
    again = [Estimator(folder)(picture(300, 200)).tobytes() for _ in range(2)]
    assert again[0] == again[1]


def test_nothing_stays_on_the_device(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import gc
    import weakref

    from bot.engine.controls import depth
    from bot.engine.weights import Part

    parts: list[weakref.ref[Part]] = []

    def seen(*given: Any) -> Part:
        part = Part(*given)
        parts.append(weakref.ref(part))
        return part

    monkeypatch.setattr(depth, "Part", seen)
    estimate = Estimator(folder)
    estimate(picture())
    gc.collect()
    assert [part() for part in parts] == [None]


def test_it_stops_when_it_is_told_to(folder: Path) -> None:
    def stop() -> None:
        raise PaintStopped(StopReason.CANCELLED)

    with pytest.raises(PaintStopped):
        Estimator(folder)(picture(), check_stop=stop)


ELSEWHERE: tuple[tuple[str, object], ...] = (
    ("architectures", ["DPTForDepthEstimation"]),
    ("auto_map", {"AutoModel": "evil.py"}),
    ("backbone", "someone/else"),
    ("use_pretrained_backbone", True),
    ("depth_estimation_type", "metric"),
    ("reassemble_factors", [3, 2, 1, 0.5]),
)
WITHIN: tuple[tuple[str, object], ...] = (
    ("model_type", "beit"),
    ("image_size", 9**9),
    ("auto_map", {}),
    ("reshape_hidden_states", True),
)
REFUSED = [
    *(({field: value}, f"depth.{field}") for field, value in ELSEWHERE),
    *(
        ({"backbone_config": {**ENCODER, field: value}}, f"depth.backbone_config.{field}")
        for field, value in WITHIN
    ),
    ({"backbone_config": None}, "depth.backbone_config.config.json"),
]


@pytest.mark.parametrize(("stated", "field"), REFUSED)
def test_what_its_configuration_may_not_say_is_refused_by_name(
    folder: Path, network: Any, stated: dict[str, Any], field: str
) -> None:
    depth_anything.write(folder, network, stated)
    with pytest.raises(JobFailed) as failed:
        Estimator(folder)(picture())
    assert failed.value.code == "depth.configuration"
    assert failed.value.params["field"] == field


def test_a_kernel_that_it_names_is_not_looked_for(
    folder: Path, network: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import transformers.modeling_utils as loading

    expected = Estimator(folder)(picture())
    asked: list[object] = []

    def seen(implementation: object, *_: object, **__: object) -> bool:
        asked.append(implementation)
        return False

    monkeypatch.setattr(loading, "is_kernel", seen)
    chosen = {"attn_implementation": "someone/kernel", "_attn_implementation": "someone/kernel"}
    stated = {**chosen, "backbone_config": {**ENCODER, **chosen}}
    depth_anything.write(folder, network, stated)
    assert (Estimator(folder)(picture()) == expected).all()
    assert "someone/kernel" not in asked


def _damage(folder: Path, network: Any, how: str) -> None:
    weights, tensors = folder / "model.safetensors", dict(network.state_dict())
    match how:
        case "no weights":
            weights.unlink()
        case "no configuration":
            (folder / "config.json").unlink()
        case "not JSON":
            (folder / "config.json").write_text("{", encoding="utf-8")
        case "not safetensors":
            weights.write_bytes(b"PK\x03\x04" * 100)
        case "a tensor less":
            del tensors["head.conv3.bias"]
            save(weights, tensors)
        case "another shape":
            tensors["head.conv3.bias"] = tensors["head.conv3.bias"].repeat(2)
            save(weights, tensors)
        case "not finite":
            tensors["head.conv3.bias"] = tensors["head.conv3.bias"] * float("nan")
            save(weights, tensors)


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("no weights", "depth.missing", ""),
        ("no configuration", "depth.missing", ""),
        ("not JSON", "depth.unreadable", "JSONDecodeError"),
        ("not safetensors", "depth.unreadable", ""),
        ("a tensor less", "depth.incomplete", "depth (head.conv3.bias)"),
        ("another shape", "depth.unreadable", "depth.head.conv3.bias: (2,) instead of (1,)"),
        ("not finite", "depth.unreadable", "not finite"),
    ],
)
def test_files_that_cannot_be_used_are_an_error(
    folder: Path, network: Any, how: str, code: str, said: str
) -> None:
    _damage(folder, network, how)
    with pytest.raises(JobFailed) as failed:
        Estimator(folder)(picture())
    assert failed.value.code == code
    assert failed.value.params["depth"] == "tiny"
    assert any(said in str(value) for value in failed.value.params.values())
