"""docs/figures.md, where the benchmarks write their tables."""

from pathlib import Path
from typing import Final

FIGURES: Final = Path(__file__).resolve().parents[1] / "docs" / "figures.md"


def write_into(page: Path, name: str, text: str) -> None:
    """Replace what is between the comments `<!-- name:begin -->` and `<!-- name:end -->`.

    Raises ValueError unless `page` has each of the two exactly once, in that order.
    """
    begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
    old = page.read_text(encoding="utf-8")
    head, found, rest = old.partition(begin)
    _, closed, tail = rest.partition(end)
    if not found or not closed or old.count(begin) + old.count(end) != 2:
        raise ValueError(f"{page}: there must be one {begin.strip()} and, below it, one {end}")
    page.write_text(f"{head}{begin}{text.rstrip()}\n{end}{tail}", encoding="utf-8")
