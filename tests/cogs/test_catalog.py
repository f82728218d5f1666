"""What /models says, without Discord."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from bot.chat.ui.browsing import Filter
from bot.choosing import Uses
from bot.errors import StoreError
from bot.previews import Pictures, Shelf
from bot.store import Store
from catalog import Catalog, ModelEntry, Unfit
from catalog.families.zimage import ZIMAGE
from catalog.unfit import undecided
from catalog.weight_files import Refusal
from catalog.weight_files.refusal import unreadable_weights
from cogs.browsing import Browsing
from tests.catalog.fixed import fixed
from tests.chat.found import found_here


class Unreadable:
    async def mine(self, person: str, kind: str) -> dict[str, int]:
        raise StoreError("disk full")


async def test_a_file_that_is_no_checkpoint_is_listed_last_and_marked(tmp_path: Path) -> None:
    """Also where the database cannot be read."""
    entries = [
        ModelEntry(key="flux", name="A file", path="builtin:ink.safetensors"),
        ModelEntry(key="demo", name="Demo", path="builtin:flat"),
        ModelEntry(key="adult", name="Adult", path="builtin:ink.safetensors", nsfw=True),
    ]
    entries.append(ModelEntry(key="zi", name="Zi", path="builtin:ink.safetensors"))
    entries.append(ModelEntry(key="vae", name="Vae", path="builtin:ink.safetensors"))
    entries.append(ModelEntry(key="enc", name="Wrong", path="builtin:ink.safetensors"))
    entries.append(ModelEntry(key="vae4", name="Vae 4", path="builtin:ink.safetensors"))
    entries.append(ModelEntry(key="enc4", name="Wrong 4", path="builtin:ink.safetensors"))
    entries.append(ModelEntry(key="zi4", name="Zi 4", path="builtin:ink.safetensors"))
    unread = unreadable_weights("text encoder (Qwen3-4B)", "x_y is of type IQ4_XS")
    unfit = Unfit("flux.safetensors", Refusal("Flux (dev) transformer"))
    catalog = Catalog(
        {entry.key: entry for entry in entries},
        {},
        "demo",
        unfit_models={
            "flux": unfit,
            "adult": unfit,
            "vae": Unfit("v.safetensors", Refusal("VAE of FLUX.2"), vae_for=ZIMAGE),
            "enc": Unfit("e.safetensors", Refusal("text encoder (T5)"), encoder_for=ZIMAGE),
            "vae4": Unfit("v.safetensors", unread, vae_for=ZIMAGE),
            "enc4": Unfit("e.gguf", unread, encoder_for=ZIMAGE),
            "zi4": Unfit("z.gguf", unread, quantised=ZIMAGE),
            "zi": undecided("zi.safetensors", ZIMAGE, ZIMAGE.variants, "[models.zi]"),
        },
    )
    browsing = Browsing(
        catalog=fixed(catalog),
        store=cast("Store", None),
        uses=cast("Uses", Unreadable()),
        pictures=Pictures(tmp_path, tmp_path / "previews"),
        models_dir=tmp_path,
        loaded=lambda: (),
        loaded_adapters=lambda: (),
    )
    interaction = cast("Any", SimpleNamespace(extras=found_here()))
    cards, pictures = [], []
    for page in (0, 1):
        view, files = await browsing.page(interaction, Shelf.MODELS, Filter(), page)
        pictures += files
        texts = [str(getattr(item, "content", "")) for item in view.walk_children()]
        cards += [text.splitlines() for text in texts if text.startswith("### ")]
    assert [card[0] for card in cards] == [
        *("### Demo", "### A file", "### Zi", "### Vae", "### Wrong", "### Vae 4", "### Wrong 4"),
        "### Zi 4",
    ]
    assert cards[1][1] == "`flux` · ⚠ Flux (dev) transformer, can't be used"
    assert cards[2][1] == (
        "`zi` · ⚠ Z-Image, but which: turbo or base? The bot's owner needs to say"
    )
    assert cards[3][1] == "`vae` · ⚠ its VAE can't be used: VAE of FLUX.2, not one for Z-Image"
    assert (
        cards[4][1] == "`enc` · ⚠ its text encoder can't be used: text encoder (T5), not Qwen3-4B"
    )
    assert cards[5][1] == "`vae4` · ⚠ can't read its VAE: x\\_y is of type IQ4\\_XS"
    assert cards[6][1] == "`enc4` · ⚠ can't read its text encoder: x\\_y is of type IQ4\\_XS"
    assert cards[7][1] == "`zi4` · ⚠ Z-Image, but can't read its weights: x\\_y is of type IQ4\\_XS"
    assert pictures == []
