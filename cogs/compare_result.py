"""🔬 Compare: a form that asks what varies, and the select that opens one image of a sheet."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bot.chat.client import ImagenBot, Interaction
from bot.chat.components import picked
from bot.chat.delivery import Delivery
from bot.chat.forms import entered_into, open_form
from bot.chat.here import here_of
from bot.chat.ui.actions import CompareId
from bot.chat.ui.forms.compare import AXIS, AXIS2, VALUES, VALUES2, CompareFormId, compare_form
from bot.chat.ui.picking import OpenCellId
from bot.errors import InvalidRequest, Refused, UserError
from bot.files.sheets.opening import open_cell
from bot.request import AxisAsk, cells, compare_again
from bot.store import Discord
from cogs.history.sending import Showing
from cogs.places import asked_by
from cogs.results import AskingComponent, Results, ServiceComponent


class Comparer:
    """Asks what varies, and queues the comparison around a result."""

    def __init__(self, results: Results, adapters_max: int) -> None:
        self.results = results
        self._adapters_max = adapters_max

    async def open(
        self, interaction: Interaction, job_id: str, fields: Mapping[str, str] | None = None
    ) -> None:
        """fields: what was entered before."""
        job = await self.results.usable(interaction, job_id)
        if job.request.upscale is not None:
            raise Refused("action.enlarged")
        if job.request.describe is not None:
            raise Refused("action.described")
        say = here_of(interaction).say
        await open_form(interaction, compare_form(say, CompareFormId(job_id), fields or {}))

    async def submit(
        self, interaction: Interaction, form: CompareFormId, fields: Mapping[str, str]
    ) -> None:
        """Queue it; a mistake is named, and the form can be opened again as it was."""
        job = await self.results.usable(interaction, form.job_id)
        try:
            found = await asyncio.to_thread(
                compare_again,
                job.request,
                _asks(fields),
                await self.results.offered(interaction, *job.request.names, *fields.values()),
                nsfw=here_of(interaction).nsfw,
                adapters_max=self._adapters_max,
                hashes=await self.results.store.known_weights.hashes(*fields.values()),
            )
            await self.results.ask(
                interaction, found.request, kind="compare", parent=job, warnings=found.notes
            )
        except UserError as error:
            await self.results.send_back(interaction, form, fields, error)


def _asks(fields: Mapping[str, str]) -> list[AxisAsk]:
    asks = [AxisAsk(fields[AXIS], fields[VALUES].strip() or None)]
    if fields[AXIS2]:
        asks.append(AxisAsk(fields[AXIS2], fields[VALUES2].strip() or None))
    elif fields[VALUES2].strip():
        raise InvalidRequest("axis2", "compare.no_axis")
    return asks


class CompareButton(ServiceComponent[CompareId, Comparer]):
    ids = CompareId

    async def use(self, interaction: Interaction, custom_id: CompareId) -> None:
        await self._service.open(interaction, custom_id.job_id)


class CompareForm(ServiceComponent[CompareFormId, Comparer]):
    ids = CompareFormId

    async def use(self, interaction: Interaction, custom_id: CompareFormId) -> None:
        fields = entered_into(interaction, (AXIS, VALUES, AXIS2, VALUES2))
        await self._service.submit(interaction, custom_id, fields)


class OpenCellSelect(AskingComponent[OpenCellId]):
    """Posts one image of a sheet as a result of its own: it is there already."""

    ids = OpenCellId

    def __init__(
        self, results: Results, delivery: Delivery, showing: Showing, images_dir: Path
    ) -> None:
        super().__init__(results)
        self._delivery = delivery
        self._showing = showing
        self._images_dir = images_dir

    async def use(self, interaction: Interaction, custom_id: OpenCellId) -> None:
        job = await self._results.usable(interaction, custom_id.job_id)
        n = picked(interaction)
        if not n.isdecimal():
            raise Refused("error.component")
        found = next((each for each in cells(job.request) if each.n == int(n)), None)
        if found is None:
            raise Refused("compare.no_cell")
        hidden = self._results.hides(interaction, job)
        # What is withheld reaches its person through the interaction alone.
        withheld = Discord.of(job.origin).withheld
        apart = not withheld and self._results.posts_apart(interaction, job)
        await self._delivery.defer(interaction, hidden=hidden, apart=apart)
        request = replace(found.request, added=job.request.added)
        asked = asked_by(
            interaction,
            request,
            kind="cell",
            parent=job,
            hidden=hidden,
            spoiler=here_of(interaction).rules.spoiler,
            apart=apart,
        )
        # What is found in it is reported as of the comparison.
        origin = await self._showing.cell(replace(asked, id=job.id), job, found.n)
        cell = await open_cell(
            self._results.store, self._images_dir, job, found.n, origin, asked.roles
        )
        await self._delivery.finished(cell)


def comparer_of(bot: ImagenBot) -> Comparer:
    return Comparer(Results.of(bot), bot.services.backend.settings.max_adapters)


async def setup(bot: ImagenBot) -> None:
    comparer, results = comparer_of(bot), Results.of(bot)
    images_dir = bot.services.backend.settings.images_dir.absolute()
    bot.components.add(CompareButton(comparer))
    bot.components.add(CompareForm(comparer))
    bot.components.add(OpenCellSelect(results, bot.services.delivery, Showing.of(bot), images_dir))
