"""Which models and LoRAs the figures name."""

import pytest

from catalog import AdapterEntry, Allowance, Catalog, ModelEntry
from cogs.stats import _named

CATALOG = Catalog(
    {
        "demo": ModelEntry(key="demo", name="Demo", path="a/b"),
        "other": ModelEntry(key="other", name="Other", path="a/b"),
        "adult": ModelEntry(key="adult", name="Adult", path="a/b", nsfw=True),
    },
    {"ink": AdapterEntry(key="ink", name="Ink", path="a/b")},
    "demo",
)
HERE = CATALOG.narrowed(Allowance(block=frozenset({"other"})), Allowance(block=frozenset({"ink"})))


@pytest.mark.parametrize(
    ("key", "everywhere", "restricted"),
    [
        ("demo", "Demo", "Demo"),
        ("adult", None, "Adult"),
        ("other", None, None),
        ("ink", None, None),
        ("gone", None, "gone"),
    ],
)
def test_only_what_is_offered_there(
    key: str, everywhere: str | None, restricted: str | None
) -> None:
    assert _named(key, catalog=HERE, nsfw=False) == everywhere
    assert _named(key, catalog=HERE, nsfw=True) == restricted
