"""`main.py imagine`: generate images from the command line."""

import argparse
import asyncio
from pathlib import Path

from bot.cli.subcommands import Subparsers, add_server_to, server_of, settings_for_terminal
from bot.request import PADDING, SEED_MAX

HIRES = 1.5


def add_to(subparsers: Subparsers) -> None:
    """Options are named as in Discord."""
    parser = subparsers.add_parser(
        "imagine", help="generate images from the command line, with the bot's own queue and engine"
    )
    add_request_to(parser)
    parser.add_argument("--count", metavar="N", type=int, help="how many images to generate")
    add_result_to(parser)
    parser.set_defaults(run=run)


def add_result_to(parser: argparse.ArgumentParser) -> None:
    """Declare the options that say what becomes of a result."""
    parser.add_argument("--out", metavar="DIR", type=Path, help="copy the images to DIR, too")
    add_json_to(parser)


def add_json_to(parser: argparse.ArgumentParser) -> None:
    """Declare the options that say who does it, and how the result is printed."""
    add_server_to(parser)
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")


def add_request_to(parser: argparse.ArgumentParser) -> None:
    """Declare the options that an image depends on."""
    parser.add_argument("prompt", metavar="PROMPT", help="what to generate")
    parser.add_argument("--model", metavar="M", help="catalog key (default: the catalog's default)")
    parser.add_argument(
        "--lora",
        metavar="NAME[:WEIGHT[:TEXT_WEIGHT]]",
        action="append",
        default=[],
        help="a LoRA; repeat to combine up to four (IMAGEN_MAX_ADAPTERS)",
    )
    parser.add_argument("--negative", metavar="T", help="what to keep out of the image")
    parser.add_argument("--steps", metavar="N", type=int, help="number of sampling steps")
    parser.add_argument("--guidance", metavar="G", type=float, help="guidance scale")
    parser.add_argument(
        "--seed", metavar="S", type=seed_typed, help="same seed, same image; -1 for any"
    )
    parser.add_argument(
        "--variation",
        metavar="[SEED:]STRENGTH",
        help="vary the image of that seed by mixing in noise of another, 0 to 1; repeat after a "
        "comma to vary a variation",
    )
    parser.add_argument("--size", metavar="WxH", help="in pixels, or a ratio such as 16:9")
    parser.add_argument("--scheduler", metavar="NAME", help="sampling method, such as 'Euler a'")
    parser.add_argument(
        "--preset", metavar="P", help="draft, fast or a style, or several of them: noir,fast"
    )
    parser.add_argument(
        "--hires",
        metavar="SCALE",
        type=float,
        nargs="?",
        const=HIRES,
        help=f"a second pass at 1.25, 1.5 or 2 times the size ({HIRES} if SCALE is omitted)",
    )
    parser.add_argument(
        "--tile",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="opposite edges of the image meet, so that copies can be laid side by side",
    )
    parser.add_argument("--image", metavar="FILE", type=Path, help="an image to start from")
    parser.add_argument(
        "--strength", metavar="X", type=float, help="how much of that image to change: 0.05 to 1"
    )
    parser.add_argument(
        "--mask",
        metavar="FILE",
        type=Path,
        help="change only the part of that image that is transparent, or else white, in this one",
    )
    parser.add_argument(
        "--inpaint-area",
        metavar="AREA",
        help="masked: paint only what the mask says, at the model's full size; whole (the default)",
    )
    parser.add_argument(
        "--inpaint-padding",
        metavar="PX",
        type=int,
        help=f"pixels around the mask that are painted with it (default: {PADDING[1]})",
    )
    parser.add_argument(
        "--extend",
        metavar="HOW",
        help="continue that image beyond its edges: 'zoom 1.5', left, 'up 25%%, down', 16:9",
    )
    parser.add_argument("--reference", metavar="FILE", type=Path, help="an image to be guided by")
    parser.add_argument(
        "--reference-weight", metavar="X", type=float, help="how strongly it guides: 0 to 1.5"
    )
    parser.add_argument(
        "--control",
        metavar="NAME[:WEIGHT]",
        help="a ControlNet, to follow the edges, the depth or a pose of an image: 'canny:0.8 until "
        "60%%', or two of them with a comma",
    )
    parser.add_argument(
        "--control-image",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="the image that it follows (default: that of --image); repeat for the second one",
    )
    parser.add_argument(
        "--detail",
        metavar="WORD[:STRENGTH]",
        help="find that in the finished images and paint it again at full size: face, or "
        "'face, hand:0.3'",
    )
    parser.add_argument(
        "--edit",
        metavar="FILE",
        type=Path,
        nargs="+",
        default=[],
        help="up to four images to change as the prompt says, with a model that does so",
    )


def run(options: argparse.Namespace) -> int:
    from bot.cli.imagine import imagine

    settings = settings_for_terminal()
    return asyncio.run(imagine(options, settings, server_of(options, settings)))


def seed_typed(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be a whole number from 0 to {SEED_MAX}, or -1 for any, got {text!r}"
        ) from None
