"""What a request names that may be in a model file that is not read yet."""

from bot.errors import Refused
from catalog import Catalog


def check_read(catalog: Catalog, name: str) -> None:
    """Raise Refused if what is called `name` may be in a file that is not read yet.

    name: "" for the default model.
    """
    if catalog.unread:
        how_far = {"read": catalog.files_read, "files": catalog.files}
        if name:
            raise Refused("catalog.reading", name=name, **how_far)
        raise Refused("catalog.starting", **how_far)
