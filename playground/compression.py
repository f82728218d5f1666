"""Transport compression: https://docs.discord.com/developers/events/gateway#transport-compression."""

import zlib
from typing import Any, Protocol


class Compressor(Protocol):
    """Turns one event into the next frame of a compressed stream."""

    def frame(self, text: str) -> bytes: ...


class Zlib:
    """``compress=zlib-stream``: one stream per socket, with a sync flush after each event."""

    def __init__(self) -> None:
        self._stream = zlib.compressobj()

    def frame(self, text: str) -> bytes:
        return self._stream.compress(text.encode()) + self._stream.flush(zlib.Z_SYNC_FLUSH)


class Zstd:
    """``compress=zstd-stream``: one stream per socket, with a block flush after each event."""

    def __init__(self, compressobj: Any, flush_block: int) -> None:
        self._stream = compressobj
        self._flush_block = flush_block

    def frame(self, text: str) -> bytes:
        data: bytes = self._stream.compress(text.encode()) + self._stream.flush(self._flush_block)
        return data


def compressor(wanted: str | None) -> Compressor | None:
    """The compressor that the query asks for; None for plain text, which every client accepts."""
    if wanted == "zlib-stream":
        return Zlib()
    if wanted == "zstd-stream":
        try:
            import zstandard  # type: ignore[import-not-found,unused-ignore]
        except ImportError:
            return None
        return Zstd(zstandard.ZstdCompressor().compressobj(), zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    return None
