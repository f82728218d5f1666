"""README.fr.md says what README.md says: the same structure, commands, links and options."""

import re

from tests.docs.pages import FRENCH, README, blocks, headings, links, rows, spans, text

LINES_MAX = 150


def test_both_are_short() -> None:
    for page in (README, FRENCH):
        assert len(text(page).splitlines()) <= LINES_MAX


def test_the_headings_have_the_same_structure() -> None:
    assert [level for level, _ in headings(FRENCH)] == [level for level, _ in headings(README)]
    assert headings(FRENCH) != headings(README)


def test_the_commands_are_the_same() -> None:
    def bare(code: str) -> list[str]:
        return [re.sub(r"\s+# .*", "", line).strip() for line in code.splitlines()]

    assert [bare(code) for code in blocks(FRENCH)] == [bare(code) for code in blocks(README)]
    assert len(blocks(README)) >= 4


def test_the_links_and_pictures_are_the_same() -> None:
    assert links(FRENCH)[1:] == links(README)[1:]
    # The first link leads to the other language.
    assert (links(FRENCH)[0], links(README)[0]) == (README.name, FRENCH.name)


def test_the_tables_have_the_same_rows() -> None:
    assert rows(FRENCH) == rows(README)


def test_the_same_names_are_named() -> None:
    assert spans(FRENCH) == spans(README)
