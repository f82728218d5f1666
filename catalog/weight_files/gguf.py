"""Read the header of a .gguf file, with limits: the files are untrusted. Nothing in one is code.

The format: github.com/ggml-org/ggml, docs/gguf.md; numbers and sizes of the types: enum ggml_type
in include/ggml.h and `type_traits` in src/ggml.c.
"""

import math
import os
import re
import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from io import BufferedReader
from itertools import pairwise
from pathlib import Path
from typing import Final

from catalog.weight_files.header import (
    AXES_LIMIT,
    AXIS_MAX,
    HEADER_LIMIT,
    TENSOR_LIMIT,
    Header,
    HeaderError,
    UnreadableFile,
    read_header,
)

SUFFIX: Final = ".gguf"
MODEL_SUFFIXES: Final = (".safetensors", SUFFIX)
"""Of the files that networks of a model are read from."""
ITEMS_LIMIT: Final = 2_000_000
"""Items of all arrays together; a tokenizer of 250,000 words has 750,000."""
KEYS_LIMIT: Final = 10_000
ALIGNMENT: Final = 32
"""Of each tensor's bytes, unless `general.alignment` says otherwise."""
_MAGIC: Final = b"GGUF"
_VERSIONS: Final = (2, 3)
_ALIGNMENT_MAX: Final = 2**16
_NAME_MAX: Final = 1024


@dataclass(frozen=True, slots=True)
class Packing:
    """A type of numbers. block: elements that are stored together, in `size` bytes."""

    name: str
    block: int
    size: int


PACKINGS: Final[Mapping[int, Packing]] = {
    number: Packing(*packing)
    for number, packing in {
        0: ("F32", 1, 4), 1: ("F16", 1, 2), 30: ("BF16", 1, 2), 28: ("F64", 1, 8),
        24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8),
        2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22), 7: ("Q5_1", 32, 24),
        8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 36),
        10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144),
        13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292),
        16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98),
        19: ("IQ1_S", 256, 50), 20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110),
        22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136), 29: ("IQ1_M", 256, 56),
        34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17),
    }.items()
}  # fmt: skip
"""By the format's number."""
BLOCKS: Final[Mapping[str, Packing]] = {
    packing.name: packing
    for packing in PACKINGS.values()
    if packing.name in {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"}
}
"""Those that are made plain numbers when they are read (see `bot.engine.weights.blocks`)."""

_IN_NAMES: Final = re.compile(
    r"[-_. ](?:ud[-_])?(?:i?q\d_(?:\d|k(?:_(?:xxs|xs|s|m|l|xl))?|xxs|xs|s|m|nl)|tq\d_0|mxfp4"
    r"|bf16|fp?(?:16|32))$",
    re.IGNORECASE,
)
"""How a file is packed, at the end of its name: "-Q4_K_M", "_q8_0", "-UD-Q5_K_XL", ".BF16"."""
_ORIGINAL: Final = "comfy.gguf.orig_shape."
"""Begins a key with the shape of a tensor that was flattened because the format has four axes:
tools/convert.py of github.com/city96/ComfyUI-GGUF."""
_PARTS: Final = "split.count"
"""Of a file that `gguf-split` of llama.cpp cut into several: how many."""
_PLAIN: Final = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q",
    12: "<d",
}  # fmt: skip
"""Types of metadata, by their numbers, for `struct`."""
_STRING: Final = 8
_ARRAY: Final = 9


def without_packing(stem: str) -> str:
    """The name of a file, given without its ending, without what says how it is packed."""
    found = _IN_NAMES.search(stem)
    return stem[: found.start()] if found and found.start() else stem


class NotGguf(HeaderError):
    """The file is something else, truncated or malformed."""


