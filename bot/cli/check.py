"""`main.py check`: can the bot run here? Each problem comes with a fix."""

import asyncio
import os
import re
import shlex
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bot.api.loopback import is_loopback
from bot.backend import build_engine, cards_for, devices_of
from bot.cli.reading import read
from bot.errors import SettingsError, StoreError
from bot.settings import ENV_FILE, Settings
from bot.store import COPY_NOTICED, Store, now_ms
from bot.store.backup import backups_of
from bot.texts.grammar import listing
from catalog import (
    AdapterEntry,
    Catalog,
    CatalogError,
    ControlNetEntry,
    DepthEntry,
    DescriberEntry,
    DetectorEntry,
    EmbeddingEntry,
    Location,
    ModelEntry,
    PoseEntry,
    ReferenceEntry,
    locate,
    locate_entry,
    problems_of,
)
from catalog.disk import may_pass, reason_of
from catalog.dropin_controlnets import CONTROLNETS
from catalog.families import FAMILIES, or_all
from catalog.weight_files import HeaderError, read_model_header
from catalog.weight_files.control_networks import CONTROLNET
from catalog.weight_files.gguf import MODEL_SUFFIXES

# Three parts, dot-separated, base64url: the id, a timestamp, a signature.
TOKEN_SHAPE = re.compile(r"[\w-]{18,}\.[\w-]{5,}\.[\w-]{20,}")
ROOM_FOR_A_MODEL = 8 * 1024**3
GIB_NEEDED = {"full": 19.5, "16gb": 14, "11gb": 9.5, "8gb": 7}
"""Free GPU memory by profile: budgeted for one 1024×1024 image, CUDA context included.

With 20 GiB and more, the whole of Z-Image is on the card when a prompt is encoded after another
job, 18.9 GiB, and of Krea 2 in 8 bits 16.5; with 16 GB it is that of FLUX.2 klein, 13.2 GiB. On
smaller cards, text encoders and transformers take turns.
"""
DAY_MS = 24 * 60 * 60 * 1000
MEND = {
    ".toml": "correct the entry; it is skipped until then",
    ".json": "correct the file, or delete it",
    **dict.fromkeys(
        MODEL_SUFFIXES, "download the file again, rename it if its name is taken, or delete it"
    ),
}
"""How to fix a catalog problem, by the extension of the file it is in."""


_AN = {"LoRA": "a LoRA", "embedding": "an embedding"}


@dataclass(frozen=True, slots=True)
class Finding:
    """mend: how to fix it, empty if nothing is wrong; fatal: the bot cannot run until it is."""

    text: str
    mend: str = ""
    fatal: bool = False


def check() -> int:
    """Print all findings; returns 1 if any of them is fatal."""
    fatal = False
    for finding in _findings():
        mark = "✗" if finding.fatal else "!" if finding.mend else "✓"
        print(f"{mark} {finding.text}" + (f"\n    → {finding.mend}" if finding.mend else ""))
        sys.stdout.flush()
        fatal |= finding.fatal
    print("The bot cannot run: fix what is marked ✗." if fatal else "The bot can run.")
    return 1 if fatal else 0


def _findings() -> Iterator[Finding]:
    try:
        settings = Settings.load()
    except SettingsError as error:
        for line in str(error).splitlines():
            yield Finding(f"settings: {line}", "correct it in .env or the environment", fatal=True)
        return
    yield Finding("settings: valid")
    yield from _readable_by_others(settings)
    yield _token(settings)
    yield asyncio.run(_database(settings))
    yield from asyncio.run(_copies(settings))
    yield from asyncio.run(_http(settings))
    yield from _devices(settings)
    yield from _catalog(settings)


def _readable_by_others(settings: Settings) -> Iterator[Finding]:
    """Files with secrets, prompts or images that other users of this machine can read."""
    if os.name == "nt":  # no such permissions
        return
    for path, holds, mode in (
        (ENV_FILE.absolute(), "the token", 0o600),
        (settings.data_dir.absolute(), "prompts and images", 0o700),
    ):
        if path.exists() and path.stat().st_mode & 0o077:
            text = f"{path}: other users of this machine can open it, and it has {holds}"
            yield Finding(text, f"chmod {mode:o} {shlex.quote(str(path))}")


def _token(settings: Settings) -> Finding:
    if settings.token is None:
        return Finding(
            "token: not set",
            "put DISCORD_TOKEN into .env to connect to Discord; `serve` and `imagine` do without",
            fatal=True,
        )
    if not TOKEN_SHAPE.fullmatch(settings.token.get_secret_value().strip()):  # as discord.py does
        return Finding(
            "token: does not look like a bot token (three parts joined by dots)",
            "get a new one: https://discord.com/developers/applications, page Bot, Reset Token",
            fatal=True,
        )
    return Finding("token: has the shape of a bot token")


