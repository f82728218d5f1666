"""A user's input finds the right entries, in the right order."""

from itertools import islice, permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog import AdapterEntry, AdapterFacts, Catalog, ModelEntry
from catalog.search import Index, fold
from tests.parameters import examples


def adapters(*names: str, **fields: Any) -> dict[str, AdapterEntry]:
    """Entries by key; `key=Shown name` sets both."""
    pairs = [name.partition("=")[::2] for name in names]
    return {
        key: AdapterEntry(key=key, name=name or key, path="a/b", **fields) for key, name in pairs
    }


def catalog(*names: str) -> Catalog:
    return Catalog(models={}, adapters=adapters(*names), default="")


def keys(found: tuple[AdapterEntry, ...]) -> list[str]:
    return [entry.key for entry in found]


def find(read: Catalog, text: str, **fields: Any) -> list[str]:
    return keys(read.search_adapters(text, nsfw=True, **fields))


def test_exact_comes_before_prefix_word_and_substring() -> None:
    read = catalog("dark-ink", "drinking", "i-n-k", "inkwell", "ink", "oil", "think")
    assert find(read, "ink") == ["ink", "inkwell", "dark-ink", "think", "drinking"]


def test_letters_in_order_do_where_nothing_else_is_found() -> None:
    assert find(catalog("dark-ink", "oil"), "dnk") == ["dark-ink"]


def test_names_count_as_keys_do() -> None:
    read = catalog("a1=Watercolour", "a2=Old Watercolour", "a3=Water", "water-x=Zed")
    assert find(read, "water") == ["a3", "a1", "water-x", "a2"]


def test_equally_good_ones_come_shortest_key_first_then_in_order() -> None:
    read = catalog("anime-zz", "anime-yyyy", "anime-aa")
    assert find(read, "anime") == ["anime-zz", "anime-aa", "anime-yyyy"]


@pytest.mark.parametrize(
    "text", ["PIXEL ART", "pixel-art", "pixel_art", " pixel  art ", "Píxel.art"]
)
def test_case_accents_and_separators_do_not_matter(text: str) -> None:
    assert find(catalog("other", "pixel-art-xl"), text) == ["pixel-art-xl"]


@pytest.mark.parametrize(
    "text", ["anmie", "anixe", "nime-style", "animee", "anme", "anime-stlye", "stlye", "detialed"]
)
def test_a_misspelt_word_is_found(text: str) -> None:
    assert find(catalog("oil", "anime-style=Anime detailed"), text) == ["anime-style"]


def test_words_in_another_order_and_misspelt_are_found() -> None:
    read = catalog("anime-style", "anime-dark", "style-oil")
    assert find(read, "style anime") == ["anime-style"]
    assert find(read, "stlye anmie") == ["anime-style"]


def test_a_short_word_is_not_taken_for_another_one() -> None:
    assert find(catalog("oil", "ink"), "oik") == []


def test_nothing_alike_finds_nothing() -> None:
    assert find(catalog("oil", "ink"), "qqqq") == []
    assert find(catalog(), "ink") == []


def test_an_empty_text_gives_the_first_ones_and_the_default_model_first() -> None:
    read = catalog("b", "a", "c")
    assert find(read, "") == ["b", "a", "c"]
    assert find(read, " - ", limit=2) == ["b", "a"]
    models = {k: ModelEntry(key=k, name=k, path="a/b") for k in ("x", "y")}
    listed = Catalog(models=models, adapters={}, default="y").search_models("", nsfw=False)
    assert [m.key for m in listed] == ["y", "x"]


def test_at_most_the_limit_is_given() -> None:
    read = catalog(*(f"ink-{n}" for n in range(50)))
    assert len(find(read, "ink")) == 25
    assert find(read, "ink", limit=3) == ["ink-0", "ink-1", "ink-2"]


def test_chosen_hidden_and_unfit_ones_are_left_out_before_the_limit() -> None:
    read = Catalog(
        models={},
        adapters={
            **adapters("ink-1"),
            **adapters("ink-2", nsfw=True),
            **adapters("ink-3", models=("sdxl",)),
            **adapters("ink-4", enabled=False),
            **adapters("ink-5"),
        },
        default="",
    )
    assert find(read, "ink") == ["ink-1", "ink-2", "ink-3", "ink-5"]
    found = read.search_adapters("ink", nsfw=False, model="pony", exclude={"ink-1"}, limit=1)
    assert keys(found) == ["ink-5"]
    assert find(read, "ink", model="sdxl") == ["ink-1", "ink-2", "ink-3", "ink-5"]
    assert keys(read.search_misfits("ink", nsfw=False, model="pony")) == ["ink-3"]
    assert keys(read.search_misfits("ink", nsfw=False, model="sdxl")) == []
    assert str(read.misfit("ink-3", "pony")) == "only for sdxl"
    assert read.misfit("ink-3", "sdxl") is read.misfit("ink-3") is None


