"""Reads the catalog, its TOML files and the drop-in folders, into one `Catalog`."""

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

from catalog import dropin_models
from catalog.collecting import uncollected
from catalog.controlnets import ControlNets
from catalog.defaults import default_of, references_of, table_of
from catalog.dropin_controlnets import find_controlnets
from catalog.dropin_embeddings import FoundEmbeddings, find_embeddings
from catalog.dropin_networks import Kind, find_networks
from catalog.dropins import named
from catalog.embeddings import Embeddings
from catalog.families import Family, or_all
from catalog.headers import HeaderCache
from catalog.judging import files_of, judged, replacements_of
from catalog.locate import Location, locate, second_file, weight_file
from catalog.model_tables import read_models
from catalog.schema import (
    AdapterEntry,
    ControlNetEntry,
    DepthEntry,
    DescriberEntry,
    DetectorEntry,
    EmbeddingEntry,
    ImageCheckEntry,
    ModelEntry,
    PoseEntry,
    UpscalerEntry,
)
from catalog.snapshot import Catalog, CatalogUnreadable, Problem
from catalog.style_files import StyleReader
from catalog.tables import Table, is_there, parsed, place_of, read_tables
from catalog.unread import NotReadYet, Unread
from catalog.unsaid import unsaid_velocity
from catalog.upscalers import UPSCALERS, Upscalers
from catalog.weight_files import AdapterFacts, HeaderError
from catalog.wildcard_files import WILDCARDS, WildcardReader

MODELS_FILE: Final = "models.toml"
ADAPTERS_FILE: Final = "loras.toml"
EMBEDDINGS_FILE: Final = "embeddings.toml"
UPSCALERS_FILE: Final = "upscalers.toml"
CONTROLNETS_FILE: Final = "controlnets.toml"
"""The last three may be absent."""

Demos: TypeAlias = Literal["hidden", "offered", "default"]
"""How to treat entries marked `demo`; "default" offers them first, one of them as the default."""


def read_catalog(
    catalog_dir: Path,
    models_dir: Path,
    *,
    demos: Demos = "hidden",
    headers: HeaderCache | None = None,
    wildcards: WildcardReader | None = None,
    styles: StyleReader | None = None,
) -> Catalog:
    """Read the TOML files, wildcards and styles of `catalog_dir`, and the drop-ins of `models_dir`.

    An invalid entry is left out and becomes a problem; the rest works. Blocks on the disk.
    headers: the cache of weight file headers from earlier reads; updated. Where it has no time to
    read a file, what is in that file is left out, and the catalog says that it is unread.
    wildcards, styles: what has read them before, to read again only what has changed.
    Raises CatalogError if a file is missing, unreadable or not TOML, and CatalogUnreadable if it
    may be read later.
    """
    try:
        with uncollected():
            return _read_catalog(
                catalog_dir,
                models_dir,
                demos,
                headers or HeaderCache(),
                wildcards or WildcardReader(catalog_dir / WILDCARDS),
                styles or StyleReader(catalog_dir),
            )
    except OSError as error:
        raise CatalogUnreadable(f"the models and LoRAs cannot be read now: {error}") from error


