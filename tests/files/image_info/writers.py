"""Files as other programs write them: the same chunks, keys and encodings as their published code.

AUTOMATIC1111   modules/images.py, `save_image_with_geninfo`
ComfyUI         nodes.py, `SaveImage`; comfy_extras/nodes_images.py, `SaveAnimatedWEBP`
InvokeAI        services/image_files/image_files_disk.py, `save`
SwarmUI         T2IParamInput.cs, `GenRawMetadata`; ImageFile.cs, `ConvertTo`
NovelAI         its novelai-image-metadata, `nai_meta.py`
Fooocus         modules/meta_parser.py and modules/private_logger.py
"""

import gzip
import io
import json
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import piexif
import piexif.helper
from PIL import Image
from PIL.PngImagePlugin import PngInfo

PICTURE = Image.linear_gradient("L").resize((64, 48)).convert("RGB")


def png(
    texts: Mapping[str, str], *, compressed: bool = False, image: Image.Image = PICTURE
) -> bytes:
    info = PngInfo()
    for keyword, text in texts.items():
        info.add_text(keyword, text, zip=compressed)
    return _saved(image, "PNG", pnginfo=info)


def with_comment(text: str, kind: str) -> bytes:
    """A JPEG or WebP as AUTOMATIC1111 and Forge write it."""
    comment = piexif.helper.UserComment.dump(text, encoding="unicode")
    exif = piexif.dump({"Exif": {piexif.ExifIFD.UserComment: comment}})
    return _saved(PICTURE, kind, exif=exif)


def with_imagesharp_comment(text: str, kind: str) -> bytes:
    """The same as SwarmUI's library writes it: least significant bytes first throughout."""
    comment = b"UNICODE\0" + text.encode("utf-16-le")
    outer = struct.pack("<HHHIII", 1, 0x8769, 4, 1, 26, 0)
    inner = struct.pack("<HHHIII", 1, 0x9286, 7, len(comment), 44, 0)
    exif = b"II*\0" + struct.pack("<I", 8) + outer + inner + comment
    return _saved(PICTURE, kind, exif=b"Exif\0\0" + exif)


def fooocus(metadata: str, scheme: str, kind: str) -> bytes:
    if kind == "PNG":
        return png({"parameters": metadata, "fooocus_scheme": scheme})
    exif = Image.Exif()
    exif[0x9286] = metadata
    exif[0x0131] = "Fooocus v2.5.5"
    exif[0x927C] = scheme
    return _saved(PICTURE, kind, exif=exif)


def comfyui(prompt: Mapping[str, Any], workflow: Mapping[str, Any], kind: str) -> bytes:
    exif = PICTURE.getexif()
    exif[0x0110] = f"prompt:{json.dumps(prompt)}"
    exif[0x010F] = f"workflow:{json.dumps(workflow)}"
    return _saved(PICTURE, kind, exif=exif)


def stealth(
    text: str, kind: str = "PNG", *, colours: bool = False, compressed: bool = True
) -> bytes:
    """Text in the lowest bits of the alpha channel, or of the colours, column by column."""
    signature = {
        (False, True): b"stealth_pngcomp",
        (False, False): b"stealth_pnginfo",
        (True, True): b"stealth_rgbcomp",
        (True, False): b"stealth_rgbinfo",
    }[colours, compressed]
    body = gzip.compress(text.encode()) if compressed else text.encode()
    data = signature + (len(body) * 8).to_bytes(4, "big") + body
    bits = [(byte >> shift) & 1 for byte in data for shift in range(7, -1, -1)]
    image = PICTURE.resize((96, 160)).convert("RGB" if colours else "RGBA")
    turned = image.transpose(Image.Transpose.TRANSPOSE)
    pixels = bytearray(turned.tobytes())
    for n, bit in enumerate(bits):
        at = n if colours else 4 * n + 3
        pixels[at] = pixels[at] & ~1 | bit
    turned = Image.frombytes(turned.mode, turned.size, bytes(pixels))
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    return _saved(turned.transpose(Image.Transpose.TRANSPOSE), kind, **options)


def chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()
