"""The command line's grammar. It is a contract: scripts rely on it."""

import argparse
from pathlib import Path

from bot.request import SEED_MAX

HIRES = 1.5
PAGE_PORT = 8799
PORT_MAX = 65_535


def _seed(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a whole number; allowed is 0 to {SEED_MAX}"
        ) from None


def parser() -> argparse.ArgumentParser:
    """Usage errors print to stderr and exit with 2."""
    top = argparse.ArgumentParser(prog="main.py", description="A Discord bot that paints.")
    calls = top.add_subparsers(dest="call", metavar="CALL")
    calls.add_parser("run", help="serve Discord (the default; the only call that needs a token)")

    imagine = calls.add_parser("imagine", help="paint here, through the bot's own queue and engine")
    imagine.add_argument("prompt", metavar="PROMPT")
    imagine.add_argument("--model", metavar="M", help="catalog key (default: the catalog's)")
    imagine.add_argument(
        "--lora",
        metavar="NAME[:WEIGHT[:TEXT_WEIGHT]]",
        action="append",
        default=[],
        help="a LoRA; may be given up to four times (IMAGEN_MAX_ADAPTERS)",
    )
    imagine.add_argument("--negative", metavar="T", help="what to keep out of the picture")
    imagine.add_argument("--steps", metavar="N", type=int)
    imagine.add_argument("--guidance", metavar="G", type=float)
    imagine.add_argument("--seed", metavar="S", type=_seed)
    imagine.add_argument("--size", metavar="WxH", help="or a ratio such as 16:9")
    imagine.add_argument("--count", metavar="N", type=int)
    imagine.add_argument("--scheduler", metavar="NAME", help="such as 'Euler a'")
    imagine.add_argument("--preset", metavar="P", help="draft or fast")
    imagine.add_argument(
        "--hires",
        metavar="SCALE",
        type=float,
        nargs="?",
        const=HIRES,
        help=f"a second, larger pass: 1.25, 1.5 or 2 times (default {HIRES})",
    )
    imagine.add_argument("--image", metavar="FILE", type=Path, help="a picture to paint over")
    imagine.add_argument(
        "--strength", metavar="X", type=float, help="how much of it is painted anew: 0.05 to 1"
    )
    imagine.add_argument("--reference", metavar="FILE", type=Path, help="a picture to be guided by")
    imagine.add_argument(
        "--reference-weight", metavar="X", type=float, help="how much it guides: 0 to 1.5"
    )
    imagine.add_argument("--out", metavar="DIR", type=Path, help="also put the files there")
    imagine.add_argument("--json", action="store_true", help="print one JSON object")

    for name, what in (("models", "models"), ("loras", "LoRAs")):
        listing = calls.add_parser(name, help=f"list the catalog's {what}")
        listing.add_argument("--json", action="store_true", help="print a list of JSON objects")

    page = calls.add_parser(
        "playground", help="chat with the bot in your browser, without Discord or a token"
    )
    page.add_argument(
        "--port",
        metavar="N",
        type=_port,
        default=PAGE_PORT,
        help=f"on 127.0.0.1 (default {PAGE_PORT}, or the next free one; 0: any)",
    )
    page.add_argument("--no-open", action="store_true", help="print the address, open no browser")

    sync = calls.add_parser("sync", help="register the slash commands with Discord")
    sync.add_argument("--guild", metavar="ID", type=int, help="in this server only, at once")
    check = calls.add_parser("check", help="find out whether the bot could work, and what to mend")
    check.add_argument(
        "--repair", action="store_true", help="make a damaged database sound again; stop the bot"
    )
    return top


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > PORT_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not possible; allowed is 0 to {PORT_MAX}")
    return int(text)
