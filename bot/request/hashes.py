"""Models and LoRAs named by the hash of their file, as Civitai and AUTOMATIC1111 show it."""

import re
from collections.abc import Mapping
from typing import Final, TypeAlias

Hashes: TypeAlias = Mapping[str, tuple[str, ...]]
"""By catalog key, as far as they are known: a file's sha256, a LoRA's AutoV3."""

_HASH: Final = re.compile(r"[0-9a-f]{8,64}")


def key_of(text: str, hashes: Hashes) -> str | None:
    """The catalog key of the file with a hash that begins so; None if there is none, or several."""
    wanted = text.strip().casefold()
    if not _HASH.fullmatch(wanted):
        return None
    found = [key for key, known in hashes.items() if any(h.startswith(wanted) for h in known)]
    return found[0] if len(found) == 1 else None
