"""From a file to an ImageInfo."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, TypeAlias

from bot.files.image_info.comfyui import from_comfyui
from bot.files.image_info.containers import PNG, is_webp, texts_of
from bot.files.image_info.fooocus import from_fooocus
from bot.files.image_info.infotext import from_infotext
from bot.files.image_info.invokeai import from_invokeai
from bot.files.image_info.model import ImageInfo
from bot.files.image_info.novelai import from_novelai, from_stealth
from bot.files.image_info.ours import from_ours, with_axes
from bot.files.image_info.stealth import stealth_text
from bot.files.image_info.swarmui import from_swarmui
from bot.files.image_info.values import SHOWN_MAX
from bot.files.inputs import check_file
from bot.files.metadata import IMAGEN
from bot.files.sheets.metadata import SHEET

_Reader: TypeAlias = Callable[[Mapping[str, str]], ImageInfo | None]

_READERS: Final[tuple[_Reader, ...]] = (
    from_swarmui,
    from_fooocus,
    from_invokeai,
    from_novelai,
    from_infotext,
    from_comfyui,  # after the infotext, which some nodes write beside the graph: it says the same
)


def read_info(data: bytes, field: str = "image") -> ImageInfo | None:
    """How an untrusted image file says that it was generated; None if it does not say.

    field: of the request, for errors. Raises only InvalidRequest: the file is too large, of another
    format than PNG, JPEG and WebP, has a text that is too long, or is a JPEG without end. Of a
    damaged file, as much as can be read counts. Blocks; takes up to a second where the pixels have
    to be searched.
    """
    check_file(field, size=len(data))
    texts = texts_of(data, field)
    found = from_ours(data) if IMAGEN in texts else None
    if found := found or _first(texts):
        return with_axes(found, data) if SHEET in texts else found
    if not (data.startswith(PNG) or is_webp(data)):
        return None
    hidden = stealth_text(data)
    return _first(from_stealth(hidden)) if hidden else None


def _first(texts: Mapping[str, str]) -> ImageInfo | None:
    found = (info for reader in _READERS if (info := reader(texts)))
    info = next((info for info in found if info.says_something), None)
    if info is None:
        return None
    # No sampler has such a name; looking for one that is like it would take long.
    return replace(info, sampler=info.sampler[:SHOWN_MAX], schedule=info.schedule[:SHOWN_MAX])
