"""Acting on a result: who may, and asking for another image from there."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Generic, Protocol, Self, TypeVar

import discord
from discord import app_commands

from bot.chat.client import ImagenBot, Interaction
from bot.chat.components import Component, IdT
from bot.chat.contexts import Context, Contexts
from bot.chat.delivery import Delivery
from bot.chat.delivery.refusals import refusal
from bot.chat.delivery.sender import NO_WAY
from bot.chat.errors import UNREACHABLE, answer_privately, sentence
from bot.chat.here import here_of
from bot.chat.places import may_ask, may_post
from bot.chat.ui.actions import routed_button
from bot.chat.ui.custom_id import CustomId
from bot.chat.ui.forms.reopen import ReopenId
from bot.errors import Refused, UserError
from bot.progress import Notice
from bot.queue import JobQueue
from bot.request import GenerationRequest, check_offered
from bot.store import Discord, Job, JobState, Kind, Store, discord_person
from bot.store.forms import Entered
from bot.texts.language import Say, Texts
from catalog import Catalog, LiveCatalog
from cogs.places import (
    accept,
    as_asked_in,
    asked_by,
    can_see,
    check_here,
    check_may_repeat,
    postponing,
)
from cogs.repeating import at_most, count_max, repeated

APART = "posted apart"
"""In an interaction's extras: whether what it asks for is a message of its own in the channel."""
SETTLED_WITHIN = 1.5
"""Seconds that an interaction waits for a result still being recorded, of the three that Discord
allows for an answer."""