async def _database(settings: Settings) -> Finding:
    path = settings.database.absolute()
    try:
        async with Store.open(path) as store:
            await store.set_setting("checked", "yes")
            await store.look_over()
    except (StoreError, sqlite3.Error) as error:
        return Finding(
            f"database: {error}",
            "fix this, or set IMAGEN_DATA_DIR to a writable folder",
            fatal=True,
        )
    backups = backups_of(path)
    newest = f", newest backup {backups[0].name}" if backups else ", no backup yet"
    return Finding(f"database: writable ({path}){newest}")


async def _copies(settings: Settings) -> list[Finding]:
    """Whether the bot has noticed a copy of itself within a day."""
    noticed = 0
    with suppress(StoreError, sqlite3.Error):  # reported above
        async with Store.open(settings.database.absolute()) as store:
            noticed = int(await store.setting(COPY_NOTICED) or 0)
    if now_ms() - noticed >= DAY_MS:
        return []
    when = datetime.fromtimestamp(noticed / 1000, UTC).strftime("%Y-%m-%d %H:%M")
    mend = "stop one of the two; if you do not know where the other runs, reset the token"
    return [Finding(f"token: another bot was answering with it at {when} UTC", mend)]


async def _http(settings: Settings) -> list[Finding]:
    """Who is served over HTTP."""
    try:
        async with Store.open(settings.database.absolute()) as store:
            keys = sum(key.revoked_at is None for key in await store.api_keys.all())
    except (StoreError, sqlite3.Error):  # reported above
        return []
    host, port = settings.api_host, settings.api_port
    text = f"HTTP: {host}, port {port}" if port else f"HTTP: only with `serve`, on {host}"
    if keys:
        return [Finding(f"{text}; keys: {keys}")]
    if is_loopback(host):
        return [Finding(f"{text}; this machine only, without keys")]
    mend = "python main.py keys add NAME, or leave IMAGEN_API_HOST at 127.0.0.1"
    text = f"{text}; no key, and other machines could reach it, so it is not served"
    return [Finding(text, mend, fatal=port is not None)]


def _devices(settings: Settings) -> Iterator[Finding]:
    """What each lane would run on."""
    for device in dict.fromkeys(devices_of(settings, cards_for(settings))):
        yield _device(settings, device)


def _device(settings: Settings, device: str) -> Finding:
    try:
        report = build_engine(settings, None, device).device_report()
    except (ImportError, OSError) as error:
        mend = "reinstall torch with the build for this machine, see docs/hardware.md"
        return Finding(f"device: torch cannot be imported ({error})", mend, fatal=True)
    if report.problem:
        return Finding(f"device: {report.problem}", report.mend, fatal=True)
    text = f"device: {report.device} ({report.name}), {report.dtype}"
    for how, keys in (("int8", report.in_eight_bits), ("streamed from RAM", report.streamed)):
        if keys:
            text += f", {how} for {listing('en', [FAMILIES[key].name for key in keys], 'and')}"
    if report.unused:
        return Finding(f"{text}; the GPU cannot be used: {report.unused}", report.mend)
    if report.total_memory is None:
        if report.device == "cpu":
            slow = "an SDXL image takes many minutes on a CPU; `demo` takes seconds"
            if not report.for_gpus:
                slow += "; this build of torch uses no GPU, see docs/hardware.md, Which torch"
            return Finding(text, slow)
        return Finding(text)
    free = (report.free_memory or 0) / 1024**3
    text += f", {free:.1f} of {report.total_memory / 1024**3:.1f} GiB free"
    text += f", memory profile {report.memory}"
    needed = GIB_NEEDED[report.memory]
    if free < needed:
        return Finding(text, f"this profile needs {needed} GiB; close other GPU programs")
    return Finding(text)


def _catalog(settings: Settings) -> Iterator[Finding]:
    models_dir = settings.models_dir.absolute()
    try:
        catalog = read(settings)
    except CatalogError as error:
        yield Finding(
            f"catalog: {error}",
            "run this from the repository's root, or set IMAGEN_CATALOG_DIR",
            fatal=True,
        )
        return
    for problem in catalog.problems:
        mend = problem.mend or MEND.get(Path(problem.file).suffix.lower(), "correct it")
        yield Finding(f"catalog: {problem}", mend)
    if not catalog.default:
        yield Finding("catalog: no model is offered", "enable one in models.toml", fatal=True)
    yield from _entries(catalog, models_dir)