def _read_catalog(
    catalog_dir: Path,
    models_dir: Path,
    demos: Demos,
    headers: HeaderCache,
    wildcard_reader: WildcardReader,
    style_reader: StyleReader,
) -> Catalog:
    headers.look_again()
    file = catalog_dir / MODELS_FILE
    data = parsed(file)
    models, unread = read_models(file, data, models_dir, headers, demos_first=demos == "default")
    adapter_file = catalog_dir / ADAPTERS_FILE
    adapters = read_tables(adapter_file, parsed(adapter_file), "loras", AdapterEntry)
    embedding_file = catalog_dir / EMBEDDINGS_FILE
    embeddings = read_tables(
        embedding_file, _optional(embedding_file), "embeddings", EmbeddingEntry
    )
    upscaler_file = catalog_dir / UPSCALERS_FILE
    upscalers = read_tables(upscaler_file, _optional(upscaler_file), "upscalers", UpscalerEntry)
    control_file = catalog_dir / CONTROLNETS_FILE
    controls = _optional(control_file)
    controlnets = read_tables(control_file, controls, "controlnets", ControlNetEntry)
    for with_demos in (models, adapters, upscalers, controlnets):
        _treat_demos(with_demos, demos)
    if demos == "default" and (demo := [m.key for m in models.entries.values() if m.demo]):
        data["default"] = demo[0]
    words = _places(models_dir, embeddings.tables)
    upscaler_places = _places(models_dir, upscalers.tables)
    control_places = _places(models_dir, controlnets.tables)
    places = _places(models_dir, adapters.tables)
    claimed = _claimed(
        [*_places(models_dir, models.tables).values(), *places.values(), *words.values()]
    )
    claimed |= replacements_of(models.written, models_dir, headers)
    # Their files are read in any case.
    wanted = {m.fast.adapter for m in models.entries.values() if m.fast and m.fast.adapter}
    found = dropin_models.find(
        models_dir,
        claimed=claimed,
        model_keys=models.tables.keys(),
        adapter_keys=adapters.tables.keys(),
        headers=headers,
        wanted=wanted,
    )
    every_model = {**models.entries, **{m.key: m for m in found.models}}
    said = judged(every_model.values(), models_dir, headers)
    unfit = said.unfit
    for key in said.later:
        del every_model[key]
    families = or_all(m.family for m in every_model.values() if m.enabled and m.key not in unfit)
    found_embeddings = find_embeddings(
        models_dir,
        found.astray,
        families=families,
        unread={one.file for one in found.unread},
        claimed=claimed,
        keys=embeddings.tables.keys(),
        headers=headers,
    )
    found_upscalers = find_networks(
        Kind(models_dir / UPSCALERS, "an upscaler", UpscalerEntry, headers.upscaler),
        models_dir,
        upscalers.entries,
        _files(upscalers.entries, upscaler_places),
        table=upscaler_file,
        claimed=_claimed(upscaler_places.values()),
        keys=upscalers.tables.keys(),
    )
    depth, depth_problems = table_of(control_file, controls, "depth", DepthEntry)
    pose, pose_problems = table_of(control_file, controls, "pose", PoseEntry)
    found_controlnets = find_controlnets(
        models_dir,
        controlnets.entries,
        control_places,
        table=control_file,
        claimed=_claimed(control_places.values()),
        keys=controlnets.tables.keys(),
        headers=headers,
    )
    unread += (*found.unread, *found_embeddings.unread, *said.later.values())
    files = _files(adapters.entries, places)
    facts = {**_facts(files, adapters.entries, headers, wanted, unread), **found.facts}
    used = files_of((*models.written, *found.models), models_dir, headers, said.lacking)
    word_files = _files(embeddings.entries, words)
    seconds = _seconds(embeddings.entries, word_files)
    adapter_files = (*found.files, *files.values())
    read = {*adapter_files, *found_embeddings.files, *word_files.values(), *seconds, *used}
    read |= {*found_upscalers.files, *found_controlnets.files}
    read |= {one.file for one in unread}
    headers.forget_all_but(read)
    every_adapter = {**adapters.entries, **{a.key: a for a in found.adapters}}
    offered_embeddings = _embeddings(
        embeddings.entries, word_files, found_embeddings, headers, unread, families
    )
    default, default_problems = default_of(file, data, every_model, unfit)
    offered = (m for m in every_model.values() if m.enabled and m.key not in unfit)
    unsaid = unsaid_velocity(offered, models_dir, headers, file)
    unknown = (
        default_problems,
        _unknown_adapters(file, models.entries, adapters.tables, every_adapter),
        _unknown_models(adapter_file, adapters.entries, models.tables, every_model),
        _unknown_models(embedding_file, embeddings.entries, models.tables, every_model),
        _unknown_models(control_file, controlnets.entries, models.tables, every_model),
    )
    if unread:  # it may be in a file that is read later
        unknown = ([], [], [], [], [])
    references, reference_problems = references_of(file, data)
    image_check, check_problems = table_of(file, data, "image_check", ImageCheckEntry)
    detector, detector_problems = table_of(file, data, "detector", DetectorEntry)
    describer, describer_problems = table_of(file, data, "describer", DescriberEntry)
    wildcards, wildcard_problems = wildcard_reader.read()
    styles, style_problems = style_reader.read()
    return Catalog(
        models=MappingProxyType(every_model),
        adapters=MappingProxyType(every_adapter),
        default=default,
        references=MappingProxyType(references),
        image_check=image_check,
        detector=detector,
        describer=describer,
        problems=(
            *models.problems,
            *unsaid,
            *unknown[0],
            *reference_problems,
            *check_problems,
            *detector_problems,
            *describer_problems,
            *unknown[1],
            *adapters.problems,
            *unknown[2],
            *found.problems,
            *embeddings.problems,
            *unknown[3],
            *found_embeddings.problems,
            *wildcard_problems,
            *upscalers.problems,
            *found_upscalers.problems,
            *controlnets.problems,
            *unknown[4],
            *depth_problems,
            *pose_problems,
            *found_controlnets.problems,
            *style_problems,
        ),
        adapter_facts=MappingProxyType(facts),
        embeddings=offered_embeddings,
        upscalers=Upscalers(found_upscalers.entries, found_upscalers.facts, found_upscalers.unfit),
        controlnets=ControlNets(
            found_controlnets.entries, found_controlnets.facts, found_controlnets.unfit, depth, pose
        ),
        unfit_models=MappingProxyType(unfit),
        lacking=MappingProxyType(said.lacking),
        unread=tuple(unread),
        files=len(read),
        wildcards=wildcards,
        styles=styles,
    )


