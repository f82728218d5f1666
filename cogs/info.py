"""/info and Image info: how any image was generated, and its settings as a form."""

import asyncio
import contextlib
import logging
from dataclasses import asdict
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import aiohttp
import discord
from discord import app_commands
from discord.ext import commands

from bot.backend import Backend
from bot.chat.client import ImagenBot, Interaction
from bot.chat.errors import sentence
from bot.chat.forms import entered_into, open_form
from bot.chat.here import here_of
from bot.chat.ui.forms.edit import edit_form
from bot.chat.ui.info import (
    FILE_NAME,
    SettingsFormId,
    UseSettingsId,
    info_embed,
    info_file,
    info_view,
)
from bot.errors import InvalidRequest, Refused, UserError
from bot.files.image_info import ImageInfo, read_info
from bot.files.image_info.matching import matches_of
from bot.files.image_info.settings import Usable, fields_of_draft, usable
from bot.files.inputs import BYTES_MAX, CONTENT_TYPES, check_file
from bot.request import compose_with_notes
from bot.request.changes import Fields, draft_of
from bot.store import Job, discord_person, shown_images
from bot.store.forms import Entered
from cogs.edit import best_models
from cogs.places import check_may_repeat
from cogs.results import Results, ServiceComponent

log = logging.getLogger(__name__)

DOWNLOAD_TIMEOUT: Final = 60.0
"""Seconds allowed for fetching one image."""
DOWNLOADS: Final = 4
"""Images fetched and read at the same time: each may take 20 MB of memory, or 150 MB decoded."""
NAMES_READ: Final = 8
"""Models and LoRAs of an image whose files are read first if they have not been yet."""
FIELD: Final = "image"


class ImageInfos:
    """Shows what an image says, and makes a request of it."""

    def __init__(self, results: Results, backend: Backend) -> None:
        self.results = results
        self._backend = backend
        self._reading = asyncio.Semaphore(DOWNLOADS)

    async def of_file(self, interaction: Interaction, attachment: discord.Attachment) -> None:
        """Show that of a given file. Raises InvalidRequest, or Refused if it says nothing."""
        check_file(FIELD, size=attachment.size, content_type=attachment.content_type)
        await interaction.response.defer(ephemeral=True, thinking=True)
        await self._show(interaction, await self._read_from(interaction, attachment.url))

    async def of_message(self, interaction: Interaction, message: discord.Message) -> None:
        """Show that of the first image of a message, ours or not. Raises as `of_file`."""
        job = await self.results.shown_by(interaction, message)
        if job is not None:
            nsfw = here_of(interaction).nsfw
            check_may_repeat(job, self._backend.catalog.current, nsfw=nsfw)
            await interaction.response.defer(ephemeral=True, thinking=True)
            await self._show(interaction, await self._read_kept(job))
            return
        url = _first_image(message)
        if url is None:
            raise Refused("info.no_image")
        await interaction.response.defer(ephemeral=True, thinking=True)
        await self._show(interaction, await self._read_from(interaction, url))

    async def open(self, interaction: Interaction, form_id: str) -> None:
        """Open the form with the settings that were kept. Raises Refused if they are too old."""
        person = discord_person(interaction.user.id)
        found = await self._backend.store.forms.find(form_id, person)
        if found is None or found.of != UseSettingsId.prefix:
            raise Refused("form.gone")
        fields = Fields(**found.fields)
        here = here_of(interaction)
        offered = here.offered(self._backend.catalog.current)
        models = best_models(offered, fields.model, nsfw=here.nsfw)
        await open_form(interaction, edit_form(here.say, SettingsFormId(form_id), fields, models))

    async def submit(self, interaction: Interaction, fields: Fields) -> None:
        """Queue what was entered. A mistake is named, and the form opens again as it was."""
        try:
            draft = draft_of(fields)
            composed = compose_with_notes(
                draft,
                await self.results.offered(interaction, *draft.names),
                nsfw=here_of(interaction).nsfw,
                adapters_max=self._backend.settings.max_adapters,
                hashes=await self._backend.store.known_weights.hashes(*draft.names),
            )
            await self.results.queue(interaction, composed.request, warnings=composed.notes)
        except UserError as error:
            await self._send_back(interaction, fields, error)

    async def _show(self, interaction: Interaction, info: ImageInfo) -> None:
        here = here_of(interaction)
        files = [*filter(None, [info.model]), *info.loras][:NAMES_READ]
        catalog = await self.results.offered(interaction, *(file.name for file in files))
        known = await self._backend.store.known_weights.recent()
        hashes = {key: (weights.sha256, weights.short) for key, weights in known.items()}
        matches = matches_of(info, catalog, hashes, nsfw=here.nsfw)
        most = self._backend.settings.max_adapters
        found: Usable | None = None
        with contextlib.suppress(UserError):  # there is no model to use it with
            found = usable(info, matches, catalog, nsfw=here.nsfw, adapters_max=most)
        say = here.say
        unmapped = found.unmapped if found else ()
        view = discord.utils.MISSING
        if found is not None:
            form_id = await self._keep(interaction, fields_of_draft(found.draft))
            view = info_view(say, form_id)

        def why(error: UserError) -> str:
            return sentence(error, say) or ""

        whole = info_file(say, why, info, unmapped)
        await interaction.followup.send(
            embed=info_embed(say, why, info, matches, unmapped),
            view=view,
            files=[] if whole is None else [discord.File(BytesIO(whole), FILE_NAME)],
            ephemeral=True,
        )

    async def _keep(self, interaction: Interaction, fields: Fields) -> str:
        person = discord_person(interaction.user.id)
        values = {name: str(value) for name, value in asdict(fields).items()}
        return await self._backend.store.forms.keep(person, Entered(UseSettingsId.prefix, values))

    async def _send_back(self, interaction: Interaction, fields: Fields, error: UserError) -> None:
        form_id = await self._keep(interaction, fields)
        await self.results.offer_again(interaction, UseSettingsId(form_id), error)

    async def _read_from(self, interaction: Interaction, url: str) -> ImageInfo:
        async with self._reading:
            return await _read(await _download(interaction.client.http.proxy, url))

    async def _read_kept(self, job: Job) -> ImageInfo:
        images = await self._backend.store.images(job.id)
        there = [image for image in images if image.pruned_at is None]
        kept = next(iter(shown_images(job, there)), None)
        if kept is None:
            raise Refused("action.pruned")
        path: Path = self._backend.settings.images_dir.absolute() / kept.path
        try:
            data = await asyncio.to_thread(path.read_bytes)
        except OSError as error:
            log.warning("job %s: an image cannot be read: %s", job.id, error.strerror)
            raise Refused("action.pruned") from None
        return await _read(data)


