"""ControlNets: those of the table, and those dropped into `models_dir` without an entry."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from catalog.disk import files_below, is_folder, may_pass, names_in
from catalog.dropin_networks import FoundNetworks, Kind, find_networks
from catalog.headers import HeaderCache
from catalog.locate import Location
from catalog.schema import ControlNetEntry
from catalog.selecting import Incomplete, control_files
from catalog.weight_files import ControlNetFacts, HeaderError
from catalog.weight_files.controlnet import NOT_ONE
from catalog.weight_files.gguf import MODEL_SUFFIXES
from catalog.weight_files.pipeline import NETWORK

CONTROLNETS: Final = "controlnets"
_MISPLACED: Final = "move it to the folder for such files, or delete it"


def find_controlnets(
    models_dir: Path,
    entries: Mapping[str, ControlNetEntry],
    places: Mapping[str, tuple[Location, str | None]],
    *,
    table: Path,
    claimed: Collection[Path],
    keys: Collection[str],
    headers: HeaderCache,
) -> FoundNetworks[ControlNetEntry, ControlNetFacts]:
    """Those of `entries`, and one for each ControlNet in `controlnets/`: for each file, and for
    each folder in diffusers' layout. Arguments and errors as of `find_networks`.

    places: where the weights of those entries are, and their weight_name, by key. headers: the
    cache to use; updated.
    """
    kind = Kind(
        models_dir / CONTROLNETS, "a ControlNet", ControlNetEntry, headers.controlnet, _mend
    )
    files = {key: file for key in entries if (file := control_file(*places[key]))}
    folders = {
        file: folder
        for folder in network_folders(models_dir)
        if (file := control_file(Location("folder", folder), None))
    }
    return find_networks(
        kind, models_dir, entries, files, folders, table=table, claimed=claimed, keys=keys
    )


def _mend(error: HeaderError) -> str:
    return _MISPLACED if str(error).endswith(NOT_ONE) else ""


def control_file(place: Location, weight_name: str | None) -> Path | None:
    """The one weight file of a ControlNet on this machine; None if there is none, or several.

    Of variants, it is one of which the others say the same. Raises OSError if one may be listed
    later, see `catalog.disk.may_pass`.
    """
    if place.kind == "file" or place.path is None:
        return place.path
    if weight_name:
        return place.path / weight_name
    try:
        chosen = control_files(files_below(place.path, depth=0), None, half=True)
    except Incomplete:
        return None
    except OSError as error:
        if may_pass(error):
            raise
        return None
    files = [name for name in chosen if name.lower().endswith(MODEL_SUFFIXES)]
    return place.path / files[0] if len(files) == 1 else None


def network_folders(models_dir: Path) -> tuple[Path, ...]:
    """The folders in `controlnets/` that are networks in diffusers' layout, sorted.

    Raises OSError if they may be listed later.
    """
    folder = models_dir / CONTROLNETS
    try:
        inner = [folder / name for name in sorted(names_in(folder)) if not name.startswith(".")]
        return tuple(each for each in inner if is_folder(each) and NETWORK in names_in(each))
    except OSError as error:
        if may_pass(error):
            raise
        return ()
