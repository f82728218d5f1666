"""/history and /favourites: what a person asked for or kept, and everything to be done with it."""

from bot.chat.client import ImagenBot
from bot.files.thumbnails import Thumbnails
from cogs.details import Details
from cogs.history.command import History
from cogs.history.lists import Lists
from cogs.history.opening import ComparePicked, CompareWithButton, Opening, PickSelect
from cogs.history.sending import SendButton, Showing
from cogs.history.turning import PageButton
from cogs.results import Results


async def setup(bot: ImagenBot) -> None:
    services, backend, results = bot.services, bot.services.backend, Results.of(bot)
    images_dir = backend.settings.images_dir.absolute()
    lists = Lists(results, Thumbnails(images_dir), services.delivery.afterwards)
    details = Details(results, backend)
    opening = Opening(results, services.delivery, details, ComparePicked(results, images_dir))
    await bot.add_cog(History(results, lists))
    bot.components.add(
        PageButton(lists),
        PickSelect(opening),
        CompareWithButton(results, lists),
        SendButton(results, services.delivery, Showing.of(bot)),
    )
