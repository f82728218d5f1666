"""The header of a .gguf file is read if the file is complete; otherwise the error says why."""

import os
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.weight_files import HeaderError, NotGguf, UnreadableFile, quantisation, read_gguf
from catalog.weight_files.gguf import BLOCKS, ITEMS_LIMIT, PACKINGS
from tests.gguf_files import NUMBERS, SIZES, gguf, text, value

ONE = {"a.weight": ("F32", (1,), bytes(4))}
START = b"GGUF" + struct.pack("<I", 3)


def saved(folder: Path, content: bytes) -> Path:
    file = folder / "x.gguf"
    file.write_bytes(content)
    return file


def why(file: Path) -> str:
    with pytest.raises(NotGguf) as refusal:
        read_gguf(file)
    return str(refusal.value)


def tensor(name: str | bytes, axes: tuple[int, ...], kind: int = 0, start: int = 0) -> bytes:
    return (
        text(name)
        + struct.pack(f"<I{len(axes)}Q", len(axes), *axes)
        + struct.pack("<IQ", kind, start)
    )


def headed(*tensors: bytes, keys: tuple[bytes, ...] = (), data: int = 64) -> bytes:
    head = START + struct.pack("<QQ", len(tensors), len(keys)) + b"".join((*keys, *tensors))
    return head + bytes(-len(head) % 32 + data)


@pytest.mark.parametrize("alignment", [32, 64, 8])
def test_names_shapes_types_and_places_are_told(tmp_path: Path, alignment: int) -> None:
    tensors = {
        "blocks.0.weight": ("Q4_K", (3, 512), bytes(3 * 2 * 144)),
        "norm.weight": ("F32", (7,), bytes(28)),
        "conv.weight": ("F16", (2, 3, 5, 4), bytes(240)),
    }
    metadata: dict[str, object] = {
        "general.architecture": "flux",
        "general.file_type": 15,
        "tokenizer.ggml.tokens": ["a", "b" * 1000, ""],
        "tokenizer.ggml.token_type": [1, 2, 3],
    }
    content = gguf(tensors, metadata, alignment)
    found = read_gguf(saved(tmp_path, content))
    assert found.shapes == {name: tuple(shape) for name, (_, shape, _) in tensors.items()}
    assert found.dtypes == {name: kind for name, (kind, _, _) in tensors.items()}
    assert found.sizes == {name: len(raw) for name, (_, _, raw) in tensors.items()}
    assert found.starts["norm.weight"] == -(-864 // alignment) * alignment
    ends = [
        found.starts[name] + -(-size // alignment) * alignment for name, size in found.sizes.items()
    ]
    assert found.data_start == len(content) - max(ends)
    assert found.metadata == {"general.architecture": "flux"}


def test_the_shape_before_it_was_flattened_is_told(tmp_path: Path) -> None:
    tensors = {"conv3d.weight": ("F16", (2, 12), bytes(48))}
    for said, expected in (([2, 3, 1, 2, 2], (2, 3, 1, 2, 2)), ([24], (24,))):
        metadata = {"comfy.gguf.orig_shape.conv3d.weight": said}
        file = saved(tmp_path, gguf(tensors, metadata))
        assert read_gguf(file).shapes["conv3d.weight"] == expected
    wrong: list[tuple[object, str]] = [
        ([2, 3], "the original shape of 'conv3d.weight' does not fit its numbers"),
        ([-2, -12], "does not fit"),
        ("24", "does not fit"),
        ([1] * 9, "a shape has 9 axes"),
        (["24"], "of type 8"),
    ]
    for shape, said_of_it in wrong:
        file = saved(tmp_path, gguf(tensors, {"comfy.gguf.orig_shape.conv3d.weight": shape}))
        assert said_of_it in why(file)


def test_the_sizes_of_blocks_are_the_formats_own() -> None:
    known = {packing.name: packing for packing in PACKINGS.values()}
    for name, (block, size) in SIZES.items():
        assert (known[name].block, known[name].size) == (block, size)
        assert PACKINGS[NUMBERS[name]].name == name


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "its header is cut off"),
        (b"GGML" + bytes(60), "does not begin with GGUF"),
        (b"GGUF" + struct.pack("<I", 1) + bytes(60), "its version is 1"),
        (b"GGUF" + struct.pack(">I", 3) + bytes(60), "big-endian"),
        (START + struct.pack("<QQ", 0, 0), "it claims 0 tensors"),
        (START + struct.pack("<QQ", 2**40, 0), "it claims 1099511627776 tensors"),
        (START + struct.pack("<QQ", 1, 2**40), "it claims 1099511627776 keys"),
        (headed(tensor("a", (1,)))[:-65], "cut off"),
        (headed(tensor("a", (17,))), "cut off: was the copy or download interrupted?"),
        (headed(tensor("a", (2**62, 2**62))), "cut off"),
        (headed(tensor("a", (2**63, 0))), "larger than any memory"),
        (headed(tensor("a", (0, 2**63))), "larger than any memory"),
        (headed(tensor("a", (1,), 99)), "of type 99"),
        (headed(tensor("a", (1,), 4)), "of type 4"),
        (headed(tensor("a", (33,), 2)), "rows of 33 numbers; Q4_0 packs 32"),
        (headed(tensor("a", (1,), 0, 4)), "not aligned to 32"),
        (headed(tensor("a", (1,) * 9)), "has 9 axes"),
        (headed(tensor("a", ())), "has 0 axes"),
        (headed(tensor("a", (1,)), tensor("a", (1,), 0, 32)), "names 'a' twice"),
        (headed(tensor("a", (9,)), tensor("b", (1,), 0, 32)), "overlap"),
        (headed(tensor(b"\xff", (1,))), "not UTF-8"),
        (headed(tensor("a" * 2000, (1,))), "2000 bytes long"),
        (headed(tensor("a", (1,)), keys=(text("k") + struct.pack("<I", 13),)), "of type 13"),
        (
            headed(tensor("a", (1,)), keys=(text("k") + struct.pack("<IIQ", 9, 9, 1),)),
            "of type 9",
        ),
        (
            headed(tensor("a", (1,)), keys=(text("k") + struct.pack("<IIQ", 9, 0, 2**40),)),
            f"more than {ITEMS_LIMIT} items",
        ),
        (
            headed(tensor("a", (1,)), keys=(text("k") + struct.pack("<IIQ", 9, 12, 2**20),)),
            "cut off",
        ),
        (headed(tensor("a", (1,)), keys=(text("k") + value(1),) * 2), "names 'k' twice"),
        *(
            (
                headed(tensor("a", (1,)), keys=(text("general.alignment") + value(odd),)),
                "general.alignment",
            )
            for odd in (0, 12, 2**20, "32")
        ),
    ],
)
def test_what_is_no_whole_file_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    assert said in why(saved(tmp_path, content))


