"""`main.py workers`: the machines that generate for the bot, as its owner sees them."""

import argparse
import sys
from typing import TYPE_CHECKING

from bot.distributed import keys
from bot.distributed.broker import broker_of
from bot.settings import Settings

if TYPE_CHECKING:
    from bot.distributed.manage import Seen

DONE, NOT_DONE = 0, 1
GIB = 2**30


async def workers(options: argparse.Namespace, settings: Settings) -> int:
    """Returns the exit code. Raises SettingsError."""
    broker = broker_of(settings)
    broker.demand_packages()
    name: str = getattr(options, "name", "")
    if name and not keys.is_name(name):
        print(f"NAME: 1 to 32 of a-z, 0-9 and -, got {name!r}", file=sys.stderr)
        return NOT_DONE
    # Imported here because it needs the packages for the broker.
    from bot.distributed import manage
    from bot.distributed.access import AccessError

    try:
        match options.action:
            case "drain" | "resume":
                await manage.drain(broker, name, drained=options.action == "drain")
            case "allow":
                at = broker.seen_at(options.at) if options.at else broker
                print(await manage.allow(broker, name, at))
                print("Keep it: it is not shown again.", file=sys.stderr)
                if at.is_local:
                    print(
                        f"Another machine may not reach {at.host!r}. If so, give this command the "
                        "address that it reaches: --at HOST:PORT",
                        file=sys.stderr,
                    )
                if not await manage.keeps_logins(broker):
                    print(
                        "The broker forgets it when it is restarted, as it has no `aclfile`.",
                        file=sys.stderr,
                    )
            case "remove":
                if not await manage.remove(broker, name):
                    print(f"there is no login for {name}", file=sys.stderr)
                    return NOT_DONE
            case _:
                for seen in await manage.listed(broker):
                    print(_line(seen))
    except AccessError as error:
        print(error, file=sys.stderr)
        return NOT_DONE
    return DONE


def _line(seen: "Seen") -> str:
    notes = ["drained"] if seen.drained else []
    if seen.said is None:
        return "  ".join([seen.name, ", ".join([f"refused: {seen.trouble}", *notes])])
    notes += ["leaving"] if seen.said.leaving else []
    for state in seen.said.devices:
        memory = "" if state.memory is None else f" {state.memory / GIB:.0f} GiB"
        has = "loading" if state.loading else state.loaded or "nothing loaded"
        notes.append(f"{state.device}{memory} {has}")
    files = f"{seen.files} file{'' if seen.files == 1 else 's'}"
    if seen.said.downloads:
        some = "repository" if seen.said.downloads == 1 else "repositories"
        files += f" (some to be downloaded from {seen.said.downloads} {some} of the hub)"
    torch = seen.said.libraries.get("torch", "?")
    return "  ".join(
        [seen.name, ", ".join([*notes, files, f"imagen {seen.said.version}", f"torch {torch}"])]
    )
