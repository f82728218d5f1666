"""The table of families in docs/catalog.md says what the families say themselves."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import pytest

from catalog import SCHEDULERS
from catalog.families import FAMILIES, Family
from tests.docs.pages import ROOT

PAGE: Final = ROOT / "docs" / "catalog.md"
_NUMBER: Final = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?!\w)")
_COUNTS: Final = ("no", "one text encoder", "two text encoders")


def column(page: str, key: str) -> dict[str, str]:
    """What the table in `page` says of the family of this key, by row; {} if it says nothing."""
    section = page.partition("## Model families")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    keys = next((row for row in cells if row[0] == "key"), [])
    if f"`{key}`" not in keys:
        return {}
    place = keys.index(f"`{key}`")
    said = {}
    for row in cells[:1] + cells[2:]:
        # "the same" is as in the column before it; a summary of all samplers is in the first.
        at = place
        while at > 1 and row[at].startswith("the same"):
            at -= 1
        said[row[0] or "name"] = row[at]
    return said


def _numbers(cell: str) -> set[float]:
    return {float(found) for found in _NUMBER.findall(cell)}


def _named(cell: str, family: Family, kept: tuple[bool, ...]) -> bool:
    """Whether `cell` says of which variants something is true. kept: whether it is, of each."""
    if len({*kept}) == 1:
        return cell == ("yes" if kept[0] else "no")
    if cell.startswith("all but "):
        kept, cell = tuple(not each for each in kept), cell.removeprefix("all but ")
    names = [v.name for v, is_kept in zip(family.variants, kept, strict=True) if is_kept]
    return {*re.split(r",? and |, ", cell.casefold())} == {*names}


def _guidance(family: Family, cell: str) -> bool:
    ranges = [v.guidance for v in family.variants if v.guidance.max > 1]
    told = _numbers(cell)
    usual = {each.default for each in ranges}
    if len(family.variants) == 1:
        usual |= {bound for each in ranges for bound in (each.min, each.max)}
    none = any(v.guidance.max <= 1 for v in family.variants)
    return told == usual and ("none" in cell) == none


def _prompts(family: Family, cell: str) -> bool:
    tokens, chunks = family.prompt.tokens, family.prompt.chunks
    if chunks == 1:
        return cell == f"up to some {tokens // 100 * 100} tokens"
    return cell == f"up to {tokens} tokens a part, {chunks} parts"


def _edits(family: Family) -> str:
    if not family.pictures_max:
        return "no"
    able = [each.name.capitalize() for each in family.variants if each.edits]
    most = "one image" if family.pictures_max == 1 else f"up to {family.pictures_max} images"
    return most if len(able) == len(family.variants) else f"{', '.join(able)}, {most}"


def _samplers(family: Family, cell: str) -> bool:
    names = "all" if family.schedulers == SCHEDULERS else ", ".join(family.schedulers)
    return cell.partition(";")[0] == names


def _weights(family: Family, cell: str) -> bool:
    told = [float(each) for each in _NUMBER.findall(cell.replace("16-bit", ""))]
    whole = round(sum(part.gib for part in family.parts), 1)
    largest = round(max(part.gib for part in family.parts), 1)
    return told[0] == whole and told[1:] in ([], [largest])


ROWS: Final[Mapping[str, Callable[[Family, str], bool]]] = {
    "name": lambda family, cell: cell == family.name,
    "usual size": lambda family, cell: cell == "×".join(map(str, family.size)),
    "usual steps": lambda family, cell: (
        _numbers(cell) == {variant.steps.default for variant in family.variants}
    ),
    "guidance": _guidance,
    "clip skip": lambda family, cell: (
        cell == "no"
        if (layers := family.clip_skip) is None
        else cell == f"{layers.min} to {layers.max}, its own is {layers.default}"
    ),
    "negative prompts": lambda family, cell: _named(
        cell, family, tuple(variant.takes_negative for variant in family.variants)
    ),
    "weights in brackets": lambda family, cell: cell.startswith(
        "yes" if family.takes_emphasis else "no"
    ),
    "prompts": _prompts,
    "samplers": _samplers,
    "second pass, image to start from": lambda family, cell: (
        cell == ("yes" if family.takes_image else "no")
    ),
    "reference images": lambda family, cell: cell.startswith(
        "yes" if family.takes_reference else "no"
    ),
    "`/edit`": lambda family, cell: cell == _edits(family),
    "LoRAs": lambda family, cell: (
        cell == f"for {family.adapter_bases[0]}" or cell == f"for {', '.join(family.adapter_bases)}"
    ),
    "embeddings": lambda family, cell: cell.endswith(_COUNTS[len(family.text_encoders)]),
    "16-bit weights": _weights,
    "licence of its authors' own models": lambda family, cell: cell == family.licence,
}
"""Row → whether a cell of it is what the family says."""


def untrue(page: str, family: Family) -> Iterator[str]:
    """The rows of the table in `page` that are not true of the family, or not there."""
    told = column(page, family.key)
    for row, holds in ROWS.items():
        if row not in told or not holds(family, told[row]):
            yield row


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_the_table_says_what_a_family_says(family: Family) -> None:
    assert [*untrue(PAGE.read_text(encoding="utf-8"), family)] == []


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_whatever_else_the_table_said_would_be_noticed(family: Family, row: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    told = column(page, family.key)
    assert not ROWS[row](family, f"7 {told[row]} 77 none")


def test_a_family_that_is_not_there_is_missed_in_every_row() -> None:
    page = PAGE.read_text(encoding="utf-8").replace("`flux2`", "`other`")
    assert [*untrue(page, FAMILIES["flux2"])] == [*ROWS]
