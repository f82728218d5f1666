"""The subcommands of `main.py`: each one's arguments, and what runs it.

A module here has `add_to(subparsers)`, which declares the arguments and names the function to run
with `set_defaults(run=...)`: a namespace in, the exit code out. All of them are imported to read
any command line, so a module defers slow imports (discord, the backend) until it runs.
"""

import argparse
import re
import sys
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from bot import log
from bot.settings import Settings

if TYPE_CHECKING:
    from bot.cli.remote import RemoteServer

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001


def settings_for_terminal() -> Settings:
    """Load the settings for a command that prints to the terminal, and log warnings only.

    Raises SettingsError.
    """
    settings = Settings.load()
    log.set_up("WARNING", settings.secrets())
    return settings


def add_server_to(parser: argparse.ArgumentParser) -> None:
    """Declare the options of a command that a running server can carry out."""
    parser.add_argument(
        "--server", metavar="URL", type=_server, help="let a running server do it (main.py serve)"
    )
    parser.add_argument(
        "--key",
        metavar="KEY",
        type=_key,
        help="key for that server; IMAGEN_KEY is safer: others on this machine can see options",
    )


def server_of(options: argparse.Namespace, settings: Settings) -> "RemoteServer | None":
    """The server that the options name; None without one. Exits if there is a key for none."""
    if options.server is None:
        if options.key is not None:
            print("--key: there is no --server to present it to", file=sys.stderr)
            sys.exit(2)
        return None
    from bot.cli.remote import RemoteServer
    from bot.texts.language import Texts
    from bot.texts.terminal import for_terminal

    key = options.key
    if key is None and settings.key is not None:
        key = settings.key.get_secret_value()
    return RemoteServer(options.server, key, for_terminal(Texts.read()).speaker())


def _server(text: str) -> str:
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        port, url = None, urlsplit("")
    plain = url.scheme in ("http", "https") and url.hostname and not url.query and not url.fragment
    if url.username is not None:
        raise argparse.ArgumentTypeError("must have no key in it; set IMAGEN_KEY")
    if not plain or not text.isascii() or not text.isprintable() or " " in text or port == 0:
        raise argparse.ArgumentTypeError(f"must be like http://127.0.0.1:8009, got {text!r}")
    return text.rstrip("/")


def _key(text: str) -> str:
    if not re.fullmatch(r"[!-~]+", text):
        # Not shown: it is a secret.
        raise argparse.ArgumentTypeError("must be a key as `main.py keys add` prints it")
    return text
