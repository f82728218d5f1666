"""A catalog whose texts have blocked words, and a server that blocks them."""

from catalog import AdapterEntry, Catalog, ModelEntry, WildcardFile, Wildcards

SERVER = "discord:100"
CATALOG = Catalog(
    {
        "demo": ModelEntry(key="demo", name="Demo", path="a/b", default_negative="usual zork"),
        "adult": ModelEntry(key="adult", name="Adult", path="a/b", nsfw=True),
    },
    {"zork": AdapterEntry(key="zork", name="Z", path="a/b")},
    "demo",
    wildcards=Wildcards(
        {"nsfw/late": WildcardFile(("late",)), "coins": WildcardFile(("penny", "zork"))}
    ),
)
