"""`main.py compare`: one image again and again with one or two things changed, on a sheet."""

from bot.cli.subcommands import Subparsers
from bot.cli.subcommands.imagine import add_request_to, add_result_to, run
from bot.request import AXES


def add_to(subparsers: Subparsers) -> None:
    """Options are named as in Discord."""
    parser = subparsers.add_parser(
        "compare", help="compare images that differ in one or two things, on a labelled sheet"
    )
    add_request_to(parser)
    parser.add_argument(
        "--axis", metavar="A", required=True, help=f"what varies across: {', '.join(AXES)}"
    )
    parser.add_argument(
        "--values", metavar="V,V", help="its values, such as '10, 20, 30' (default: usual ones)"
    )
    parser.add_argument("--axis2", metavar="A", help="what varies downwards, likewise")
    parser.add_argument("--values2", metavar="V,V", help="its values")
    add_result_to(parser)
    parser.set_defaults(run=run)