class UseSettingsButton(ServiceComponent[UseSettingsId, ImageInfos]):
    ids = UseSettingsId

    async def use(self, interaction: Interaction, custom_id: UseSettingsId) -> None:
        await self._service.open(interaction, custom_id.form_id)


class SettingsForm(ServiceComponent[SettingsFormId, ImageInfos]):
    ids = SettingsFormId

    async def use(self, interaction: Interaction, custom_id: SettingsFormId) -> None:
        fields = Fields(**entered_into(interaction, Fields.__slots__))
        await self._service.submit(interaction, fields)


class Info(commands.Cog):
    def __init__(self, infos: ImageInfos) -> None:
        self._infos = infos

    @app_commands.command(description="command.info.description")
    @app_commands.describe(image="command.info.image")
    async def info(self, interaction: Interaction, image: discord.Attachment) -> None:
        self._infos.results.check_may_use(interaction)
        await self._infos.of_file(interaction, image)


async def _read(data: bytes) -> ImageInfo:
    info = await asyncio.to_thread(read_info, data, FIELD)
    if info is None:
        raise Refused("info.nothing")
    return info


async def _download(proxy: str | None, url: str) -> bytes:
    """At most BYTES_MAX bytes. Raises InvalidRequest if there are more, or it cannot be fetched."""
    data = bytearray()
    try:
        async with (
            asyncio.timeout(DOWNLOAD_TIMEOUT),
            aiohttp.ClientSession() as session,
            session.get(url, proxy=proxy, allow_redirects=False) as answer,
        ):
            if answer.status != HTTPStatus.OK:
                log.warning("cannot download an image: status %d", answer.status)
                raise InvalidRequest(FIELD, "picture.unreachable")
            async for chunk in answer.content.iter_any():
                data += chunk
                if len(data) > BYTES_MAX:
                    break
    except (aiohttp.ClientError, OSError, ValueError) as error:
        log.warning("cannot download an image: %s", type(error).__name__)
        raise InvalidRequest(FIELD, "picture.unreachable") from error
    check_file(FIELD, size=len(data))
    return bytes(data)


def _first_image(message: discord.Message) -> str | None:
    """Where Discord keeps the first image of a message.

    Only what was uploaded with the message: a link in an embed or a gallery is somebody's server.
    """
    for attachment in message.attachments:
        if attachment.content_type in CONTENT_TYPES:
            check_file(FIELD, size=attachment.size)
            return attachment.url
    found = (media for part in message.components for media in _media(part))
    return next((media.url for media in found if media.attachment_id is not None), None)


def _media(part: Any) -> list[discord.UnfurledMediaItem]:
    """The images of a component, also of those within it."""
    if isinstance(part, discord.MediaGalleryComponent):
        return [item.media for item in part.items if item.media.content_type in CONTENT_TYPES]
    inside = getattr(part, "children", ())
    return [media for each in inside for media in _media(each)]


def image_infos_of(bot: ImagenBot) -> ImageInfos:
    return ImageInfos(Results.of(bot), bot.services.backend)


async def setup(bot: ImagenBot) -> None:
    infos = image_infos_of(bot)
    bot.components.add(UseSettingsButton(infos), SettingsForm(infos))
    await bot.add_cog(Info(infos))
