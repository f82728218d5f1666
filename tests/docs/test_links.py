"""Every link and every path on a page leads somewhere, and every page is linked."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, PAGES, README, ROOT, anchors, headings, links, prose, spans

LINKS = [(page, target) for page in PAGES for target in links(page) if "://" not in target]
PATH = re.compile(
    r"(?:bot|cogs|catalog|playground|tools|benchmarks|deploy|demo|docs|tests|\.ci)/[\w./-]*"
    r"|main\.py|Makefile|\.env\.example|[\w.-]+\.(?:md|lock)|requirements[\w.-]*"
)


@pytest.mark.parametrize(
    ("page", "target"), LINKS, ids=[f"{page.name}:{target}" for page, target in LINKS]
)
def test_every_link_leads_somewhere(page: Path, target: str) -> None:
    file, _, anchor = target.partition("#")
    there = (page.parent / file).resolve() if file else page
    assert there.exists()
    if anchor:
        assert anchor in anchors(there)


def test_a_broken_anchor_would_be_noticed() -> None:
    assert "which-torch" in anchors(ROOT / "docs" / "hardware.md")
    assert "which-torches" not in anchors(ROOT / "docs" / "hardware.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_two_headings_of_a_page_have_the_same_anchor(page: Path) -> None:
    assert len(anchors(page)) == len(headings(page)) or page.name == "CHANGELOG.md"


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_the_readme_leads_to_every_page(page: Path) -> None:
    assert f"docs/{page.name}" in links(README)


def test_every_picture_is_shown() -> None:
    shown = {(page.parent / target).resolve() for page, target in LINKS}
    pictures = {path.resolve() for path in (ROOT / "docs" / "img").iterdir()}
    assert pictures <= shown


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"])
def test_every_named_path_exists(page: Path) -> None:
    for span in spans(page):
        if not PATH.fullmatch(span):
            continue
        # The demo's card names files relative to itself.
        found = any((base / span).exists() for base in (ROOT, page.parent))
        assert found, f"{page.name}: {span}"


def test_the_map_shows_every_room() -> None:
    named = set(spans(ROOT / "ARCHITECTURE.md"))
    packages = {
        f"{file.parent.relative_to(ROOT).as_posix()}/"
        for pattern in (
            "*/__init__.py",
            "bot/*/__init__.py",
            "bot/*/*/__init__.py",
            "catalog/*/__init__.py",
        )
        for file in ROOT.glob(pattern)
    }
    assert len(packages) > 12
    assert packages <= named


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_row_has_as_many_cells_as_its_table(page: Path) -> None:
    # A bar separates cells even between backticks, unless a backslash stands before it.
    cells = [
        (len(re.findall(r"(?<!\\)\|", line)), line) if line.startswith("|") else None
        for line in prose(page).splitlines()
    ]
    for above, below in pairwise(cells):
        if above and below:
            assert above[0] == below[0], below[1]
