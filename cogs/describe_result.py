"""💬 Describe: what is in an image of a result, in words."""

from bot.chat.client import ImagenBot, Interaction
from bot.chat.components import picked
from bot.chat.here import here_of
from bot.chat.ui.actions import DescribeId
from bot.chat.ui.picking import DescribePickId, describe_view
from bot.errors import Refused
from bot.files.given import holding
from bot.request import DescribeDraft, compose_describe
from bot.store import Job, shown_images
from cogs.result_pictures import ResultPictures
from cogs.results import Results, ServiceComponent


class Describing:
    """Queues the description of an image of a result."""

    def __init__(self, results: Results, pictures: ResultPictures) -> None:
        self.results = results
        self.pictures = pictures

    async def describe(self, interaction: Interaction, job: Job, n: int) -> None:
        """n: of the image, from 0. Raises Refused if it is gone, or nothing here describes it."""
        catalog = await self.results.offered(interaction)
        draft = DescribeDraft(image=await self.pictures.promised(job, n))
        compose_describe(draft, catalog)
        # Its image is encoded once more, which may take longer than Discord waits.
        await self.results.postpone(interaction, job)
        async with holding(self.results.store, self.pictures.inputs) as keep:
            picture = await self.pictures.take(job, n, "image", keep)
            request = compose_describe(DescribeDraft(image=picture), catalog).request
            await self.results.ask(
                interaction, request, kind="describe", parent=job, catalog=catalog
            )


class DescribeButton(ServiceComponent[DescribeId, Describing]):
    """Describes the image, or asks which one."""

    ids = DescribeId

    async def use(self, interaction: Interaction, custom_id: DescribeId) -> None:
        job = await self._results.usable(interaction, custom_id.job_id)
        if job.request.comparison is not None:
            raise Refused("action.open_first")
        images = shown_images(job, await self._service.pictures.kept(job))
        if len(images) == 1:
            await self._service.describe(interaction, job, images[0].n)
            return
        say = here_of(interaction).say
        view = describe_view(say, job.id, [image.n for image in images])
        await interaction.response.send_message(say("pick.describe"), view=view, ephemeral=True)


class DescribePickSelect(ServiceComponent[DescribePickId, Describing]):
    """Describes the image that was picked."""

    ids = DescribePickId

    async def use(self, interaction: Interaction, custom_id: DescribePickId) -> None:
        job = await self._results.usable(interaction, custom_id.job_id)
        number = picked(interaction)
        if not (number.isascii() and number.isdecimal() and len(number) < 3):
            raise Refused("error.component")
        await self._service.describe(interaction, job, int(number))


async def setup(bot: ImagenBot) -> None:
    describing = Describing(Results.of(bot), ResultPictures.of(bot))
    bot.components.add(DescribeButton(describing), DescribePickSelect(describing))