class Results:
    """What every action on a result needs."""

    def __init__(
        self,
        *,
        texts: Texts,
        catalog: LiveCatalog,
        store: Store,
        queue: JobQueue,
        delivery: Delivery,
        contexts: Contexts,
    ) -> None:
        self.catalog = catalog
        self.store = store
        self._texts = texts
        self._queue = queue
        self._delivery = delivery
        self._contexts = contexts

    @classmethod
    def of(cls, bot: ImagenBot) -> Self:
        """With the parts of `bot`."""
        services, backend = bot.services, bot.services.backend
        return cls(
            texts=services.texts,
            catalog=backend.catalog,
            store=backend.store,
            queue=backend.queue,
            delivery=services.delivery,
            contexts=services.contexts,
        )

    def say_in(self, locale: str) -> Say:
        return self._texts.speaker(locale)

    def blocks(self, person: str, community: str | None) -> bool:
        """Whether they are blocked there."""
        try:
            self._queue.check_not_blocked(person, community)
        except Refused:
            return True
        return False

    def check_not_blocked(self, interaction: Interaction) -> None:
        """Raise Refused for one who is blocked here."""
        place = here_of(interaction).place
        self._queue.check_not_blocked(place.person, place.community)

    def check_may_use(self, interaction: Interaction) -> None:
        """The same, and for one without the role that the owner requires."""
        check_here(interaction, self._queue.check_person)

    def check_no_cooldown(self, interaction: Interaction) -> None:
        """The same, and for one who has asked for something too short a time ago."""
        check_here(interaction, self._queue.screen)

    def check_may_ask(self, interaction: Interaction) -> None:
        """Raise unless this person could use a command here; Discord lets everyone who sees a
        button press it. A cooldown does not count yet: a form may be filled in meanwhile."""
        self.check_may_use(interaction)
        self._contexts.check(here_of(interaction).context)
        if interaction.guild_id is None:
            return
        if not may_ask(interaction.channel, interaction.permissions):
            raise app_commands.MissingPermissions(["send_messages", "use_application_commands"])

    async def shown(self, interaction: Interaction, job_id: str) -> Job:
        """The job, if it has a result that this person may see.

        For one who does not see where it was asked for, there is none. Raises Refused.
        """
        return self._checked(interaction, await self.store.find(job_id))

    async def seen(self, interaction: Interaction, job_id: str) -> Job:
        """The same, or one that its person has shown again where this person sees it.

        For what does not make anything of it. Raises Refused.
        """
        job = await self.store.find(job_id)
        try:
            return self._checked(interaction, job)
        except Refused as error:
            if error.code != "action.gone" or job is None or not isinstance(job.origin, Discord):
                raise
            places = await self.shown_again(interaction, job)
            seen = next((place for place in places if can_see(interaction, place)), None)
            if seen is None:
                raise
            return self._checked(interaction, job, seen)

    async def sees(self, interaction: Interaction, job: Job) -> bool:
        """Whether it is this person's, or where they see it: what `seen` asks."""
        if job.person == discord_person(interaction.user.id):
            return True
        try:
            await self.seen(interaction, job.id)
        except Refused as error:
            return error.code != "action.gone"
        return True

    async def shown_again(self, interaction: Interaction, job: Job) -> list[Discord]:
        """Where in this server the result was shown again: its origin, as if asked for there."""
        origin = Discord.of(job.origin)
        shown = await self.store.sent_again.of(job.id)
        places = (as_asked_in(interaction, origin, each) for each in shown)
        return [place for place in places if place is not None]

    async def shown_by(self, interaction: Interaction, message: discord.Message) -> Job | None:
        """The job whose result `message` shows, as `seen`; None if it shows none of ours."""
        job_id = await self._shown_by(message.id)
        if job_id is None and message.author == interaction.client.user:
            await self._delivery.settled(within=SETTLED_WITHIN)
            job_id = await self._shown_by(message.id)
        return None if job_id is None else await self.seen(interaction, job_id)

    async def _shown_by(self, message_id: int) -> str | None:
        job = await self.store.messages.job_of(message_id)
        return await self.store.sent_again.job_of(message_id) if job is None else job.id

    async def usable(self, interaction: Interaction, job_id: str) -> Job:
        """The same for making something of it: only the requester may, if a level says so, and
        what was made for an age-restricted channel stays in such. Raises Refused."""
        return self.check_usable(interaction, await self.shown(interaction, job_id))

    async def askable(self, interaction: Interaction, job_id: str) -> Job:
        """The same for asking for it again: also one that failed. Raises Refused."""
        job = self._checked(interaction, await self.store.find(job_id), failed=True)
        return self.check_usable(interaction, job)

    def check_usable(self, interaction: Interaction, job: Job) -> Job:
        only_requester = here_of(interaction).rules.buttons == "requester"
        if only_requester and job.person != discord_person(interaction.user.id):
            raise Refused("action.foreign", user=Discord.of(job.origin).user_id)
        check_may_repeat(job, self.catalog.current, nsfw=here_of(interaction).nsfw)
        return job

    async def count_max(self, interaction: Interaction) -> int:
        """As many images as this person may ask for at once here and now, at least 1."""
        here = here_of(interaction)
        return await count_max(self._queue, here.place, here.rules)

    async def offered(self, interaction: Interaction, *names: str | None) -> Catalog:
        """What may be used here, from a catalog that knows what `names` may mean."""
        return here_of(interaction).offered(await self.catalog.knowing(*names))

    async def postpone(self, interaction: Interaction, parent: Job | None = None) -> None:
        """Tell Discord to wait, before work that may take longer than it allows for an answer.

        Raises AnsweredElsewhere if another copy of the bot has answered a private message.
        """
        if self.posts_apart(interaction, parent):
            if not interaction.response.is_done():
                await self._delivery.defer(interaction, apart=True)
            return
        hidden = self.hides(interaction, parent)
        await postponing(interaction, self._delivery, hidden=hidden)()

    def posts_apart(self, interaction: Interaction, parent: Job | None = None) -> bool:
        """Whether what is made of it is a message of its own in the channel, and no answer: one to
        a private message would show there as a reply to something that nobody else sees.

        It is decided once for an interaction, as that may be deferred in the meantime.
        """
        if APART not in interaction.extras:
            interaction.extras[APART] = (
                _is_private(interaction.message)
                and not self.hides(interaction, parent)
                and not here_of(interaction).absent
                and (interaction.guild is None or may_post(interaction.channel, interaction.guild))
            )
        return bool(interaction.extras[APART])

    @staticmethod
    def hides(interaction: Interaction, parent: Job | None = None) -> bool:
        """Whether only this person sees what they make of it: like the result itself, or because
        they have set it so."""
        hidden = parent is not None and Discord.of(parent.origin).hidden
        return hidden or here_of(interaction).rules.private

    async def repeat(self, interaction: Interaction, job: Job, *, same_seed: bool) -> None:
        """Queue the request of `job` again; raises as `ask`. With a new seed, there may be fewer
        images, since it is none of those that are there."""
        catalog = await self.offered(interaction, *job.request.names)
        self.check_usable(interaction, job)
        nsfw = here_of(interaction).nsfw
        request, kind = repeated(job, catalog, nsfw=nsfw, same_seed=same_seed)
        notes: tuple[Notice, ...] = ()
        if not same_seed:
            request, notes = at_most(await self.count_max(interaction), request)
        await self.ask(interaction, request, kind=kind, parent=job, warnings=notes, catalog=catalog)

    async def ask(
        self,
        interaction: Interaction,
        request: GenerationRequest,
        *,
        kind: Kind,
        parent: Job,
        warnings: tuple[Notice, ...] = (),
        catalog: Catalog | None = None,
    ) -> None:
        """Queue `request`, made from the result of `parent`, and answer with its place in line.

        warnings: what the person should know about the request. catalog: one that knows what the
        request names; by default, it is waited for.
        Raises Refused or InvalidRequest if something it needs is not offered here, or a limit is
        reached, or the channel takes no message.
        """
        nsfw = here_of(interaction).nsfw
        if catalog is None:
            catalog = await self.offered(interaction, *request.names)
        check_may_repeat(parent, self.catalog.current, nsfw=nsfw)
        check_offered(request, catalog, nsfw=nsfw)
        await self.queue(interaction, request, kind=kind, parent=parent, warnings=warnings)

    async def queue(
        self,
        interaction: Interaction,
        request: GenerationRequest,
        *,
        kind: Kind = "imagine",
        parent: Job | None = None,
        warnings: tuple[Notice, ...] = (),
    ) -> None:
        """Queue `request`, of which everything is offered here, and answer with its place in line.

        Of what was asked for in a private message, the place in line is a message of its own. A
        question vanishes with that; a list, or a result, stays, as one may go on with it.
        Raises Refused if a limit is reached, or the channel takes no message.
        """
        hidden, apart = self.hides(interaction, parent), self.posts_apart(interaction, parent)
        new = asked_by(
            interaction,
            request,
            kind=kind,
            parent=parent,
            hidden=hidden,
            spoiler=here_of(interaction).rules.spoiler,
            warnings=warnings,
            apart=apart,
        )
        if apart:
            await self.postpone(interaction, parent)
            try:
                async with self._queue.accepting(new) as ticket:
                    await self._delivery.acknowledge_in_channel(ticket)
            except discord.HTTPException as error:
                if (meaning := refusal(error)) not in NO_WAY:
                    raise
                raise Refused(NO_WAY[meaning]) from error
            if _is_question(interaction.message):
                with suppress(*UNREACHABLE):
                    await interaction.delete_original_response()
            return
        await accept(interaction, self._queue, self._delivery, new)

    async def send_back(
        self,
        interaction: Interaction,
        form: CustomId,
        fields: Mapping[str, str],
        error: UserError,
    ) -> None:
        """Name the mistake in a form, and offer to open it again as it was."""
        person = discord_person(interaction.user.id)
        form_id = await self.store.forms.keep(person, Entered(str(form), fields))
        await self.offer_again(interaction, ReopenId(form_id), error)

    async def offer_again(
        self, interaction: Interaction, reopen: CustomId, error: UserError
    ) -> None:
        """Name the mistake in a form. reopen: the id of the button that opens it again."""
        say = here_of(interaction).say
        view = discord.ui.View(timeout=None)
        primary = discord.ButtonStyle.primary
        view.add_item(routed_button(say("button.reopen"), reopen, "✏️", primary))
        await answer_privately(interaction, sentence(error, say) or "", view)

    @staticmethod
    def _checked(
        interaction: Interaction,
        job: Job | None,
        shown: Discord | None = None,
        *,
        failed: bool = False,
    ) -> Job:
        """shown: where it is looked at, if not where it was asked for. failed: whether one without
        a result will do."""
        if job is None or not isinstance(job.origin, Discord):
            raise Refused("action.gone")
        own = job.person == discord_person(interaction.user.id)
        where = shown or job.origin
        alone = where.hidden or here_of(interaction).context is Context.DIRECT
        # What is one's own is in one's history, wherever one looks at it.
        if not own and (alone or not can_see(interaction, where)):
            raise Refused("action.gone")
        if job.deleted_at is not None:
            raise Refused("action.deleted")
        if job.state in (JobState.PENDING, JobState.RUNNING):
            raise Refused("action.unfinished")
        # With a recipe, it could not be delivered.
        kept = job.state is JobState.FAILED and (failed or job.recipe is not None)
        if job.state not in (JobState.DONE, JobState.DELIVERED) and not kept:
            raise Refused("action.none")
        return job


