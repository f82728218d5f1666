"""Whether files are of Anima, and if not, what they are."""

from pathlib import Path

from catalog.families.anima.recognition import ANIMA_MODEL
from catalog.families.files import MODULAR_INDEX
from catalog.weight_files import Header, checkpoint_facts
from catalog.weight_files.architectures import transformer
from catalog.weight_files.pipeline import ConfigurationError, read_configuration


def stranger(file: Path, header: Header) -> str:
    """What a single file is, if not one of Anima; "" if it is."""
    return "" if transformer(header.shapes) == ANIMA_MODEL else checkpoint_facts(file, header).what


def strange_folder(folder: Path) -> str:
    """What a folder in diffusers' layout is, if not Anima; "" if it is, or does not say.

    Raises OSError if it cannot be read.
    """
    try:
        name = read_configuration(folder / MODULAR_INDEX).get("_class_name")
    except FileNotFoundError:
        return ""
    except ConfigurationError as error:
        return str(error)
    return "" if name is None or str(name).startswith("Anima") else str(name)[:60]
