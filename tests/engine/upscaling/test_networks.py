"""Files of upscalers: what the catalog says of them, and the networks that the engine builds."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from bot.engine.subject import Subject
from bot.engine.upscaling import network
from bot.engine.upscaling.library import library
from bot.errors import JobFailed
from catalog.weight_files import read_header, upscaler_facts
from tests.engine.upscaling.networks import EVERY, compact, esrgan, written

SUBJECT = Subject("upscaler", "sharp", lambda _: None, lambda: None)


@pytest.mark.parametrize("name", EVERY)
def test_the_engine_builds_what_the_catalog_recognises(name: str, tmp_path: Path) -> None:
    architecture, build = EVERY[name]
    file = written(tmp_path / "a.safetensors", build)
    facts = upscaler_facts(read_header(file).shapes)
    assert facts.architecture == architecture
    read = network.read(file, torch.float32, SUBJECT)
    assert read.architecture == architecture
    assert facts.factor in (None, read.factor)
    pixels = np.full((12, 20, 3), 0.5, np.float32)
    made = read.enlarged(pixels, "cpu")
    assert made.shape == (12 * read.factor, 20 * read.factor, 3)
    assert made.dtype == np.float32


def test_spandrel_is_imported_without_torchvision() -> None:
    library()
    assert "spandrel" in sys.modules
    found = [name for name in sys.modules if name.startswith("torchvision")]
    assert [name for name in found if sys.modules[name] is not None] == []


@pytest.mark.parametrize(
    ("build", "factor"),
    [
        (lambda: compact(4), 4),
        (lambda: compact(3), 3),
        (compact, 2),
    ],
)
def test_the_header_says_how_many_times_it_enlarges(
    build: Callable[[], Any], factor: int, tmp_path: Path
) -> None:
    file = written(tmp_path / "a.safetensors", build)
    assert upscaler_facts(read_header(file).shapes).factor == factor
    assert network.read(file, torch.float32, SUBJECT).factor == factor


def test_a_prefix_of_a_training_program_is_not_minded(tmp_path: Path) -> None:
    torch.manual_seed(1)
    library()
    state = {f"module.{n}": tensor for n, tensor in compact().state_dict().items()}
    save_file(state, tmp_path / "a.safetensors")
    assert network.read(tmp_path / "a.safetensors", torch.float32, SUBJECT).factor == 2


def refused(file: Path) -> JobFailed:
    with pytest.raises(JobFailed) as failure:
        network.read(file, torch.float32, SUBJECT)
    assert failure.value.params["upscaler"] == "sharp"
    return failure.value


def test_a_file_that_is_something_else_is_refused_by_name(tmp_path: Path) -> None:
    save_file({"conv.weight": torch.zeros(1)}, tmp_path / "a.safetensors")
    error = refused(tmp_path / "a.safetensors")
    assert error.code == "upscaler.unfit"
    assert "must be one of Compact, HAT" in str(error.params["reason"])


def test_a_pickle_under_the_name_is_refused(tmp_path: Path) -> None:
    library()
    torch.save(compact().state_dict(), tmp_path / "a.safetensors")
    assert refused(tmp_path / "a.safetensors").code == "upscaler.not_safetensors"


def test_a_network_that_does_not_enlarge_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path / "a.safetensors", lambda: esrgan(1))
    error = refused(file)
    assert error.code == "upscaler.unfit"
    assert "without enlarging" in str(error.params["reason"])


def test_weights_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    library()
    state = dict(compact().state_dict())
    state["body.2.weight"] = torch.zeros(4, 5, 3, 3)
    save_file(state, tmp_path / "a.safetensors")
    assert refused(tmp_path / "a.safetensors").code == "upscaler.unreadable"


def test_a_pixel_that_is_not_finite_fails_the_job(tmp_path: Path) -> None:
    library()
    state = dict(compact().state_dict())
    state["body.0.bias"] = torch.full_like(state["body.0.bias"], float("nan"))
    save_file(state, tmp_path / "a.safetensors")
    read = network.read(tmp_path / "a.safetensors", torch.float32, SUBJECT)
    with pytest.raises(JobFailed) as failure:
        read.enlarged(np.zeros((8, 8, 3), np.float32), "cpu")
    assert failure.value.code == "upscaler.not_finite"


def test_a_dtype_that_the_architecture_does_not_bear_becomes_32_bits(tmp_path: Path) -> None:
    plain = written(tmp_path / "a.safetensors", compact)
    assert network.read(plain, torch.bfloat16, SUBJECT).dtype is torch.bfloat16
    half = written(tmp_path / "b.safetensors", EVERY["SwinIR"][1])
    described = network.read(half, torch.float16, SUBJECT)
    expected = torch.float16 if described.described.supports_half else torch.float32
    assert described.dtype is expected
