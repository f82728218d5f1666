"""📤 Show here: one of one's own results, in the channel where one is."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

from bot.chat.client import ImagenBot, Interaction
from bot.chat.contexts import is_member
from bot.chat.delivery import Delivery, mention
from bot.chat.here import here_of
from bot.chat.ui.history import SendId
from bot.errors import Refused
from bot.levels import Admit
from bot.store import Discord, ImageRecord, Job, NewAct, NewJob, Store, discord_person
from bot.store.comparisons import sheet_number
from bot.worker.image_check import Inspector
from cogs.places import asked_by, check_may_repeat
from cogs.results import AskingComponent, Results


class Showing:
    """Whether a result may be shown in another place, and how.

    admit: what a new job passes, asked about the result as if it was requested there.
    """

    def __init__(self, admit: Admit, store: Store, inspector: Inspector, images_dir: Path) -> None:
        self._admit = admit
        self._store = store
        self._inspector = inspector
        self._images_dir = images_dir

    @classmethod
    def of(cls, bot: ImagenBot) -> Self:
        backend = bot.services.backend
        images_dir = backend.settings.images_dir.absolute()
        return cls(backend.screening, backend.store, backend.inspector, images_dir)

    async def admitted(self, new: NewJob, job: Job) -> Discord:
        """The origin of `job` with how it is shown where `new` asks for the same.

        Raises UserError if it may not be shown there.
        """
        origin = Discord.of(job.origin)
        if origin.withheld:
            raise Refused("publish.withheld")
        there, acts = await self._there(new)
        blurred = await self._blurred(there, await self._checked(job))
        await self._store.acts.keep(acts)
        return replace(origin, spoiler=origin.spoiler or blurred)

    async def cell(self, new: NewJob, job: Job, n: int) -> Discord:
        """The origin of cell `n` of the comparison `job` as a result of its own. new: asks for the
        same.

        Raises UserError if it may not be shown there. One that is withheld is for its person alone.
        """
        there, acts = await self._there(new)
        if not there.withheld:
            images = [image for image in await self._store.images(job.id) if image.n == n]
            there = replace(there, spoiler=await self._blurred(there, images))
        await self._store.acts.keep(acts)
        return there

    async def _there(self, new: NewJob) -> tuple[Discord, tuple[NewAct, ...]]:
        """Where it is shown, and what is to be told about it."""
        admitted = await self._admit(new)
        request = replace(admitted.new.request, added=new.request.added)
        if request != new.request:
            raise Refused("history.not_as_here")
        return Discord.of(admitted.new.origin), admitted.acts

    async def _blurred(self, there: Discord, images: Sequence[ImageRecord]) -> bool:
        paths = [self._images_dir / image.path for image in images if image.pruned_at is None]
        return await self._inspector.check_shown(there.image_check, paths) or there.spoiler

    async def _checked(self, job: Job) -> list[ImageRecord]:
        """The images that the check looks at: of a comparison each cell, since the sheet is too
        large to be looked at as a whole."""
        images = [image for image in await self._store.images(job.id) if image.pruned_at is None]
        if job.request.comparison is None:
            return images
        cells = [image for image in images if image.n != sheet_number(job.request)]
        return cells or images


class SendButton(AskingComponent[SendId]):
    """For those who could use a command here, and in no direct message."""

    ids = SendId

    def __init__(self, results: Results, delivery: Delivery, showing: Showing) -> None:
        super().__init__(results)
        self._delivery = delivery
        self._showing = showing

    async def use(self, interaction: Interaction, custom_id: SendId) -> None:
        job = await self._results.shown(interaction, custom_id.job_id)
        if job.person != discord_person(interaction.user.id):
            raise Refused("action.gone")
        if not is_member(interaction) or interaction.channel_id is None:
            raise Refused("history.no_channel")
        here = here_of(interaction)
        self._results.check_no_cooldown(interaction)
        check_may_repeat(job, self._results.catalog.current, nsfw=here.nsfw)
        if not here.nsfw:
            await self._delivery.afterwards.check_elsewhere(job)
        await interaction.response.defer(ephemeral=True, thinking=True)
        # What is found in it is reported as of the result itself.
        new = replace(asked_by(interaction, job.request), id=job.id)
        shown = replace(job, origin=await self._showing.admitted(new, job))
        say = self._results.say_in(str(interaction.guild_locale or interaction.locale))
        heading = say("history.sent", user=mention(interaction.user.id))
        nonce = f"{job.id}-{str(interaction.id)[-14:]}"
        await self._delivery.afterwards.send_again(
            shown, interaction.channel_id, heading, say, nonce=nonce
        )
        await interaction.followup.send(here.say("publish.done"))
