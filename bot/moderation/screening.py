"""Screening: blocked words, and what only age-restricted channels may have, in every job."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final

from bot.errors import JobFailed, Refused
from bot.levels import Admit, Admitted, Levels
from bot.moderation.texts import checked, remembering
from bot.moderation.word_list import Action
from bot.moderation.words import Finding, Words
from bot.request import GenerationRequest, is_gated
from bot.store import (
    ActKind,
    Api,
    CommandLine,
    Discord,
    Job,
    NewAct,
    NewJob,
    Origin,
    Previewing,
    Store,
)
from catalog import Catalog

log = logging.getLogger(__name__)

WORD_SHOWN: Final = 100
RESTRICTED: Final = "words.changed_restricted"


class Screening:
    """Admits jobs as `admit` does, unless they have what is blocked, or restricted elsewhere.

    A command line is the owner's own, and is not screened. negatives: whether negative prompts
    are. may_restricted: whether a caller over HTTP may have what is for age-restricted channels.
    """

    def __init__(
        self,
        admit: Admit,
        words: Words,
        levels: Levels,
        store: Store,
        catalog: Callable[[], Catalog],
        *,
        negatives: bool = True,
    ) -> None:
        self._admit = admit
        self._words = words
        self._levels = levels
        self._store = store
        self._catalog = catalog
        self._negatives = negatives

    async def __call__(self, new: NewJob) -> Admitted:
        """See Admit. Raises Refused: words.refused and words.restricted, or the same with _negative
        where only the negative prompt has them; words.too_complex; repeat.gated."""
        admitted = await self._admit(new)
        if isinstance(new.origin, CommandLine):
            return admitted
        restricted = await self._restricted(new.origin, new.request)
        if not restricted and is_gated(new.request, self._catalog()):
            raise Refused("repeat.gated")
        new = admitted.new
        added = (*admitted.rules.forced_negative, *await self._added_before(new))
        new = replace(new, request=remembering(new.request, self._catalog(), added))
        finding = await self._find(new.request, new.origin)
        if finding.has("refuse"):
            raise await self._refusal(new, "refuse", "words.refused", "words.refused_negative")
        if finding.has("restrict") and not restricted:
            raise await self._refusal(
                new, "restrict", "words.restricted", "words.restricted_negative"
            )
        return replace(admitted, new=new, acts=(*admitted.acts, *_reports(new, finding)))

    async def _refusal(self, new: NewJob, action: Action, code: str, negative: str) -> Refused:
        """Of a request that has such words: `code`, or `negative` if only its negative prompt has
        them. Most people do not expect them to count there, where they keep things out."""
        texts = checked(new.request, self._catalog(), negatives=False)
        elsewhere = await self._words.find(texts, new.origin.community)
        return Refused(code if elsewhere.has(action) else negative)

    async def recheck(self, job: Job) -> None:
        """Raise JobFailed if it may not be generated any more: a list has changed meanwhile."""
        if isinstance(job.origin, CommandLine):
            return
        try:
            finding = await self.found_in(job)
        except Refused as refused:
            raise JobFailed(refused.code, **refused.params) from None
        if finding.has("refuse"):
            raise JobFailed("words.changed")
        if finding.has("restrict") and not await self._restricted(job.origin, job.request):
            raise JobFailed(RESTRICTED)

    async def screen(self, job: Job, words: str) -> None:
        """Raise JobFailed if the words in which it describes an image are blocked where it was
        asked for."""
        try:
            await self.recheck(replace(job, words=words))
        except JobFailed as failed:
            code = "describe.restricted" if failed.code == RESTRICTED else "describe.blocked"
            raise JobFailed(code) from failed

    async def flags(self, job: Job) -> bool:
        """Whether it has words that are only for age-restricted channels by now, or may have."""
        try:
            return (await self.found_in(job)).has("restrict")
        except Refused:
            return True

    async def found_in(self, job: Job) -> Finding:
        """What the lists find in a stored job. Raises Refused as Words.find does."""
        rules = await self._levels.rules_of(job.origin)
        return await self._find(job.request, job.origin, rules.forced_negative, job.words)

    async def _added_before(self, new: NewJob) -> tuple[str, ...]:
        """What was added to the job that this one goes on from."""
        parent = await self._store.find(new.parent_id) if new.parent_id else None
        return parent.request.added if parent is not None else ()

    async def _find(
        self,
        request: GenerationRequest,
        origin: Origin,
        added: Iterable[str] = (),
        words: str | None = None,
    ) -> Finding:
        texts = checked(request, self._catalog(), negatives=self._negatives, added=added)
        if words is not None:
            texts = replace(texts, texts=(*texts.texts, words))
        return await self._words.find(texts, origin.community)

    async def _restricted(self, origin: Origin, request: GenerationRequest) -> bool:
        """Whether what is for age-restricted channels may be had there."""
        if isinstance(origin, Discord):
            return origin.age_restricted and not origin.absent
        if isinstance(origin, Api):
            return await self._store.api_keys.nsfw(origin.key_id)
        # A preview is shown where its entry is: only in such channels, if it is for them.
        return isinstance(origin, Previewing) and self._for_restricted(request)

    def _for_restricted(self, request: GenerationRequest) -> bool:
        """Whether the model or a LoRA is only for age-restricted channels."""
        catalog = self._catalog()
        adapters = (catalog.adapters.get(use.key) for use in request.adapters)
        used = (catalog.models.get(request.model), *adapters)
        return any(entry is not None and entry.nsfw for entry in used)


def _reports(new: NewJob, finding: Finding) -> Iterator[NewAct]:
    """What each list's moderators are told once the job is accepted."""
    for entries, community in (
        (finding.of_owner, None),
        (finding.of_server, new.origin.community),
    ):
        words = [entry.text for entry in entries if entry.action == "report"]
        if words:
            yield NewAct(
                kind=ActKind.WORDS_FOUND,
                actor=new.origin.person,
                community=community,
                subject=new.id,
                details={"words": ", ".join(words)[:WORD_SHOWN]},
            )
