"""Make a request of a draft, where somebody is."""

from bot.chat.client import ImagenBot, Interaction
from bot.chat.here import here_of
from bot.request import PRESETS, Composed, Draft, Named, compose_with_notes
from bot.request.hashes import Hashes
from bot.store import Store
from catalog import LiveCatalog
from cogs.defaults import filling


class Composing:
    """With what is offered there, and the presets that may be named there.

    adapters_max: LoRAs that a user may combine.
    """

    def __init__(self, catalog: LiveCatalog, store: Store, adapters_max: int) -> None:
        self.adapters_max = adapters_max
        self._catalog = catalog
        self._store = store

    async def composed(
        self,
        interaction: Interaction,
        draft: Draft,
        saved: tuple[Named, ...] | None = None,
        *,
        whole: bool = False,
    ) -> Composed:
        """saved: instead of those that people saved. whole: the person's defaults are in `draft`.

        Raises InvalidRequest or Refused.
        """
        here = here_of(interaction)
        if saved is None:
            saved = await self.saved(interaction, draft.preset)
        names = [*draft.names, *(name for each in saved for name in each.options.names)]
        catalog = here.offered(await self._catalog.knowing(*names))
        return compose_with_notes(
            draft,
            catalog,
            nsfw=here.nsfw,
            adapters_max=self.adapters_max,
            hashes=await self.hashes(*draft.names),
            saved=saved,
            fill=filling(here, catalog, self.adapters_max, within_limits=whole),
        )

    async def hashes(self, *texts: str | None) -> Hashes:
        """Those by which these texts may name a model."""
        return await self._store.known_weights.hashes(*texts)

    async def saved(self, interaction: Interaction, preset: str | None) -> tuple[Named, ...]:
        """What people saved that `preset` may mean: the person's own, then the server's."""
        if not preset or preset.strip().casefold() in PRESETS:
            return ()
        place = here_of(interaction).place
        found = await self._store.presets.of(place.person, place.community)
        return tuple(each.named for each in found)

    @classmethod
    def of(cls, bot: ImagenBot) -> "Composing":
        backend = bot.services.backend
        return cls(backend.catalog, backend.store, backend.settings.max_adapters)
