"""What /models says, without Discord."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from catalog import Catalog, ModelEntry, Unfit
from catalog.weight_files import Refusal
from cogs.catalog import CatalogCog, ModelsPageId
from tests.catalog.fixed import fixed
from tests.chat.found import found_here


async def test_a_file_that_is_no_checkpoint_is_listed_last_and_marked(tmp_path: Path) -> None:
    entries = [
        ModelEntry(key="flux", name="A file", path="builtin:ink.safetensors"),
        ModelEntry(key="demo", name="Demo", path="builtin:flat"),
        ModelEntry(key="adult", name="Adult", path="builtin:ink.safetensors", nsfw=True),
    ]
    unfit = Unfit("flux.safetensors", Refusal("Flux (dev) transformer"))
    catalog = Catalog(
        {entry.key: entry for entry in entries},
        {},
        "demo",
        unfit_models={"flux": unfit, "adult": unfit},
    )
    cog = CatalogCog(fixed(catalog), tmp_path, lambda: ())
    interaction = SimpleNamespace(extras=found_here())
    embed, _ = await cog.page(cast("Any", interaction), ModelsPageId(0))
    assert [field.name for field in embed.fields] == ["Demo", "A file"]
    said = embed.fields[1].value or ""
    assert said.splitlines()[0] == "`flux` · ⚠ Flux (dev) transformer, can't be used"
