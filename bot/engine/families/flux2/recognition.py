"""Whether files are of FLUX.2 klein, and if not, what they are."""

from pathlib import Path
from typing import Final

from catalog.families.files import INDEX
from catalog.families.flux2.recognition import FLUX2_KLEIN
from catalog.weight_files import Header, checkpoint_facts
from catalog.weight_files.architectures import transformer
from catalog.weight_files.pipeline import ConfigurationError, read_configuration

DEV: Final = "FLUX.2 dev"
_GUIDED: Final = (".guidance_embedder.linear_1.weight", "guidance_in.in_layer.weight")
"""Ends of the names of what only FLUX.2 dev has."""


def stranger(file: Path, header: Header) -> str:
    """What a single file is, if not one of FLUX.2 klein; "" if it is."""
    if transformer(header.shapes) not in {FLUX2_KLEIN, "FLUX.2"}:
        return checkpoint_facts(file, header).what
    return DEV if any(name.endswith(_GUIDED) for name in header.shapes) else ""


def strange_folder(folder: Path) -> str:
    """What a folder in diffusers' layout is, if not FLUX.2 klein; "" if it is, or does not say.

    Raises OSError if it cannot be read.
    """
    try:
        name = read_configuration(folder / INDEX).get("_class_name")
    except FileNotFoundError:
        return ""
    except ConfigurationError as error:
        return str(error)
    if name is None or str(name).startswith("Flux2Klein"):
        return ""
    return DEV if name == "Flux2Pipeline" else str(name)[:60]
