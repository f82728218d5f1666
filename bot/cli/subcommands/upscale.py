"""`main.py upscale`: an image made larger."""

from pathlib import Path

from bot.cli.subcommands import Subparsers
from bot.cli.subcommands.imagine import add_result_to, run, seed_typed
from bot.request import UPSCALE_MODES, UPSCALE_SCALES

_SCALES = ", ".join(f"{scale:g}" for scale in UPSCALE_SCALES)


def add_to(subparsers: Subparsers) -> None:
    """Options are named as in Discord."""
    parser = subparsers.add_parser("upscale", help="enlarge an image with a network made for it")
    parser.add_argument("image", metavar="FILE", type=Path, help="a PNG, JPEG or WebP file")
    parser.add_argument("--scale", metavar="X", type=float, help=f"{_SCALES} (default: 2)")
    parser.add_argument(
        "--upscaler", metavar="U", help="catalog key or name (default: the catalog's first)"
    )
    parser.add_argument(
        "--mode",
        metavar="M",
        help=f"{' or '.join(UPSCALE_MODES)}, which paints over what came out, as these say:",
    )
    parser.add_argument("--prompt", metavar="T", help="what is in the image")
    parser.add_argument("--negative", metavar="T", help="what to keep out of it")
    parser.add_argument("--model", metavar="M", help="catalog key (default: the catalog's default)")
    parser.add_argument(
        "--lora", metavar="NAME[:WEIGHT[:TEXT_WEIGHT]]", action="append", default=[], help="a LoRA"
    )
    parser.add_argument("--strength", metavar="X", type=float, help="how much to change: 0.05 to 1")
    parser.add_argument("--steps", metavar="N", type=int, help="number of sampling steps")
    parser.add_argument("--seed", metavar="S", type=seed_typed, help="same seed, same image")
    add_result_to(parser)
    parser.set_defaults(run=run)