def _entries(catalog: Catalog, models_dir: Path) -> Iterator[Finding]:
    downloads = 0
    for key, reference in catalog.references.items():
        yield _reference(key, reference, models_dir)
    embeddings = catalog.embeddings
    for kind, entries in (
        ("model", catalog.models),
        ("LoRA", catalog.adapters),
        ("embedding", embeddings.entries),
        ("ControlNet", catalog.controlnets.entries),
    ):
        for entry in entries.values():
            if not entry.enabled:
                yield Finding(f"{kind} {entry.key}: disabled by enabled = false, not checked")
                continue
            if kind == "ControlNet" and entry.key in catalog.controlnets.unfit:
                continue  # a problem of the catalog, which was said
            place = locate_entry(entry, models_dir, catalog.lacking)
            problems = problems_of(entry, models_dir, catalog.lacking) or _unreadable(place)
            unfit = catalog.unfit_models.get(entry.key) if kind == "model" else None
            if not problems and unfit:
                mend = unfit.refusal.advice or "correct it, or use another"
                said = f"{kind} {entry.key}: {unfit.verdict}, so it is not offered"
                yield Finding(said, mend)
                continue
            why = catalog.misfit(entry.key) if kind == "LoRA" else None
            why = embeddings.misfit(entry.key) if kind == "embedding" else why
            if not problems and why:
                mend = f"remove it, or replace it with {_AN[kind]} for {_families(catalog)}"
                if why.found == CONTROLNET:
                    mend = f"move it to {models_dir / CONTROLNETS}"
                yield Finding(f"{kind} {entry.key}: {why}", mend)
                continue
            if problems:
                broken = entry.key == catalog.default
                mend = f"put the file under {models_dir}, or correct the entry"
                if place.error:
                    mend = _mend_of(place.error)
                yield Finding(f"{kind} {entry.key}: {'; '.join(problems)}", mend, fatal=broken)
                continue
            downloads += kind == "model" and not place.available
            here = "found" if place.available else "downloaded at first use"
            yield Finding(f"{kind} {entry.key}: {here}{_told(entry)}")
    if depth := catalog.controlnets.depth:
        yield _helper("depth", depth, models_dir)
    if pose := catalog.controlnets.pose:
        yield _helper("pose", pose, models_dir)
    if detector := catalog.detector:
        yield _helper("detector", detector, models_dir)
    if describer := catalog.describer:
        yield _helper("describer", describer, models_dir)
    if downloads:
        yield _room(models_dir)


def _told(entry: ModelEntry | AdapterEntry | EmbeddingEntry | ControlNetEntry) -> str:
    """Of a model whose name told that it is another than the plain variant, which one; else ""."""
    told = entry.told_variant if isinstance(entry, ModelEntry) and entry.family.plain else None
    return f", sampled as {told.name}" if told and not told.plain else ""


def _families(catalog: Catalog) -> str:
    """The families of the models that are offered."""
    offered = or_all(model.family for model in catalog.offered_models(nsfw=True))
    return listing("en", [family.name for family in offered], "or")


def _reference(family: str, entry: ReferenceEntry, models_dir: Path) -> Finding:
    place = locate(entry.path, models_dir, entry.weight_name, entry.revision)
    if place.error:
        said = f"reference ({family}): {entry.path} cannot be read: {reason_of(place.error)}"
        return Finding(said, _mend_of(place.error))
    if place.kind == "missing":
        mend = f"put the files under {models_dir}, or correct or remove [reference]"
        said = f"reference ({family}): {entry.path} does not contain {entry.weight_name}"
        return Finding(said, mend)
    here = "found" if place.available else "downloaded at first use"
    return Finding(f"reference ({family}): {here}")


def _helper(
    name: str,
    entry: DepthEntry | PoseEntry | DetectorEntry | DescriberEntry,
    models_dir: Path,
) -> Finding:
    """About a network that looks at images, which the table with that name names."""
    place = locate(entry.path, models_dir, revision=entry.revision)
    if place.error:
        said = f"{name}: {entry.path} cannot be read: {reason_of(place.error)}"
        return Finding(said, _mend_of(place.error))
    if place.kind in {"missing", "file"}:
        mend = f"put a folder in transformers' layout there, or correct or remove [{name}]"
        return Finding(f"{name}: {entry.path} is no hub id or existing folder", mend)
    return Finding(f"{name}: {'found' if place.available else 'downloaded at first use'}")


def _mend_of(error: OSError) -> str:
    """How to fix that a file cannot be found out about."""
    return "try again later" if may_pass(error) else "let the user that runs this read it"


def _unreadable(place: Location) -> tuple[str, ...]:
    """What is wrong with the files in a local folder; those of the hub are checked there."""
    if place.path is None or place.kind != "folder":
        return ()
    problems = []

    def unlisted(error: OSError) -> None:
        problems.append(f"{error.filename} cannot be read: {reason_of(error)}")

    # Not rglob, which leaves out what it cannot list.
    for folder, folders, names in os.walk(place.path, onerror=unlisted):
        folders.sort()
        for name in sorted(names):
            if name.endswith(MODEL_SUFFIXES):
                try:
                    read_model_header(Path(folder, name))
                except HeaderError as error:
                    problems.append(f"{name}: {error}")
    return tuple(problems)


def _room(models_dir: Path) -> Finding:
    there = next(folder for folder in (models_dir, *models_dir.parents) if folder.is_dir())
    free = shutil.disk_usage(there).free
    text = f"disk: {free / 1024**3:.0f} GiB free for downloads in {models_dir}"
    if free < ROOM_FOR_A_MODEL:
        return Finding(text, "a model needs about 7 GiB; free space or move IMAGEN_MODELS_DIR")
    return Finding(text)
