"""The Markdown pages of the repository, parsed: code, links, headings."""

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
DOCS: Final = tuple(sorted((ROOT / "docs").glob("*.md")))
README: Final = ROOT / "README.md"
FRENCH: Final = ROOT / "README.fr.md"
PAGES: Final = (
    README,
    FRENCH,
    ROOT / "ARCHITECTURE.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "demo" / "README.md",
    *DOCS,
)
SHELLS: Final = ("sh", "powershell")
_FENCED: Final = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, *languages: str) -> list[str]:
    """The fenced blocks in any of `languages`; all of them if none is given."""
    found = _FENCED.findall(text(page))
    return [code for language, code in found if not languages or language in languages]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return _FENCED.sub("", text(page))


def spans(page: Path) -> list[str]:
    """The `code spans` in the prose."""
    return re.findall(r"`([^`\n]+)`", prose(page))


def commands(page: Path) -> list[str]:
    """The lines of the shell blocks, without comments, and every span."""
    lines = [line for block in blocks(page, *SHELLS) for line in block.splitlines()]
    return [line.partition("#")[0].strip() for line in lines] + spans(page)


def headings(page: Path) -> list[tuple[int, str]]:
    """The level and text of each heading."""
    found = re.findall(r"^(#+) (.+)$", prose(page), re.MULTILINE)
    return [(len(marks), words) for marks, words in found]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of the headings."""
    return {re.sub(r"[^\w -]", "", words.lower()).replace(" ", "-") for _, words in headings(page)}


def links(page: Path) -> list[str]:
    """The targets of all links and images."""
    return re.findall(r"\]\(([^)\s]+)\)", prose(page))


def rows(page: Path) -> list[str]:
    """The first cell of each row of each table, without headers."""
    cells = re.findall(r"^\| *([^|]*?) *\|", prose(page), re.MULTILINE)
    return [
        cell
        for cell, following in zip(cells, [*cells[1:], ""], strict=True)
        if not re.fullmatch(r":?-+:?", cell) and not re.fullmatch(r":?-+:?", following)
    ]
