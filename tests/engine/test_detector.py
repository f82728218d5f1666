"""What is found is what transformers finds, from checked files, each once and in one order."""

import gc
import json
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from bot.engine import Engine
from bot.errors import JobFailed, PaintStopped, StopReason
from bot.request import REGIONS_MAX, Box
from tests.engine import grounding_dino
from tests.engine.factories import save
from tests.engine.grounding_dino import EYE, READER
from tests.parameters import mostly_long


@pytest.fixture(scope="module")
def network() -> Any:
    Engine(models_dir=Path(), hashes_file=Path()).warm_up()
    import torch

    torch.set_num_threads(1)
    return grounding_dino.module()


@pytest.fixture
def folder(network: Any, tmp_path: Path) -> Path:
    grounding_dino.write(tmp_path / "detector", network)
    return tmp_path / "detector"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images are looked at in a size that takes less time."""
    from bot.engine import detector

    monkeypatch.setattr(detector, "SHORT_SIDE", 96)
    monkeypatch.setattr(detector, "LONG_SIDE", 160)


def nothing(*_: object) -> None:
    pass


def picture(width: int = 90, height: int = 60) -> PIL.Image.Image:
    bands = [PIL.Image.radial_gradient("L"), PIL.Image.linear_gradient("L")]
    image = PIL.Image.merge("RGB", [*bands, bands[1].rotate(90)])
    return image.resize((width, height))


def finder(folder: Path, check_stop: Callable[[], None] = nothing) -> Any:
    from bot.engine.detector import Detector
    from bot.engine.environment import Place
    from bot.engine.sources import Source
    from bot.engine.subject import Subject

    files = tuple(folder / name for name in ("config.json", "vocab.txt", "model.safetensors"))
    subject = Subject("detector", "tiny", nothing, check_stop)
    return Detector(Place("cpu", "auto")).ready(Source(folder, files), subject)


def scored(folder: Path, image: PIL.Image.Image, word: str) -> Any:
    found = finder(folder)
    found.part.wake(nothing)
    return found.boxes(image, word)


@pytest.mark.parametrize(
    "size", mostly_long([[90, 60], [300, 100], [60, 90], [96, 96], [33, 40], [160, 96]], usual=2)
)
@pytest.mark.parametrize("write", [grounding_dino.write, grounding_dino.write_renamed])
@pytest.mark.usefixtures("small")
def test_it_finds_what_transformers_finds(
    network: Any,
    tmp_path: Path,
    write: Callable[[Path, Any], None],
    size: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from transformers import (
        BertTokenizer,
        GroundingDinoForObjectDetection,
        GroundingDinoImageProcessorPil,
        GroundingDinoProcessor,
    )

    from bot.engine import detector

    monkeypatch.setattr(detector, "OVERLAP", 1.0)
    write(tmp_path, network)
    theirs = GroundingDinoForObjectDetection.from_pretrained(tmp_path)
    words = BertTokenizer(vocab={word: n for n, word in enumerate(grounding_dino.WORDS)})
    sight = GroundingDinoImageProcessorPil(size={"shortest_edge": 96, "longest_edge": 160})
    processor = GroundingDinoProcessor(sight, words)
    inputs = processor(images=picture(*size), text="face.", return_tensors="pt")
    [expected] = processor.post_process_grounded_object_detection(
        theirs(**inputs), inputs.input_ids, threshold=0.35, target_sizes=[size[::-1]]
    )
    corners = np.array(expected["boxes"].tolist())
    low, high = np.floor(corners[:, :2]).clip(0), np.ceil(corners[:, 2:]).clip(None, size)
    sides = high - low
    theirs_told = sorted(
        zip(low.tolist(), sides.tolist(), expected["scores"].tolist(), strict=True)
    )
    told = sorted(
        ([box.left, box.top], [box.width, box.height], score)
        for score, box in scored(tmp_path, picture(*size), "Face")
    )
    assert told
    assert len({score for *_, score in told}) == len(told)
    assert [each[:2] for each in told] == [each[:2] for each in theirs_told]
    assert [each[2] for each in told] == pytest.approx([each[2] for each in theirs_told])


def test_images_are_as_large_as_its_authors_have_them(network: Any) -> None:
    from transformers import GroundingDinoImageProcessorPil

    from bot.engine.detector import shown

    assert network is not None
    processor = GroundingDinoImageProcessorPil()
    for size in ((1024, 1024), (832, 1216), (1536, 512), (801, 1334), (64, 64)):
        theirs = np.asarray(processor(picture(*size), return_tensors="np")["pixel_values"])
        ours = shown(picture(*size))
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() < 1e-5


@pytest.mark.usefixtures("small")
def test_things_are_told_in_one_order_and_not_too_many(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.engine import detector

    monkeypatch.setattr(detector, "OVERLAP", 1.0)
    monkeypatch.setattr(detector, "THRESHOLD", 0.0)
    several = finder(folder).found(picture(), ("hand", "face"))
    assert len(several) == REGIONS_MAX
    words = [word for word, _ in several]
    assert words == sorted(words, key=("hand", "face").index)
    for word in ("hand", "face"):
        lefts = [box.left for each, box in several if each == word]
        assert lefts == sorted(lefts)
    # The surest of all.
    least = min(
        score
        for word, box in several
        for score, other in scored(folder, picture(), word)
        if other == box
    )
    every = [s for word in ("hand", "face") for s, _ in scored(folder, picture(), word)]
    assert sorted(every, reverse=True)[REGIONS_MAX - 1] == pytest.approx(least)
    assert finder(folder).found(picture(), ("hand", "face")) == several


@pytest.mark.usefixtures("network")
def test_nearly_the_same_box_counts_once() -> None:
    from bot.engine.detector import _without_overlaps

    first, near, far = Box(0, 0, 10, 10), Box(1, 0, 10, 10), Box(5, 0, 10, 10)
    assert _without_overlaps([(0.9, first), (0.8, near), (0.7, far)]) == [(0.9, first), (0.7, far)]


@pytest.mark.usefixtures("small")
def test_nothing_stays_on_the_device(folder: Path) -> None:
    found = finder(folder)
    found.found(picture(), ("face",))
    assert not found.part.present
    part = weakref.ref(found.part)
    del found
    gc.collect()
    assert part() is None


def test_it_stops_when_it_is_told_to(folder: Path) -> None:
    def stop() -> None:
        raise PaintStopped(StopReason.CANCELLED)

    with pytest.raises(PaintStopped):
        finder(folder, check_stop=stop)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"architectures": ["GroundingDinoModel"]}, "detector.architectures"),
    ({"auto_map": {"AutoModel": "evil.py"}}, "detector.auto_map"),
    ({"backbone": "someone/else"}, "detector.backbone"),
    ({"use_pretrained_backbone": True}, "detector.use_pretrained_backbone"),
    ({"num_queries": 9**9}, "detector.num_queries"),
    ({"two_stage": False}, "detector.two_stage"),
    ({"backbone_config": {**EYE, "model_type": "beit"}}, "detector.backbone_config.model_type"),
    ({"backbone_config": {**EYE, "embed_dim": 9**9}}, "detector.backbone_config.embed_dim"),
    ({"backbone_config": None}, "detector.backbone_config.config.json"),
    ({"text_config": {**READER, "auto_map": {}}}, "detector.text_config.auto_map"),
    ({"text_config": {**READER, "vocab_size": 9**9}}, "detector.text_config.vocab_size"),
    ({"text_config": None}, "detector.text_config.config.json"),
]


@pytest.mark.parametrize(("stated", "field"), REFUSED)
def test_what_its_configuration_may_not_say_is_refused_by_name(
    folder: Path, stated: dict[str, Any], field: str
) -> None:
    config = folder / "config.json"
    said = json.loads(config.read_text(encoding="utf-8"))
    config.write_text(json.dumps({**said, **stated}), encoding="utf-8")
    with pytest.raises(JobFailed) as failed:
        finder(folder)
    assert failed.value.code == "detector.configuration"
    assert failed.value.params["field"] == field


def _damage(folder: Path, network: Any, how: str) -> None:
    weights, tensors = folder / "model.safetensors", dict(network.state_dict())
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    bias = "model.encoder_output_bbox_embed.layers.2.bias"
    match how:
        case "no weights":
            weights.unlink()
        case "no configuration":
            (folder / "config.json").unlink()
        case "no words":
            (folder / "vocab.txt").unlink()
        case "other words":
            (folder / "vocab.txt").write_text("face\nhand\n", encoding="utf-8")
        case "not JSON":
            (folder / "config.json").write_text("{", encoding="utf-8")
        case "not safetensors":
            weights.write_bytes(b"PK\x03\x04" * 100)
        case "a tensor less":
            del tensors[bias]
            save(weights, tensors)
        case "another shape":
            tensors[bias] = tensors[bias].repeat(2)
            save(weights, tensors)
        case "not finite":
            tensors[bias] = tensors[bias] * float("nan")
            save(weights, tensors)


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("no weights", "detector.missing", ""),
        ("no configuration", "detector.missing", ""),
        ("no words", "detector.missing", ""),
        ("other words", "detector.unreadable", "vocab.txt lacks [PAD]"),
        ("not JSON", "detector.unreadable", "JSONDecodeError"),
        ("not safetensors", "detector.unreadable", ""),
        ("a tensor less", "detector.incomplete", "encoder_output_bbox_embed.layers.2.bias"),
        ("another shape", "detector.unreadable", "(8,) instead of (4,)"),
        ("not finite", "detector.unreadable", "not finite"),
    ],
)
@pytest.mark.usefixtures("small")
def test_files_that_cannot_be_used_are_an_error(
    folder: Path, network: Any, how: str, code: str, said: str
) -> None:
    _damage(folder, network, how)
    with pytest.raises(JobFailed) as failed:
        finder(folder).found(picture(), ("face",))
    assert failed.value.code == code
    assert failed.value.params["detector"] == "tiny"
    assert any(said in str(value) for value in failed.value.params.values())
