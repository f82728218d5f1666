"""Weights read from their files in pieces: every bit, and every way in which a file can change."""

import json
import math
import os
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from catalog.disk import may_pass
from catalog.weight_files import NotSafetensors, read_header

DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
SHAPES = ((1000, 7), (3,), (64, 3, 3, 3), (1,), (257, 129))


def write(path: Path, *dtypes: str, padding: int = 0) -> dict[str, torch.Tensor]:
    """A file with tensors of SHAPES in each of `dtypes`.

    padding: bytes before the tensors, which the format does not require to be aligned.
    """
    generator = torch.Generator().manual_seed(len(dtypes) + padding)
    header: dict[str, Any] = {}
    tensors, data = {}, b""
    for dtype in dtypes:
        for number, shape in enumerate(SHAPES):
            tensor = torch.randn(shape, generator=generator).to(DTYPES[dtype])
            raw = tensor.view(-1).view(torch.uint8).numpy().tobytes()
            name = f"{dtype}.{number}"
            tensors[name] = tensor
            header[name] = {
                "dtype": dtype,
                "shape": list(shape),
                "data_offsets": [len(data), len(data) + len(raw)],
            }
            data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8 + padding)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return tensors


def layout_of(tensors: dict[str, torch.Tensor], dtype: torch.dtype) -> Any:
    from bot.engine.weights import Formats, Layout

    module = torch.nn.Module()
    for name, tensor in tensors.items():
        inner = torch.nn.Module()
        inner.register_parameter("w", torch.nn.Parameter(tensor.to("meta"), requires_grad=False))
        module.add_module(name.replace(".", "_"), inner)
    layout = Layout.of(module, Formats(dtype))
    slots = dict(zip(tensors, layout.slots.values(), strict=True))
    return Layout(slots, layout.size, dtype)


def opened(*paths: Path) -> Any:
    from bot.engine.networks import stored

    return stored(paths)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    from bot.engine.weights import files

    monkeypatch.setattr(files, "PIECE", 4096)
    monkeypatch.setattr(files, "CONVERTED", 100)


@pytest.fixture(params=["as the system can", "without preadv", "a few bytes at a time"])
def reading(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "without preadv":  # Windows
        monkeypatch.delattr(os, "preadv", raising=False)
        monkeypatch.delattr(os, "posix_fadvise", raising=False)
    elif request.param == "a few bytes at a time":
        if not hasattr(os, "preadv"):
            pytest.skip("no preadv here")
        real = os.preadv

        def preadv(file: int, places: list[memoryview], offset: int) -> int:
            return real(file, [places[0][:1021]], offset)

        monkeypatch.setattr(os, "preadv", preadv)


@pytest.mark.usefixtures("small_pieces", "reading")
@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@pytest.mark.parametrize("padding", [0, 1])
def test_every_bit_is_what_the_tensor_says(
    tmp_path: Path, dtype: torch.dtype, padding: int
) -> None:
    from bot.engine.weights import files

    write(tmp_path / "a.safetensors", "F32", "F16", padding=padding)
    write(tmp_path / "b.safetensors", "BF16", padding=padding)
    tensors = opened(tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    tensors["first rows"] = tensors["F16.0"][:300]
    tensors["other rows"] = tensors["F16.0"].chunk(3)[1]
    tensors["columns"] = tensors["F32.4"].T
    tensors["made"] = tensors["F32.4"] + 1
    layout = layout_of(tensors, dtype)
    buffer = torch.empty(layout.size, dtype=torch.uint8)
    read = files.fill(layout, buffer, tensors, lambda: None)
    assert read == tensors.keys() - {"columns", "made"}
    for name in read:
        assert torch.equal(layout.view(buffer, name), tensors[name].to(dtype)), name


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("padding", [0, 1])
def test_tensors_of_every_kind_are_as_safetensors_reads_them(tmp_path: Path, padding: int) -> None:
    from safetensors.torch import load_file

    path = tmp_path / "a.safetensors"
    kinds = {
        "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8,
        "U32": 4, "U16": 2, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1,
        "F8_E4M3FNUZ": 1, "F8_E5M2FNUZ": 1, "C64": 8,
    }  # fmt: skip
    shapes = ((2, 3), (), (0, 2))
    header: dict[str, Any] = {}
    end = 0
    for kind, size in kinds.items():
        for shape in shapes:
            begin, end = end, end + size * math.prod(shape)
            offsets = [begin, end]
            header[f"{kind} {shape}"] = {"dtype": kind, "shape": shape, "data_offsets": offsets}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8 + padding)
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(n % 2 for n in range(end)))
    tensors, expected = opened(path), load_file(path)
    assert tensors.keys() == expected.keys()
    for name, tensor in expected.items():
        found = tensors[name]
        assert (found.dtype, found.shape) == (tensor.dtype, tensor.shape), name
        assert found.is_contiguous()
        bits = [each.clone().reshape(-1).view(torch.uint8) for each in (found, tensor)]
        assert torch.equal(*bits), name


def test_numbers_that_torch_has_no_kind_for_are_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    header = {"six": {"dtype": "F6_E2M3", "shape": [4], "data_offsets": [0, 3]}}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"abc")
    assert bytes(opened(path)["six"].tolist()) == b"abc"


def test_weights_are_filled_completely(tmp_path: Path) -> None:
    from bot.engine.weights import PristineWeights

    write(tmp_path / "a.safetensors", "F32", "F16")
    tensors = opened(tmp_path / "a.safetensors")
    tensors["columns"] = tensors["F32.4"].T
    layout = layout_of(tensors, torch.float16)
    buffer = torch.empty(layout.size, dtype=torch.uint8)
    PristineWeights("x", layout, None, tensors).copy_into(buffer, lambda: None)
    for name, tensor in tensors.items():
        assert torch.equal(layout.view(buffer, name), tensor.half()), name