def test_only_files_of_that_name_are_opened(tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    file.write_bytes(gguf(ONE))
    assert "does not end in .gguf" in why(file)
    with pytest.raises(UnreadableFile):
        read_gguf(tmp_path / "absent.gguf")
    os.mkfifo(tmp_path / "pipe.gguf")
    assert "not a file" in why(tmp_path / "pipe.gguf")


@given(data=st.data())
def test_damage_is_an_error_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, data: Any
) -> None:
    content = bytearray(gguf(ONE, {"general.architecture": "flux", "names": ["a", "b"]}))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    file = saved(tmp_path_factory.mktemp("gguf"), bytes(content[:cut]))
    try:
        found = read_gguf(file)
    except HeaderError:
        return
    assert found.data_start + max(found.starts[n] + found.sizes[n] for n in found.starts) <= cut


def test_blocks_that_are_not_read_are_refused_by_name(tmp_path: Path) -> None:
    for kind in BLOCKS:
        block, size = SIZES[kind]
        file = saved(tmp_path, gguf({"a.weight": (kind, (1, block), bytes(size))}))
        assert quantisation.refusal(read_gguf(file)) is None
    for name in ("a.weight", "a.table"):
        file = saved(tmp_path, gguf({name: ("IQ4_XS", (1, 256), bytes(136))}))
        reason = quantisation.refusal(read_gguf(file))
        assert reason is not None
        assert f"{name} is of type IQ4_XS; known are Q4_0, Q4_1" in reason