def read_gguf(path: Path) -> Header:
    """Read the header of `path` and check it against the format; no tensor is read.

    Shapes are as in a .safetensors file: the axis whose elements lie side by side is the last.
    dtypes are the names in `PACKINGS`. metadata: those that are text.
    Raises UnreadableFile, or NotGguf if the file is something else, truncated or malformed.
    """
    if path.suffix.lower() != SUFFIX:
        raise NotGguf(f"its name does not end in {SUFFIX}")
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise NotGguf("it is not a file")  # a pipe would block its reader forever
        with path.open("rb") as file:
            return _Reader(file, os.fstat(file.fileno()).st_size).header()
    except (OSError, ValueError) as error:  # a NUL in the path
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise UnreadableFile(f"it cannot be opened ({reason})") from error


def read_model_header(path: Path) -> Header:
    """The header of a file with networks of a model: a .gguf file, or else a .safetensors file.

    Raises what `read_gguf` and `read_header` raise.
    """
    return read_gguf(path) if path.suffix.lower() == SUFFIX else read_header(path)


class _Reader:
    """Reads numbers and strings one after the other; never beyond the file or HEADER_LIMIT."""

    def __init__(self, file: BufferedReader, size: int) -> None:
        self._file = file
        self._size = size
        self._at = 0
        self._items = 0

    def header(self) -> Header:
        if self._bytes(4) != _MAGIC:
            raise NotGguf("it does not begin with GGUF")
        version = self._number("<I")
        if version not in _VERSIONS:
            if int.from_bytes(version.to_bytes(4, "little"), "big") in _VERSIONS:
                raise NotGguf("its numbers are big-endian")
            raise NotGguf(f"its version is {version}; known are 2 and 3")
        tensors, keys = self._number("<Q"), self._number("<Q")
        if not 0 < tensors <= TENSOR_LIMIT:
            raise NotGguf(f"it claims {tensors} tensors; the limit is {TENSOR_LIMIT}")
        if keys > KEYS_LIMIT:
            raise NotGguf(f"it claims {keys} keys; the limit is {KEYS_LIMIT}")
        said = self._metadata(keys)
        if type(parts := said.get(_PARTS)) is int and parts > 1:
            raise NotGguf(f"it is one of {parts} files that belong together; get them as one file")
        alignment = said.get("general.alignment", ALIGNMENT)
        if type(alignment) is not int or not (0 < alignment <= _ALIGNMENT_MAX) or alignment % 8:
            raise NotGguf(f"its general.alignment is {alignment!r:.20}, no multiple of 8")
        return self._tensors(tensors, said, alignment)

    def _metadata(self, keys: int) -> dict[str, object]:
        """By key: texts, numbers, and the arrays that are shapes; other arrays are None."""
        said: dict[str, object] = {}
        for _ in range(keys):
            key = self._text()
            if key in said:
                raise NotGguf(f"it names {key!r:.80} twice")
            said[key] = self._value(self._number("<I"), key.startswith(_ORIGINAL))
        return said

    def _value(self, kind: int, kept: bool) -> object:
        if kind == _STRING:
            return self._text()
        if kind != _ARRAY:
            return self._plain(kind)
        inner, length = self._number("<I"), self._number("<Q")
        self._items += length
        if self._items > ITEMS_LIMIT:
            raise NotGguf(f"its arrays have more than {ITEMS_LIMIT} items")
        if kept:
            if length > AXES_LIMIT:
                raise NotGguf(f"a shape has {length} axes; {AXES_LIMIT} are allowed")
            return tuple(self._plain(inner) for _ in range(length))
        if inner == _STRING:
            for _ in range(length):
                self._skip(self._number("<Q"))
        else:
            self._skip(length * struct.calcsize(self._form(inner)))
        return None

    def _form(self, kind: int) -> str:
        if kind not in _PLAIN:
            raise NotGguf(f"a value is of type {kind}, which is not known")
        return _PLAIN[kind]

    def _plain(self, kind: int) -> object:
        form = self._form(kind)
        value: object = struct.unpack(form, self._bytes(struct.calcsize(form)))[0]
        return value

    def _tensors(self, number: int, said: Mapping[str, object], alignment: int) -> Header:
        shapes: dict[str, tuple[int, ...]] = {}
        dtypes, starts, sizes = {}, {}, {}
        for _ in range(number):
            name = self._text(_NAME_MAX)
            axes = self._number("<I")
            if name in shapes:
                raise NotGguf(f"it names {name!r:.80} twice")
            if not 0 < axes <= AXES_LIMIT:
                raise NotGguf(f"{name!r:.80} has {axes} axes; {AXES_LIMIT} are allowed")
            # The axis whose elements lie side by side comes first in the file.
            shape = tuple(reversed([self._number("<Q") for _ in range(axes)]))
            kind, start = self._number("<I"), self._number("<Q")
            packing = PACKINGS.get(kind)
            if packing is None:
                raise NotGguf(f"{name!r:.80} is of type {kind}, which is not known")
            count = math.prod(shape)
            if shape[-1] % packing.block:
                raise NotGguf(
                    f"{name!r:.80} has rows of {shape[-1]} numbers; {packing.name} packs"
                    f" {packing.block} together"
                )
            if start % alignment:
                raise NotGguf(f"{name!r:.80} begins at byte {start}, not aligned to {alignment}")
            shapes[name] = _original(name, shape, said)
            if max((*shape, *shapes[name])) > AXIS_MAX:
                raise NotGguf(f"the shape of {name!r:.80} is larger than any memory")
            dtypes[name], starts[name] = packing.name, start
            sizes[name] = count // packing.block * packing.size
        data_start = -(-self._at // alignment) * alignment
        self._check(starts, sizes, data_start)
        texts = {key: value for key, value in said.items() if isinstance(value, str)}
        return Header(shapes, dtypes, starts, sizes, data_start, texts)

    def _check(self, starts: Mapping[str, int], sizes: Mapping[str, int], data_start: int) -> None:
        spans = sorted((start, start + sizes[name]) for name, start in starts.items())
        present = self._size - data_start
        if (end := max(end for _, end in spans)) > present:
            raise NotGguf(
                "it is cut off: was the copy or download interrupted?"
                f" Its tensors end at byte {end} of {max(present, 0)}"
            )
        if any(end > start for (_, end), (start, _) in pairwise(spans)):
            raise NotGguf("two of its tensors overlap")

    def _number(self, form: str) -> int:
        value: int = struct.unpack(form, self._bytes(struct.calcsize(form)))[0]
        return value

    def _text(self, most: int = HEADER_LIMIT) -> str:
        length = self._number("<Q")
        if length > most:
            raise NotGguf(f"a name or text is {length} bytes long; {most} are allowed")
        try:
            return self._bytes(length).decode("utf-8")
        except UnicodeDecodeError:
            raise NotGguf("a name or text is not UTF-8") from None

    def _bytes(self, length: int) -> bytes:
        self._advance(length)
        raw = self._file.read(length)
        if len(raw) != length:
            raise NotGguf("its header is cut off")
        return raw

    def _skip(self, length: int) -> None:
        self._advance(length)
        self._file.seek(length, os.SEEK_CUR)

    def _advance(self, length: int) -> None:
        self._at += length
        if self._at > HEADER_LIMIT:
            raise NotGguf(f"its header is too long: {HEADER_LIMIT} bytes are allowed")


def _original(name: str, shape: tuple[int, ...], said: Mapping[str, object]) -> tuple[int, ...]:
    """The shape that a tensor had before it was flattened for the format."""
    original = said.get(_ORIGINAL + name)
    if original is None:
        return shape
    sides = original if isinstance(original, tuple) else (None,)
    if all(type(side) is int and side >= 0 for side in sides):
        found: tuple[int, ...] = sides
        if math.prod(found) == math.prod(shape):
            return found
    raise NotGguf(f"the original shape of {name!r:.80} does not fit its numbers")
