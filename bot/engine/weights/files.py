"""Weights from their files: in large pieces, by a few threads, straight into place.

A map of a file would be read by page faults, some pages at a time and one after the other.
"""

import ctypes
import errno
import os
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from bot.engine.weights.blocks import Packed
from bot.engine.weights.host import HostMemory
from bot.engine.weights.layout import Layout
from catalog.weight_files import Header, NotGguf, NotSafetensors, read_gguf, read_header
from catalog.weight_files.gguf import BLOCKS, SUFFIX

THREADS: Final = 4
"""Readers. They take the pieces of a file in order, so what they ask for lies side by side: a
network drive has several requests under way, and a hard disk need not seek."""
PIECE: Final = 8 * 2**20
"""Bytes read at once; a multiple of the size of every element. A job that is stopped waits for at
most THREADS of them."""
STRIPS_MAX: Final = 512
"""Parameters that one piece may hold. Systems read into 1,024 places at once."""
CONVERTED: Final = 2**15
"""Elements converted at once: they stay in the CPU's cache, and torch starts no threads for so few;
each of ours would start as many as there are cores."""
ALIGNMENT: Final = 16
CHECK: Final = 0.05
"""Seconds between two checks whether the job was stopped."""


class FileChanged(OSError):
    """A file was written to or cut off while it was in use; the next attempt sees what it is now.

    Its number is one of those that `catalog.disk.may_pass` knows.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(errno.ESTALE, "it changed while it was being read", str(path))


class WeightFile:
    """A .safetensors or .gguf file, open for as long as this object lives.

    tensors: by name, mapped from it. packed: of those of a .gguf file that are no plain numbers,
    whose tensors are their bytes.
    """

    def __init__(self, path: Path) -> None:
        """Raises OSError, FileChanged, NotSafetensors, NotGguf."""
        self._path = path
        # First, because torch does not say in which way a file cannot be opened.
        self._file = path.open("rb", buffering=0)
        self._turn = threading.Lock()
        self._status = os.fstat(self._file.fileno())
        try:
            self.tensors, self.packed, header = _mapped(path)
        except (NotSafetensors, NotGguf, RuntimeError):  # the last of torch: it is cut off
            self._compare(path.stat())
            raise
        # So that what was opened three times is one file.
        self._compare(path.stat())
        self._places = sorted(
            (tensor.data_ptr(), tensor.nbytes, header.data_start + header.starts[name])
            for name, tensor in self.tensors.items()
            if tensor.nbytes
        )
        self._addresses = [address for address, _, _ in self._places]

    def __del__(self) -> None:
        if opened := getattr(self, "_file", None):
            opened.close()

    def offset_of(self, tensor: torch.Tensor) -> int | None:
        """Where the bytes of `tensor` are in the file, if it is one of its own or a piece of one.

        None for every other tensor, and for one whose elements are not side by side in the file.
        """
        address = tensor.data_ptr()
        at = bisect_right(self._addresses, address) - 1
        if at < 0 or not tensor.is_contiguous():
            return None
        start, size, offset = self._places[at]
        within = address - start
        return offset + within if within + tensor.nbytes <= size else None

    def read_into(self, places: Sequence[memoryview], offset: int) -> None:
        """Fill all of `places`, one after the other, from `offset` on. Any thread.

        Raises OSError, and FileChanged when the file ends before that.
        """
        size = sum(place.nbytes for place in places)
        if hasattr(os, "posix_fadvise"):
            # The whole piece is asked for at once rather than as far as the system reads ahead.
            os.posix_fadvise(self._file.fileno(), offset, size, os.POSIX_FADV_WILLNEED)
        rest = list(places)
        while rest:
            got = self._read(rest, offset)
            if not got:
                raise FileChanged(self._path)
            offset += got
            while rest and got >= rest[0].nbytes:
                got -= rest.pop(0).nbytes
            if got:
                rest[0] = rest[0][got:]

    def _read(self, places: Sequence[memoryview], offset: int) -> int:
        """Read once; returns how many bytes came."""
        if hasattr(os, "preadv"):
            return os.preadv(self._file.fileno(), places, offset)
        with self._turn:  # Windows: only one reader at a time, but others convert meanwhile
            self._file.seek(offset)
            return self._file.readinto(places[0])

    def check(self) -> None:
        """Raise FileChanged if the file was written to since it was opened."""
        self._compare(os.fstat(self._file.fileno()))

    def _compare(self, now: os.stat_result) -> None:
        # Not by the inode's number: some network file systems give one file several.
        if (now.st_size, now.st_mtime_ns) != (self._status.st_size, self._status.st_mtime_ns):
            raise FileChanged(self._path)


def _mapped(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Packed], Header]:
    """See `WeightFile`.

    Not by safetensors: it looks at the first byte of each tensor, for which the system reads far
    ahead, by one page fault after the other.
    """
    gguf = path.suffix.lower() == SUFFIX
    header = read_gguf(path) if gguf else read_header(path)
    size = path.stat().st_size
    whole = torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8)
    memory = whole.untyped_storage()
    tensors, packed = {}, {}
    for name, shape in header.shapes.items():
        start = header.data_start + header.starts[name]
        end = start + header.sizes[name]
        kind = header.dtypes[name]
        if dtype := _PLAIN.get(kind):
            # A view of another dtype would have to be aligned, which the format does not require.
            tensors[name] = torch.empty(0, dtype=dtype).set_(memory[start:end]).view(shape)
        else:
            tensors[name] = whole[start:end]
        if kind in BLOCKS:
            packed[name] = Packed(kind, shape)
    return tensors, packed, header


_PLAIN: Final = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E8M0": torch.float8_e8m0fnu,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
    "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "U8": torch.uint8,
    "U16": torch.uint16,
    "U32": torch.uint32,
    "U64": torch.uint64,
    "BOOL": torch.bool,
    "C64": torch.complex64,
}
"""Plain numbers, by their names in both formats. What is neither these nor in blocks stays bytes,
which fit no parameter."""


class FileTensors(dict[str, torch.Tensor]):
    """Tensors by name, and the files that they are mapped from, as far as they are."""

    def __init__(self, tensors: Mapping[str, torch.Tensor], files: Iterable[WeightFile]) -> None:
        super().__init__(tensors)
        self.files = tuple(files)


@dataclass(frozen=True, slots=True)
class _Strip:
    """Some bytes of one parameter.

    offset: in the file. begin: counted from the parameter's first byte. dtype: the file's.
    """

    name: str
    dtype: torch.dtype
    offset: int
    begin: int
    size: int


@dataclass(frozen=True, slots=True)
class _Piece:
    """Strips that lie side by side in one file, in its order."""

    file: WeightFile
    strips: Sequence[_Strip]


def fill(
    layout: Layout,
    buffer: torch.Tensor,
    tensors: FileTensors,
    check_stop: Callable[[], None],
) -> set[str]:
    """Read every parameter of `layout` that is in one of the files as it is, into `buffer`.

    buffer: of the layout's size, on any device. Returns the names of the parameters that were read;
    the others are the caller's.
    Raises OSError, FileChanged, and what `check_stop` raises; `buffer` is not written to after.
    """
    strips: dict[WeightFile, list[_Strip]] = {file: [] for file in tensors.files}
    found = set()
    for name in layout.slots:
        tensor = tensors[name]
        for file, own in strips.items():
            offset = file.offset_of(tensor)
            if offset is not None:
                own += _strips(name, tensor, offset)
                found.add(name)
                break
    pieces = [piece for file, own in strips.items() for piece in _pieces(file, own)]
    _read_all(pieces, layout, buffer, check_stop)
    for file in tensors.files:
        file.check()
    return found


def _strips(name: str, tensor: torch.Tensor, offset: int) -> Iterator[_Strip]:
    for begin in range(0, tensor.nbytes, PIECE):
        size = min(PIECE, tensor.nbytes - begin)
        yield _Strip(name, tensor.dtype, offset + begin, begin, size)


def _pieces(file: WeightFile, strips: Iterable[_Strip]) -> Iterator[_Piece]:
    piece: list[_Strip] = []
    size = end = 0
    for strip in sorted(strips, key=lambda strip: strip.offset):
        if piece and (strip.offset != end or size + strip.size > PIECE or len(piece) == STRIPS_MAX):
            yield _Piece(file, piece)
            piece, size = [], 0
        piece.append(strip)
        size += strip.size
        end = strip.offset + strip.size
    if piece:
        yield _Piece(file, piece)


def _read_all(
    pieces: Sequence[_Piece],
    layout: Layout,
    buffer: torch.Tensor,
    check_stop: Callable[[], None],
) -> None:
    if not pieces:
        return
    stopped, turn, coming = threading.Event(), threading.Lock(), iter(pieces)

    def work() -> None:
        reader = _Reader(layout, buffer)
        while not stopped.is_set():
            with turn:
                piece = next(coming, None)
            if piece is None:
                return
            reader.read(piece)

    readers = min(THREADS, len(pieces))
    # Leaving it waits for the readers: after an error, none of them may still write.
    with ThreadPoolExecutor(readers, thread_name_prefix="weights") as pool:
        try:
            running = {pool.submit(work) for _ in range(readers)}
            while running:
                done, running = wait(running, CHECK, FIRST_EXCEPTION)
                for each in done:
                    each.result()
                check_stop()
        finally:
            stopped.set()


class _Reader:
    """Reads pieces into `buffer`; what cannot go there as it is goes through its own memory."""

    def __init__(self, layout: Layout, buffer: torch.Tensor) -> None:
        self._layout = layout
        self._buffer = buffer
        self._bytes = _bytes(buffer) if buffer.device.type == "cpu" else None
        self._room: HostMemory | None = None

    # The buffer may have been made in inference mode; it is then written to in that mode only.
    @torch.inference_mode()
    def read(self, piece: _Piece) -> None:
        places, passing, used = [], [], 0
        for strip in piece.strips:
            slot = self._layout.slots[strip.name]
            if self._bytes is not None and strip.dtype == slot.dtype:
                start = slot.start + strip.begin
                places.append(self._bytes[start : start + strip.size])
                continue
            raw = self._memory()[used : used + strip.size]
            used += -(-strip.size // ALIGNMENT) * ALIGNMENT
            places.append(_bytes(raw))
            passing.append((strip, raw))
        piece.file.read_into(places, piece.strips[0].offset)
        for strip, raw in passing:
            self._pass_on(strip, raw.view(strip.dtype))

    def _memory(self) -> torch.Tensor:
        if self._room is None:
            size = PIECE + STRIPS_MAX * ALIGNMENT
            device = self._buffer.device
            self._room = HostMemory(size, gpu=str(device) if device.type == "cuda" else None)
        return self._room.buffer

    def _pass_on(self, strip: _Strip, stored: torch.Tensor) -> None:
        begin = strip.begin // strip.dtype.itemsize
        whole = self._layout.view(self._buffer, strip.name).view(-1)
        target = whole[begin : begin + stored.numel()]
        step = CONVERTED if self._bytes is not None else max(stored.numel(), 1)
        for at in range(0, stored.numel(), step):
            target[at : at + step].copy_(stored[at : at + step])


def _bytes(buffer: torch.Tensor) -> memoryview:
    """The memory of `buffer`, which must outlive it. Unlike numpy's view it leaves it resizable."""
    memory = (ctypes.c_ubyte * buffer.nbytes).from_address(buffer.data_ptr())
    return memoryview(memory).cast("B")