def filling(path: Path, check_stop: Callable[[], None] = lambda: None) -> Callable[[], Any]:
    """Opens the file; what is returned reads it."""
    from bot.engine.weights import files

    tensors = opened(path)
    layout = layout_of(tensors, torch.float32)
    buffer = torch.empty(layout.size, dtype=torch.uint8)
    return lambda: files.fill(layout, buffer, tensors, check_stop)


@pytest.mark.parametrize("change", ["cut off", "written to"])
def test_a_file_that_changes_meanwhile_is_refused_for_now(tmp_path: Path, change: str) -> None:
    """It used to be read through its map: a signal that ends the process, or half of each file."""
    from bot.engine.weights import FileChanged

    path = tmp_path / "a.safetensors"
    write(path, "F32")
    fill = filling(path)
    if change == "cut off":
        os.truncate(path, path.stat().st_size - 5000)
    else:
        with path.open("r+b") as file:
            file.seek(-8, os.SEEK_END)
            file.write(bytes(8))
        os.utime(path, ns=(1, 1))
    said = r"it changed while it was being read: .*a\.safetensors"
    with pytest.raises(FileChanged, match=said) as raised:
        fill()
    assert may_pass(raised.value)


def test_a_file_that_ends_early_is_refused_even_if_it_looks_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.engine.weights import FileChanged, WeightFile

    path = tmp_path / "a.safetensors"
    write(path, "F32")
    fill = filling(path)
    os.truncate(path, path.stat().st_size - 5000)
    monkeypatch.setattr(WeightFile, "check", lambda _: None)
    with pytest.raises(FileChanged):
        fill()


def test_a_file_that_is_cut_off_while_it_is_opened_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.engine.weights import FileChanged, WeightFile, files

    path = tmp_path / "a.safetensors"
    write(path, "F32")

    def cut_off(at: Path) -> Any:
        header = read_header(at)
        os.truncate(at, header.data_start + 8)
        return header

    monkeypatch.setattr(files, "read_header", cut_off)
    with pytest.raises(FileChanged):
        WeightFile(path)


def test_numbers_that_nothing_has_room_for_are_refused(tmp_path: Path) -> None:
    from bot.engine.weights import WeightFile

    entry = {"dtype": "F32", "shape": [0, 2**70], "data_offsets": [0, 0]}
    header = json.dumps({"a": entry}).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(NotSafetensors):
        WeightFile(path)


def test_a_file_that_is_replaced_is_still_the_one_that_was_opened(tmp_path: Path) -> None:
    from bot.engine.weights import files

    path = tmp_path / "a.safetensors"
    expected = write(path, "F32")
    tensors = opened(path)
    write(tmp_path / "b.safetensors", "F32", padding=3)
    if os.name == "nt":
        pytest.skip("Windows replaces no open file")
    (tmp_path / "b.safetensors").replace(path)
    layout = layout_of(tensors, torch.float32)
    buffer = torch.empty(layout.size, dtype=torch.uint8)
    files.fill(layout, buffer, tensors, lambda: None)
    for name, tensor in expected.items():
        assert torch.equal(layout.view(buffer, name), tensor)


def test_a_file_that_is_replaced_between_two_looks_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.engine.weights import FileChanged, files

    path = tmp_path / "a.safetensors"
    write(path, "F32")

    def late(path: Path) -> Any:
        header = read_header(path)
        os.utime(path, ns=(1, 1))
        return header

    monkeypatch.setattr(files, "read_header", late)
    with pytest.raises(FileChanged):
        opened(path)


class Stopped(Exception):
    pass


@pytest.mark.usefixtures("small_pieces")
def test_a_stopped_job_reads_no_further(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even while reading takes long, and no reader writes to the memory afterwards."""
    from bot.engine.weights import WeightFile, files

    path = tmp_path / "a.safetensors"
    write(path, "F32")
    asked, begun = threading.Event(), []
    real = WeightFile.read_into

    def slow(file: Any, places: Any, offset: int) -> None:
        begun.append(offset)
        assert asked.wait(30)
        real(file, places, offset)

    def check_stop() -> None:
        asked.set()
        raise Stopped

    monkeypatch.setattr(WeightFile, "read_into", slow)
    with pytest.raises(Stopped):
        filling(path, check_stop)()
    assert 1 <= len(begun) <= 2 * files.THREADS < path.stat().st_size / files.PIECE
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("weights")]


@pytest.mark.usefixtures("small_pieces")
def test_the_system_is_asked_for_pieces_in_the_files_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hard disk would seek, if readers began in different places."""
    from bot.engine.weights import WeightFile, files

    path = tmp_path / "a.safetensors"
    write(path, "F16", "F32")
    monkeypatch.setattr(files, "THREADS", 1)
    asked: list[tuple[int, int]] = []
    real = WeightFile.read_into

    def read_into(file: Any, places: Any, offset: int) -> None:
        asked.append((offset, sum(place.nbytes for place in places)))
        real(file, places, offset)

    monkeypatch.setattr(WeightFile, "read_into", read_into)
    filling(path)()
    assert all(at + size == then for (at, size), (then, _) in pairwise(asked))
    assert max(size for _, size in asked) <= files.PIECE


def test_a_file_is_closed_with_its_tensors(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write(path, "F32")
    tensors = opened(path)
    (file,) = tensors.files
    handle = file._file
    del file
    assert not handle.closed
    del tensors
    assert handle.closed