def _seconds(entries: Mapping[str, EmbeddingEntry], files: Mapping[str, Path]) -> Iterator[Path]:
    """The second files of embeddings in two."""
    for key, file in files.items():
        if second := entries[key].second:
            yield second_file(file, second)


def _embeddings(
    entries: Mapping[str, EmbeddingEntry],
    files: Mapping[str, Path],
    found: FoundEmbeddings,
    headers: HeaderCache,
    unread: list[Unread],
    families: tuple[Family, ...],
) -> Embeddings:
    """unread: gets the files that are read later."""
    facts = dict(found.facts)
    for key, file in files.items():
        # Errors in the file of an entry are reported by `problems_of`.
        with contextlib.suppress(HeaderError):
            try:
                facts[key] = headers.embedding(file)
                second = entries[key].second
                if second and (said := headers.embedding_in_two(file, second_file(file, second))):
                    facts[key] = said
            except NotReadYet as later:
                unread.append(named(later.unread, file.stem, key))
    return Embeddings(
        MappingProxyType({**entries, **{entry.key: entry for entry in found.entries}}),
        MappingProxyType(facts),
        families,
    )


def _optional(file: Path) -> dict[str, Any]:
    """The contents of a file that may be absent."""
    return parsed(file) if is_there(file) else {}


def _treat_demos(table: Table[Any], demos: Demos) -> None:
    """Enable every demo, and put them before the others, as `demos` says."""
    if demos != "hidden":
        table.entries = {
            key: entry.model_copy(update={"enabled": True}) if entry.demo else entry
            for key, entry in table.entries.items()
        }
    if demos == "default":
        table.entries = dict(sorted(table.entries.items(), key=lambda pair: not pair[1].demo))


def _places(models_dir: Path, tables: Mapping[str, Any]) -> dict[str, tuple[Location, str | None]]:
    """Where the weights of each table are, and its weight_name; includes broken entries.

    Raises OSError if one may be found later.
    """
    places = {}
    for key, fields in tables.items():
        if place := place_of(fields):
            path, name, revision = place
            places[key] = locate(path, models_dir, name, revision).settled(), name
    return places


def _claimed(places: Iterable[tuple[Location, str | None]]) -> frozenset[Path]:
    """Files that the tables name. Includes broken entries: a typo must not expose a hidden file."""
    claimed = set()
    for found, name in places:
        if found.path and found.kind in {"file", "folder"}:
            used = found.path / name if found.kind == "folder" and name else found.path
            claimed.add(used.resolve())
    return frozenset(claimed)


def _files(
    entries: Collection[str], places: Mapping[str, tuple[Location, str | None]]
) -> dict[str, Path]:
    """The weight files that are on this machine, by key."""
    located = ((key, weight_file(*places[key])) for key in entries)
    return {key: file for key, file in located if file is not None}


def _facts(
    files: Mapping[str, Path],
    entries: Mapping[str, AdapterEntry],
    headers: HeaderCache,
    wanted: Collection[str],
    unread: list[Unread],
) -> dict[str, AdapterFacts]:
    """unread: gets the files that are read later."""
    facts = {}
    for key, file in files.items():
        # Errors in the file of an entry are reported by `problems_of`.
        with contextlib.suppress(HeaderError):
            try:
                said = headers.facts(file, at_once=key in wanted)
                facts[key] = said.called(entries[key].word)
            except NotReadYet as later:
                unread.append(named(later.unread, file.stem, key))
    return facts


def _unknown_adapters(
    file: Path,
    models: Mapping[str, ModelEntry],
    tables: Mapping[str, Any],
    adapters: Mapping[str, AdapterEntry],
) -> list[Problem]:
    named = [(model.key, model.fast.adapter) for model in models.values() if model.fast]
    return [
        Problem(str(file), key, f"fast names {adapter!r}, which is not in {ADAPTERS_FILE}")
        for key, adapter in named
        if adapter is not None and adapter not in adapters and adapter not in tables
    ]


def _unknown_models(
    file: Path,
    entries: Mapping[str, AdapterEntry]
    | Mapping[str, EmbeddingEntry]
    | Mapping[str, ControlNetEntry],
    tables: Mapping[str, Any],
    models: Mapping[str, ModelEntry],
) -> list[Problem]:
    return [
        Problem(str(file), entry.key, f"models names {key!r}, which is not in {MODELS_FILE}")
        for entry in entries.values()
        for key in entry.models
        if key not in models and key not in tables
    ]
