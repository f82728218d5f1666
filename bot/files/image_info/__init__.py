"""How an image says that it was generated, whichever program wrote it.

    reading      the way from a file to an ImageInfo        model     ImageInfo
    containers   texts in PNG, JPEG and WebP                exif      texts in Exif
    stealth      text in the lowest bits of pixels          graph     ComfyUI's graphs
    ours         what we wrote ourselves                    infotext  AUTOMATIC1111, Forge
    comfyui, invokeai, swarmui, novelai, fooocus            values    untrusted JSON
    matching     what of it this catalog has                settings  a Draft of it

The readers are our own. The library for this, sd-parsers 0.6, reads neither SwarmUI nor WebP of
ComfyUI, needs both of ComfyUI's graphs where many files have one, finds no LoRAs, reads UTF-16 of
one byte order only, and bounds nothing: it decodes whatever Pillow opens, recurses along graphs,
walks the pixels in Python, and keeps what it read of the latest image in globals by `id()`, which
another image may have. The tests compare the two where it can read a file.
"""

from bot.files.image_info.model import ImageInfo, NamedFile, NamedLora
from bot.files.image_info.reading import read_info

__all__ = ["ImageInfo", "NamedFile", "NamedLora", "read_info"]
