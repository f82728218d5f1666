"""Read the whole catalog in one go, and say how far it is."""

from collections.abc import Callable
from pathlib import Path

from catalog.headers import HeaderCache
from catalog.reader import Demos, read_catalog
from catalog.snapshot import Catalog

Told = Callable[[int, int], None]


def read_with_progress(
    catalog_dir: Path,
    models_dir: Path,
    *,
    demos: Demos,
    headers: HeaderCache,
    told: Told,
) -> Catalog:
    """As `read_catalog`, with every file read.

    told: called before each file that is not known yet, with how many of all are known, and after
    the last.
    """
    headers.hurry(0)
    catalog = read_catalog(catalog_dir, models_dir, demos=demos, headers=headers)
    if not catalog.unread:
        return catalog
    for number, unread in enumerate(catalog.unread):
        told(catalog.files_read + number, catalog.files)
        try:
            for _ in headers.read(unread):
                pass
        except OSError:
            continue  # said below
    told(catalog.files, catalog.files)
    headers.hurry(None)
    return read_catalog(catalog_dir, models_dir, demos=demos, headers=headers)
