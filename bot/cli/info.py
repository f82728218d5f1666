"""`main.py info`: how an image was generated, from what is written in its file."""

import json
import sys
from pathlib import Path

from bot.cli.reading import read
from bot.cli.result import BAD_REQUEST, printable
from bot.errors import InvalidRequest
from bot.files.image_info import read_info
from bot.files.image_info.matching import Match, matches_of
from bot.files.image_info.telling import as_json as told
from bot.files.image_info.telling import as_text
from bot.files.inputs import BYTES_MAX
from bot.settings import Settings
from bot.texts.language import Texts


def info(file: Path, settings: Settings, *, as_json: bool) -> int:
    """Print what the file says, and which of its models and LoRAs the catalog has by name.

    Returns the exit code. Raises CatalogError if the catalog cannot be read.
    """
    say = Texts.read().speaker()
    try:
        with file.open("rb") as opened:
            data = opened.read(BYTES_MAX + 1)
        found = read_info(data, file.name)
    except OSError as error:
        print(f"cannot read {printable(file)}: {error.strerror}", file=sys.stderr)
        return BAD_REQUEST
    except InvalidRequest as error:
        print(say(error.code, **error.params), file=sys.stderr)
        return BAD_REQUEST
    if found is None:
        print(say("info.nothing"), file=sys.stderr)
        return BAD_REQUEST
    matches = matches_of(found, read(settings), {}, nsfw=True)
    files = [*filter(None, [matches.model]), *matches.loras]
    if as_json:
        here = {str(match.file): match.key for match in files}
        print(json.dumps({**told(found), "catalog": here}, ensure_ascii=False, indent=2))
        return 0
    text = "\n".join(map(printable, as_text(found).splitlines()))
    print("\n".join([text, "", *map(_line, files)]).rstrip())
    return 0


def _line(match: Match) -> str:
    where = "not in the catalog" if match.key is None else f"{match.key} in the catalog"
    return printable(f"{match.file}: {where}")
