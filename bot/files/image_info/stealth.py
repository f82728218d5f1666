"""Stealth pnginfo: text in the lowest bits of the pixels, which survives where texts are removed.

NovelAI writes it into the alpha channel, the web UI's extension and SwarmUI into that or into all
three colours: column by column, a signature, the number of bits that follow, and UTF-8, mostly
compressed by gzip.
"""

import io
import logging
import zlib
from typing import Final

from PIL import Image

from bot.files.decoding import FRAMES_MAX
from bot.files.image_info.containers import PNG, chunks, decoded
from bot.files.inputs import PIXELS_MAX

PACKED_MAX: Final = 1024 * 1024
TEXT_MAX: Final = 4 * 1024 * 1024

_ALPHA: Final = {b"stealth_pnginfo": False, b"stealth_pngcomp": True}
_COLOURS: Final = {b"stealth_rgbinfo": False, b"stealth_rgbcomp": True}
"""Signatures, and whether what follows is compressed."""
_SIGNATURE_BYTES: Final = 15
_HEADER_BITS: Final = 8 * (_SIGNATURE_BYTES + 4)
_LOWEST: Final = bytes(48 + (value & 1) for value in range(256))
"""Each byte as the digit that its lowest bit is."""
_NEEDED: Final = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")

log = logging.getLogger(__name__)


def stealth_text(data: bytes) -> str:
    """The text hidden in a PNG or WebP; "" if there is none, or the file is damaged or too large.

    Decodes the pixels.
    """
    if data.startswith(PNG):
        data = _bare(data)
    elif data.count(b"ANMF") > FRAMES_MAX:
        return ""
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "WEBP")) as image:
            if image.width * image.height > PIXELS_MAX:
                return ""
            return _read(image)
    except Exception as error:
        # Decoders raise all kinds of exceptions on damaged files.
        log.info("an image's pixels cannot be read: %s", type(error).__name__)
        return ""


def _read(image: Image.Image) -> str:
    if image.mode == "RGBA" and (found := _hidden(image.getchannel("A"), 1, _ALPHA)):
        return found
    return _hidden(image.convert("RGB"), 3, _COLOURS) if image.mode in ("RGB", "RGBA") else ""


def _hidden(layer: Image.Image, channels: int, signatures: dict[bytes, bool]) -> str:
    header = _bits(layer, channels, 0, _HEADER_BITS)
    compressed = signatures.get(header[:_SIGNATURE_BYTES])
    length = int.from_bytes(header[_SIGNATURE_BYTES:], "big")
    room = layer.width * layer.height * channels - _HEADER_BITS
    if compressed is None or not 0 < length <= min(room, PACKED_MAX * 8):
        return ""
    body = _bits(layer, channels, _HEADER_BITS, length - length % 8)
    if compressed:
        try:
            body = zlib.decompressobj(wbits=31).decompress(body, TEXT_MAX)
        except zlib.error:
            return ""
    return decoded(body)


def _bits(layer: Image.Image, channels: int, first: int, count: int) -> bytes:
    """`count` lowest bits from the bit `first` on, column by column."""
    column = layer.height * channels
    left, right = first // column, min(layer.width, -(-(first + count) // column))
    columns = layer.crop((left, 0, right, layer.height)).transpose(Image.Transpose.TRANSPOSE)
    start = first - left * column
    digits = columns.tobytes()[start : start + count].translate(_LOWEST)
    return int(digits or b"0", 2).to_bytes(count // 8, "big") if len(digits) == count else b""


def _bare(data: bytes) -> bytes:
    """A PNG with only what its pixels need: Pillow rejects files for some of the rest."""
    kept = [PNG]
    for kind, body in chunks(data):
        if kind in _NEEDED:
            kept += [len(body).to_bytes(4, "big"), kind, body]
            kept.append(zlib.crc32(body, zlib.crc32(kind)).to_bytes(4, "big"))
    return b"".join(kept)