def test_one_that_fits_no_model_is_found_only_when_no_model_is_asked_for() -> None:
    other = AdapterFacts(base="SD 3", certain=True)
    read = Catalog(
        models={},
        adapters={**adapters("ink-1", "ink-2", "ink-4"), **adapters("ink-3", nsfw=True)},
        default="",
        adapter_facts={"ink-1": AdapterFacts(base="SDXL"), "ink-2": other, "ink-3": other},
    )
    assert find(read, "ink") == ["ink-1", "ink-2", "ink-4", "ink-3"]
    assert find(read, "ink", model="sdxl") == ["ink-1", "ink-4"]
    assert keys(read.offered_adapters(nsfw=True, model="sdxl")) == ["ink-1", "ink-4"]
    assert keys(read.offered_adapters(nsfw=True)) == ["ink-1", "ink-2", "ink-4", "ink-3"]
    assert read.nearest_adapters("imk-2", model="sdxl") == ("ink-1", "ink-4")
    assert keys(read.search_misfits("ink", nsfw=True)) == ["ink-2", "ink-3"]
    assert keys(read.search_misfits("ink", nsfw=False)) == ["ink-2"]
    assert keys(read.search_misfits("ink", nsfw=True, limit=1)) == ["ink-2"]
    assert keys(read.search_misfits("ink", nsfw=True, exclude={"ink-2"})) == ["ink-3"]


def test_nearest_suggests_keys_further_away_but_only_offered_ones() -> None:
    read = Catalog(
        models={
            "sdxl-base": ModelEntry(key="sdxl-base", name="SDXL base", path="a/b"),
            "pony": ModelEntry(key="pony", name="Pony", path="a/b", nsfw=True),
            "off": ModelEntry(key="offline", name="Off", path="a/b", enabled=False),
        },
        adapters=adapters("anime-style", "anime-dark", "ink"),
        default="sdxl-base",
    )
    assert read.nearest_models("sdlx-bas") == ("sdxl-base",)
    assert read.nearest_models("pnoy") == ()
    assert read.nearest_models("pnoy", nsfw=True) == ("pony",)
    assert read.nearest_models("offline", nsfw=True) == ()
    assert read.nearest_adapters("animestile") == ("anime-style",)
    assert read.nearest_adapters("anime", 1) == ("anime-dark",)
    assert read.nearest_adapters("") == ("anime-style", "anime-dark", "ink")
    assert read.nearest_adapters("", 2) == ("anime-style", "anime-dark")
    assert read.nearest_adapters("zzzzzzzz") == ()


WORDS = [f"{a}{b}" for a in ("ink", "oil", "neon", "pixel", "anime") for b in ("", "ly", "wash")]


def many() -> list[str]:
    """10 000 different keys, the same each time."""
    return [f"{WORDS[n % 15]}-{WORDS[(n // 15) % 15]}-{n}" for n in range(10_000)]


@pytest.mark.parametrize("text", ["ink", "neonwash", "oil 77", "9", "ly-an", "pixel-neon-9999"])
def test_among_ten_thousand_the_best_are_found(text: str) -> None:
    names = many()
    index = Index((name, name) for name in names)
    query = fold(text)

    def rank(name: str) -> int:
        folded = fold(name)
        if folded == query:
            return 0
        if folded.startswith(query):
            return 1
        return 2 if f" {query}" in folded else 3

    hits = [n for n, name in enumerate(names) if query in fold(name)]
    expected = sorted(hits, key=lambda n: (rank(names[n]), len(names[n]), n))[:25]
    assert index.search(text, lambda n: True, 25)[: len(expected)] == expected
    assert expected


def test_among_ten_thousand_a_misspelt_key_is_found() -> None:
    index = Index((name, "") for name in many())
    wanted = many().index("pixelly-neonwash-4630")
    assert index.search("pixlely-neonwash-4630", lambda n: True, 25)[0] == wanted
    assert wanted in index.nearest("pxielly-neonwahs-463x", lambda n: True, 3)


def test_a_misspelt_word_is_found_however_many_are_like_it() -> None:
    """All of them are compared: none is skipped in favour of one with more letters in common."""
    alike = ["".join(letters) for letters in islice(permutations("hgfedcba"), 500)]
    index = Index((name, "") for name in [*alike, "abcdefxy"])
    assert index.search("abcdefgh", lambda n: True, 3) == [500]


NAMES = st.lists(
    st.text(alphabet="abc-é. 1", min_size=1, max_size=10), min_size=1, max_size=12, unique=True
)


@settings(max_examples=examples(100))
@given(names=NAMES, text=st.text(max_size=12) | st.text(alphabet="abc-[].*\\^", max_size=6))
def test_every_text_is_answered_from_what_there_is(names: list[str], text: str) -> None:
    index = Index((name, name[::-1]) for name in names)
    for found in (
        index.search(text, lambda n: n != 0, 5),
        index.nearest(text, lambda n: n != 0, 5),
    ):
        assert len(found) == len(set(found)) <= 5
        assert set(found) <= set(range(1, len(names)))


@given(names=NAMES)
def test_the_whole_key_finds_its_entry_first(names: list[str]) -> None:
    index = Index((name, "") for name in names)
    for number, name in enumerate(names):
        if fold(name):
            best = index.search(name, lambda n: True, 1)[0]
            assert fold(names[best]) == fold(name)
            same = [n for n, other in enumerate(names) if fold(other) == fold(name)]
            assert number in index.search(name, lambda n: True, len(same))


def test_a_very_long_text_is_cut() -> None:
    assert find(catalog("a" * 48), "a" * 100_000) == []
    assert find(catalog("ink"), "ink" + " " * 100 + "x" * 100_000) == ["ink"]
