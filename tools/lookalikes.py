"""Make bot/moderation/lookalikes.txt: which characters look like a Latin letter.

`python -m tools.lookalikes CONFUSABLES`, where CONFUSABLES is Unicode's `confusables.txt`
(https://www.unicode.org/Public/security/latest/confusables.txt) or the `confusables.json` of the
package confusable-homoglyphs, which is made from it. Letters that Unicode names as variants of a
Latin one, such as ø and ʙ, are taken from Python's own tables.
"""

import json
import re
import sys
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

OUT: Final = Path(__file__).parent.parent / "bot" / "moderation" / "lookalikes.txt"
_VARIANT: Final = re.compile(
    r"LATIN (?:SMALL|CAPITAL|LETTER SMALL CAPITAL|LETTER|SUBSCRIPT SMALL) (?:LETTER )?"
    r"(?:TURNED |REVERSED |OPEN |SCRIPT |SMALL |CAPITAL |DOTLESS |LONG |INVERTED |SIDEWAYS )*"
    r"([A-Z])(?: WITH .+| ROTUNDA)?"
)
_LINE: Final = re.compile(r"^\s*([0-9A-F]+)\s*;\s*([0-9A-F]+)\s*;")
_HEAD: Final = """\
# A Latin letter, then the characters that are read as it. Made by tools/lookalikes.py from
# Unicode's confusables (UTS #39; https://www.unicode.org/license.txt) and names of characters.
"""


def main() -> None:
    looks: dict[str, str] = {}
    for mark, letter in [*_confusable(Path(sys.argv[1])), *_variants()]:
        # What compatibility forms, case folding and bare letters give needs no entry.
        parts = unicodedata.normalize("NFKD", mark).casefold()
        bare = "".join(c for c in parts if not unicodedata.category(c).startswith("M"))
        if not bare.isascii():
            looks.setdefault(mark, letter.casefold())
    for mark, letter in list(looks.items()):
        # Both cases of a letter are read alike.
        if mark.isupper() and len(mark.lower()) == 1 and not mark.lower().isascii():
            looks.setdefault(mark.lower(), letter)
    lines = defaultdict(list)
    for mark, letter in sorted(looks.items()):
        lines[letter].append(mark)
    body = "".join(f"{letter} {''.join(marks)}\n" for letter, marks in sorted(lines.items()))
    OUT.write_text(_HEAD + body, encoding="utf-8")


def _confusable(path: Path) -> Iterator[tuple[str, str]]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        for mark, others in json.loads(text).items():
            for other in others:
                if _plain(other["c"]) and not mark.isascii() and _letter(mark):
                    yield mark, other["c"]
                    break
        return
    for line in text.splitlines():
        if match := _LINE.match(line):
            mark, looks = (chr(int(code, 16)) for code in match.groups())
            if _plain(looks) and not mark.isascii() and _letter(mark):
                yield mark, looks


def _plain(text: str) -> bool:
    return len(text) == 1 and text.isascii() and text.isalpha()


def _letter(mark: str) -> bool:
    """Digits and marks of other scripts are what they are to those who write with them."""
    return len(mark) == 1 and unicodedata.category(mark) in ("Ll", "Lu", "Lt", "So", "Nl")


def _variants() -> Iterator[tuple[str, str]]:
    for code in range(0x80, 0x1FBFF):
        name = unicodedata.name(chr(code), "")
        if match := _VARIANT.fullmatch(name):
            yield chr(code), match[1]
    for first in (0x1F150, 0x1F170, 0x1F1E6):  # letters in black circles and squares; of flags
        for number in range(26):
            yield chr(first + number), chr(ord("a") + number)


if __name__ == "__main__":
    main()
