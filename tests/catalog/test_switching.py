"""Entries that are switched off while the program runs, and what a reload has changed."""

from typing import get_args

import pytest

from catalog import CatalogError, EntryKind, LiveCatalog, changes, entries_of
from tests.catalog.home import ONE_MODEL, Home

MODELS = ONE_MODEL + '[models.two]\nname = "Two"\npath = "org/two"\n'
LORAS = '[loras.a]\nname = "A"\npath = "org/a"\n[loras.b]\nname = "B"\npath = "org/b"\n'


@pytest.fixture
def live(home: Home) -> LiveCatalog:
    home.write(MODELS, loras=LORAS)
    return LiveCatalog(home.catalog_dir, home.models_dir)


def offered(live: LiveCatalog) -> tuple[list[str], list[str]]:
    catalog = live.current
    return (
        [entry.key for entry in catalog.offered_models(nsfw=True)],
        [entry.key for entry in catalog.offered_adapters(nsfw=True)],
    )


def test_what_is_switched_off_is_not_offered_but_still_known(live: LiveCatalog) -> None:
    live.switch_off([("model", "two"), ("adapter", "a"), ("adapter", "gone")])
    assert offered(live) == (["base"], ["b"])
    assert list(live.current.models) == ["base", "two"]
    assert live.whole.models["two"].enabled
    live.switch_off([])
    assert offered(live) == (["base", "two"], ["a", "b"])


def test_another_model_becomes_the_default(live: LiveCatalog) -> None:
    assert live.current.default == "base"
    live.switch_off([("model", "base")])
    assert live.current.default == "two"


def test_the_files_do_not_bring_it_back(home: Home, live: LiveCatalog) -> None:
    live.switch_off([("model", "two")])
    before = live.whole
    three = '[models.three]\nname = "3"\npath = "org/3"\n'
    home.write(MODELS.replace('"Two"', '"Zwei"') + three, loras=LORAS)
    live.reload()
    assert offered(live)[0] == ["base", "three"]
    found = changes(before, live.whole)
    assert found.added == (("model", "three"),)
    assert found.changed == (("model", "two"),)
    assert found.removed == ()


def test_a_reload_says_what_is_wrong_and_keeps_the_last_good_one(
    home: Home, live: LiveCatalog
) -> None:
    home.write(b"=")
    with pytest.raises(CatalogError, match=r"models\.toml"):
        live.reload()
    assert offered(live)[0] == ["base", "two"]
    assert not changes(live.whole, live.whole)


def test_every_kind_is_found(live: LiveCatalog) -> None:
    for kind in get_args(EntryKind):
        assert entries_of(live.whole, kind) is not None
