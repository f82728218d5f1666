"""Find the engine's half of each family: the folder here that has its key. Imports torch."""

from collections.abc import Iterable, Mapping
from importlib import import_module

from bot.engine.families.family import Family
from catalog.families import Family as Facts
from catalog.families.discovery import FAMILY, BadFamily, folders


def found(package: str, paths: Iterable[str], facts: Mapping[str, Facts]) -> dict[str, Family]:
    """The engine's halves in the folders of `package`, by key and in the order of `facts`.

    paths: its `__path__`. facts: the other halves. A folder that has neither a family nor a key of
    these is what several families share.

    Raises BadFamily for a half without the other, and whatever its own code raises.
    """
    here = {key: f"{package}.{key}" for key in folders(paths)}
    families: dict[str, Family] = {}
    for key in (*facts, *(key for key in here if key not in facts)):
        folder = f"{package}.{key}".replace(".", "/")
        if key not in here:
            raise BadFamily(f"{folder} is missing, the engine's half of catalog/families/{key}")
        family = getattr(import_module(here[key]), FAMILY, None)
        if key not in facts:
            if family is not None:
                raise BadFamily(f"catalog/families/{key} is missing, the other half of {folder}")
            continue
        if family is None:
            raise BadFamily(f"{folder} is no family: its __init__.py has no {FAMILY}")
        if family.key != key:
            raise BadFamily(f"{folder} must be the family {key!r}, but its key is {family.key!r}")
        families[key] = family
    return families
