"""`main.py describe`: what is in an image, in words."""

from pathlib import Path
from typing import TYPE_CHECKING

from bot.cli.subcommands.imagine import add_json_to, run
from bot.request import DESCRIBE_STYLES, DETAILED

if TYPE_CHECKING:
    from bot.cli.subcommands import Subparsers


def add_to(subparsers: "Subparsers") -> None:
    """Options are named as in Discord."""
    parser = subparsers.add_parser("describe", help="say in words what is in an image")
    parser.add_argument("image", metavar="FILE", type=Path, help="a PNG, JPEG or WebP file")
    styles = ", ".join(DESCRIBE_STYLES)
    parser.add_argument("--style", metavar="S", help=f"{styles} (default: {DETAILED})")
    add_json_to(parser)
    parser.set_defaults(run=run, out=None)
