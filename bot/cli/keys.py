"""`main.py keys`: make, list and revoke the keys of callers over HTTP."""

import argparse
import sys
from datetime import UTC, datetime

from bot.settings import Settings
from bot.store import ApiKey, Store

DONE, NOT_DONE = 0, 1
NAME_MAX = 64


async def keys(options: argparse.Namespace, settings: Settings) -> int:
    """Returns the exit code. Raises StoreError."""
    async with Store.open(settings.database.absolute()) as store:
        match options.action:
            case "add":
                return await _add(store, options)
            case "revoke":
                return await _revoke(store, options.name)
            case _:
                for key in await store.api_keys.all():
                    print(_line(key))
                return DONE


async def _add(store: Store, options: argparse.Namespace) -> int:
    name = options.name.strip()
    if not name.isprintable() or not 1 <= len(name) <= NAME_MAX:
        print(f"NAME: 1 to {NAME_MAX} printable characters, got {options.name!r}", file=sys.stderr)
        return NOT_DONE
    if options.worker and (given := _given(options)):
        print(f"--worker: such a key does nothing else; leave out {given}", file=sys.stderr)
        return NOT_DONE
    secret = await store.api_keys.add(
        name,
        rate=options.rate,
        daily=options.daily,
        nsfw=options.nsfw,
        admin=options.admin,
        priority=options.priority,
        worker=options.worker,
    )
    if secret is None:
        print(f"there is a key for {name} already; revoke it first", file=sys.stderr)
        return NOT_DONE
    print(secret)
    print("Keep it: it is not shown again.", file=sys.stderr)
    return DONE


def _given(options: argparse.Namespace) -> str:
    """The options that say what a caller may do."""
    names = ("rate", "daily", "nsfw", "admin", "priority")
    return ", ".join(f"--{name}" for name in names if getattr(options, name))


async def _revoke(store: Store, name: str) -> int:
    if await store.api_keys.revoke(name):
        return DONE
    print(f"there is no key for {name}", file=sys.stderr)
    return NOT_DONE


def _line(key: ApiKey) -> str:
    made = datetime.fromtimestamp(key.created_at / 1000, UTC)
    notes = [f"since {made:%Y-%m-%d}"]
    notes += [f"{key.rate} a minute"] if key.rate is not None else []
    notes += [f"{key.daily} images a day"] if key.daily is not None else []
    notes += [f"priority {key.priority}"] if key.priority else []
    notes += ["nsfw"] if key.nsfw else []
    notes += ["admin"] if key.admin else []
    notes += ["worker"] if key.worker else []
    notes += ["revoked"] if key.revoked_at is not None else []
    return "  ".join([key.name, ", ".join(notes)])
