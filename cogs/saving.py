"""Save a preset: which names and values it may have, where somebody is."""

from bot.chat.client import ImagenBot, Interaction
from bot.chat.here import here_of
from bot.errors import InvalidRequest, Refused
from bot.moderation.texts import Checked
from bot.moderation.words import Words
from bot.request import Draft, Named, Options
from bot.request.filling import fill
from bot.request.keeping import checked_name, checked_options
from bot.store.presets import OWN_MAX, SHARED_MAX, Kept, Presets
from cogs.composing import Composing

SAMPLE = "x"
"""Stands for what will be typed, to try a preset with."""


class Saving:
    """words: those that are blocked, also in negative prompts if `negatives` says so."""

    def __init__(
        self, presets: Presets, composing: Composing, words: Words, *, negatives: bool
    ) -> None:
        self._presets = presets
        self._composing = composing
        self._words = words
        self._negatives = negatives

    async def save(
        self, interaction: Interaction, name: str, options: Options, *, replace: bool = False
    ) -> str:
        """Save a private preset, after trying it out; returns its name.

        replace: the person's own of that name. Raises InvalidRequest or Refused.
        """
        name, options = checked_name(name), checked_options(options)
        # As if it was typed first: then a mistake is named as such.
        typed = Draft.from_options({**options.given, "prompt": SAMPLE, "negative": None})
        await self._composing.composed(interaction, typed, ())
        draft = Draft(prompt=SAMPLE, preset=name)
        await self._composing.composed(interaction, draft, (Named(name, options),))
        here = here_of(interaction)
        person, community = here.place.person, here.place.community
        await self._words.check(self._looked_at(name, options), community, restricted=here.nsfw)
        match await self._presets.save(person, name, options, replace=replace):
            case Kept.TAKEN:
                raise InvalidRequest("name", "presets.taken", value=name)
            case Kept.FULL:
                raise Refused("presets.full", max=OWN_MAX)
        return name

    async def share(self, person: str, community: str, own: Named, *, replace: bool) -> None:
        """Give the server a copy. Raises InvalidRequest or Refused."""
        # Everyone sees it in the list, wherever they are.
        looked_at = self._looked_at(own.name, own.options)
        await self._words.check(looked_at, community, restricted=False)
        kept = await self._presets.save(
            person, own.name, own.options, community=community, replace=replace
        )
        match kept:
            case Kept.TAKEN:
                raise InvalidRequest("name", "presets.taken_here", value=own.name)
            case Kept.FULL:
                raise Refused("presets.full_here", max=SHARED_MAX)

    def _looked_at(self, name: str, options: Options) -> Checked:
        """What blocked words are looked for in: what was typed, with a sample in its places."""
        negative = options.negative if self._negatives else None
        words = (fill(text, SAMPLE) for text in (options.prompt, negative) if text)
        texts = (*words, *filter(None, (options.lora,)))
        return Checked((name, *texts), templates=texts)

    @classmethod
    def of(cls, bot: ImagenBot) -> "Saving":
        backend = bot.services.backend
        negatives = backend.settings.blocked_in_negatives
        return cls(backend.store.presets, Composing.of(bot), backend.words, negatives=negatives)