def _is_private(message: discord.Message | None) -> bool:
    """Whether only one person sees it."""
    return message is not None and message.flags.ephemeral


def _is_question(message: discord.Message | None) -> bool:
    """Whether it is a sentence with buttons or a select, rather than a card or a list, which has no
    text beside it."""
    return message is not None and bool(message.content)


def check_generated(job: Job) -> None:
    """Raise Refused for a sheet, an enlarged image, and a description: a seed made none of them."""
    if job.request.comparison is not None:
        raise Refused("action.open_first")
    if job.request.upscale is not None:
        raise Refused("action.enlarged")
    if job.request.describe is not None:
        raise Refused("action.described")


class AskingComponent(Component[IdT]):
    """A button, select or form for everyone who could use a command where it is."""

    def __init__(self, results: Results) -> None:
        self._results = results

    async def check(self, interaction: Interaction, custom_id: IdT) -> None:
        self._results.check_may_ask(interaction)


class Service(Protocol):
    """What acts on results. results: who may, and asking for another."""

    @property
    def results(self) -> Results: ...


ServiceT = TypeVar("ServiceT", bound=Service)


class ServiceComponent(AskingComponent[IdT], Generic[IdT, ServiceT]):
    """The same, of a service that does what it asks for."""

    def __init__(self, service: ServiceT) -> None:
        super().__init__(service.results)
        self._service = service
