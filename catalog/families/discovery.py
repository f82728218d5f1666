"""Find the families of a package: each of its folders is one."""

from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path

from catalog.families.family import Family

FAMILY = "FAMILY"
"""What the folder of a family calls it."""


class BadFamily(Exception):
    """A folder is no family, or only half of one; the message names it and says what is wrong."""


def folders(paths: Iterable[str]) -> Iterator[str]:
    """The names of the folders with code in a package, in order. paths: its `__path__`."""
    yield from sorted(
        # One with nothing but __pycache__ is what a version control system leaves behind.
        {each.name for path in paths for each in Path(path).iterdir() if any(each.glob("*.py"))}
    )


def found(package: str, paths: Iterable[str]) -> tuple[Family, ...]:
    """The families in the folders of `package`, in the order in which they are listed.

    Raises BadFamily for a folder without one, or with one of another key; and whatever its own code
    raises.
    """
    families = []
    for key in folders(paths):
        folder = f"{package}.{key}".replace(".", "/")
        family = getattr(import_module(f"{package}.{key}"), FAMILY, None)
        if not isinstance(family, Family):
            raise BadFamily(f"{folder} is no family: its __init__.py has no {FAMILY} of that class")
        if family.key != key:
            raise BadFamily(f"{folder} must be the family {key!r}, but its key is {family.key!r}")
        families.append(family)
    return tuple(sorted(families, key=lambda family: (family.place, family.key)))
