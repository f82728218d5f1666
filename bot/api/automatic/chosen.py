"""Which checkpoint a caller uses: each has its own, though AUTOMATIC1111 has one for all."""

from collections.abc import Mapping
from typing import Any, Final

from bot.api.automatic.checkpoints import Known, named, title
from bot.api.automatic.translating import CHECKPOINT, CLIP_SETTING
from bot.backend import Backend
from bot.errors import InvalidRequest, UserError
from bot.progress import Notice
from bot.request import default_model, find_model
from bot.store import ApiKey
from catalog import ModelEntry

FIXED: Final[Mapping[str, Any]] = {
    "sd_vae": "Automatic",
    CLIP_SETTING: 1,
    "samples_format": "png",
    "samples_save": True,
    "grid_save": False,
    "eta_noise_seed_delta": 0,
    "face_restoration": False,
    "face_restoration_model": None,
    "upscaler_for_img2img": None,
}
"""Options that are as they are."""


class Chosen:
    """Keeps callers' checkpoints in the store."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def known(self) -> Known:
        """The hashes that are known."""
        return await self._backend.store.known_weights.recent()

    async def model(
        self, caller: ApiKey, asked: str | None = None
    ) -> tuple[ModelEntry, tuple[Notice, ...]]:
        """The model for a request that names `asked`, or none, and what to tell about it.

        Raises InvalidRequest or Refused if `asked` is not offered, or nothing is.
        """
        catalog = self._backend.catalog.current
        if asked is not None:
            text = named(asked, catalog, await self.known(), nsfw=caller.nsfw)
            return find_model(catalog, text, nsfw=caller.nsfw), ()
        kept = await self._backend.store.setting(_setting(caller))
        if kept:
            try:
                return find_model(catalog, kept, nsfw=caller.nsfw), ()
            except UserError:
                pass  # it was removed since
        default = find_model(catalog, default_model(catalog, nsfw=caller.nsfw), nsfw=caller.nsfw)
        if not kept:
            return default, ()
        gone = Notice("api.automatic.model_gone", {"value": kept, "model": default.key})
        return default, (gone,)

    async def options(self, caller: ApiKey) -> dict[str, Any]:
        """The answer to `GET /options`."""
        model, _ = await self.model(caller)
        known = await self.known()
        weights = known.get(model.key)
        return {
            CHECKPOINT: title(model, known),
            "sd_checkpoint_hash": weights.sha256 if weights else "",
            "live_previews_enable": self._backend.settings.preview,
            **FIXED,
        }

    async def choose(self, caller: ApiKey, options: Mapping[str, Any]) -> tuple[Notice, ...]:
        """Keep the checkpoint in `options`; returns what to tell about the others.

        Raises InvalidRequest or Refused if it is not offered.
        """
        now = await self.options(caller)
        asked = options.get(CHECKPOINT)
        if asked is not None and asked != "":
            if not isinstance(asked, str):
                raise InvalidRequest(CHECKPOINT, "api.automatic.text", value=str(asked)[:100])
            model, _ = await self.model(caller, asked)
            await self._backend.store.set_setting(_setting(caller), model.key)
        others = (name for name in options if name not in (CHECKPOINT, "sd_checkpoint_hash"))
        return tuple(
            Notice("api.automatic.option", {"field": name[:100]})
            for name in others
            if name not in now or options[name] != now[name]
        )


def _setting(caller: ApiKey) -> str:
    """The key under which the store keeps it."""
    return f"automatic.checkpoint {caller.id}"
