"""Adapter files that are none, or change while they are read."""

import contextlib
import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.errors import JobFailed
from catalog.weight_files import open_tensors
from tests.engine.factories import kohya, save
from tests.engine.patches.reading import BASES, NAME, SHAPE, read, refused, subject
from tests.parameters import examples


def test_absurd_sizes_are_refused(
    known: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.engine.patches import file as module
    from bot.engine.patches.algorithms import algorithm

    path = save(tmp_path / "x.safetensors", kohya(NAME, SHAPE, rank=4))
    monkeypatch.setattr(algorithm, "RANK_LIMIT", 3)
    failure = refused(path, known)
    assert (failure.code, failure.params["rank"]) == ("adapter.rank_too_high", 4)
    monkeypatch.setattr(module, "FILE_LIMIT", 100)
    assert refused(path, known).code == "adapter.too_large"


def claiming(*tensors: dict[str, Any] | str, data: bytes = bytes(64)) -> bytes:
    """A file whose header declares this dtype for its tensors."""
    parts = [
        f'"m{n}.alpha":{t if isinstance(t, str) else json.dumps(t)}' for n, t in enumerate(tensors)
    ]
    header = ("{" + ",".join(parts) + "}").encode()
    return struct.pack("<Q", len(header)) + header + data


SCALAR = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b"PK\x03\x04 a zip, as torch.save writes", "a ZIP archive"),
        (b"\x80\x02}q\x00. a pickle, as torch.save wrote", "a pickle file"),
        (struct.pack("<Q", 2) + b"[]", "not a JSON object"),
        (struct.pack("<Q", 100_000) + b"[" * 100_000, "not JSON"),
        (claiming({**SCALAR, "shape": [9], "data_offsets": [0, 36]}, data=bytes(8)), "cut off"),
        (claiming({**SCALAR, "shape": [2**62, 4]}), "size of a tensor"),
        (claiming({**SCALAR, "dtype": ["F32"]}), "does not follow the format"),
        (claiming(SCALAR, {**SCALAR, "data_offsets": [2, 6]}), "overlap"),
        (claiming(*['{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'] * 100_000), "100000"),
    ],
    ids=range(10),
)
def test_what_is_no_safetensors_is_never_loaded(
    known: dict[str, Any], tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    failure = refused(path, known)
    assert failure.code == "adapter.not_safetensors"
    assert said in str(failure.params["reason"])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_is_not_waited_for(known: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    os.mkfifo(path)
    assert refused(path, known).code == "adapter.not_safetensors"


@settings(
    max_examples=examples(100),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1),
    cut=st.integers(0, 10_000),
)
def test_whatever_a_file_holds_it_is_read_or_refused(
    known: dict[str, Any], tmp_path: Path, changes: list[tuple[int, int]], cut: int
) -> None:
    path = save(tmp_path / "x.safetensors", kohya(NAME, SHAPE, rank=1))
    data = bytearray(path.read_bytes())
    for position, value in changes:
        data[position % len(data)] = value
    path.write_bytes(bytes(data[: cut or None]))
    with contextlib.suppress(JobFailed):
        read(path, known)


def test_a_file_that_is_cut_while_it_is_read(
    known: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "x.safetensors", kohya(NAME, SHAPE))

    def opened_then_cut(path: Path) -> Any:
        opened = open_tensors(path)
        os.truncate(path, path.stat().st_size - 100)
        return opened

    monkeypatch.setattr("bot.engine.patches.file.open_tensors", opened_then_cut)
    assert refused(path, known).code == "adapter.not_safetensors"


def test_a_file_that_goes_before_it_is_read(known: dict[str, Any], tmp_path: Path) -> None:
    failure = refused(tmp_path / "x.safetensors", known)
    assert (failure.code, failure.params["path"]) == ("adapter.missing", "x.safetensors")


def test_a_file_may_be_replaced_after_it_was_read(known: dict[str, Any], tmp_path: Path) -> None:
    """Its tensors are in RAM, not mapped from the file, or truncating it would end the process."""
    path = save(tmp_path / "x.safetensors", kohya(NAME, SHAPE))
    change = read(path, known).changes[0]
    base = torch.zeros(SHAPE)
    before = change.delta(base)
    path.write_bytes(b"")
    assert torch.equal(change.delta(base), before)


def test_a_stopped_job_stops_the_reading(known: dict[str, Any], tmp_path: Path) -> None:
    from bot.engine.patches import Spellings, read

    class Stopped(Exception):
        pass

    def stop() -> None:
        raise Stopped

    path = save(tmp_path / "x.safetensors", kohya(NAME, SHAPE))
    with pytest.raises(Stopped):
        read(path, Spellings(known), BASES, subject(stop))
