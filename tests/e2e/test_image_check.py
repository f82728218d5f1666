"""The image check, with the real process: who gets to see what."""

from pathlib import Path

import pytest

from playground import File, Playground
from tests.e2e.conftest import CANARY
from tests.e2e.home import Bot, Home
from tests.e2e.results import job_of
from tests.e2e.test_actions_attacked import QUICK, dialog
from tests.e2e.test_imagine import painted
from tests.e2e.test_pictures import picture
from tests.engine.safety import FOLDER, build, pictures

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]

REASON = "may not be for everyone"


def flag_everything(home: Home, folder: Path) -> None:
    """Set up a checker that does."""
    bad, good = pictures()
    build(folder, bad=bad, good=good, everything=True)
    with (home.catalog_dir / "models.toml").open("a", encoding="utf-8") as file:
        file.write(f'[image_check]\npath = "{folder}"\nfolder = "{FOLDER}"\n')


async def test_what_is_flagged_is_for_its_person_alone(home: Home, tmp_path: Path) -> None:
    flag_everything(home, tmp_path / "checker")
    more = {"IMAGEN_IMAGE_CHECK": "private", "IMAGEN_PREVIEW": "true"}
    async with Playground() as discord, Bot(home, discord, **more) as bot:
        ada, direct = discord.user("ada"), discord.dm(discord.user("ada"))
        call = await ada.slash("imagine", steps=60, size="256x256", **QUICK)
        public = await call.wait(lambda m: REASON in m.content)
        assert f"<@{ada.id}>" in public.content
        assert (public.embeds, public.attachments, public.components) == ([], [], [])
        await discord.wait_for(lambda: direct.messages, timeout=60)
        [private] = direct.messages.values()
        assert private.attachments
        assert REASON in private.text
        assert not any(
            part.attachments for part in discord.messages(discord.channel) if part is not private
        )
        job_id = job_of(private)
        # It is gone for good when its person says so; the channel never showed it.
        await ada.click(await dialog(ada, private), "Delete for good")
        await discord.wait_for(lambda: private.deleted, timeout=60)
        assert not list((bot.home.data_dir / "images").glob(f"{job_id}/*"))
        # Where there is an age restriction, nothing is checked.
        shown = await painted(ada, channel=discord.nsfw_channel, **QUICK)
        assert shown.attachments
        # One whom nothing can be sent to is told why, where everyone is.
        ada.takes_direct_messages = False
        call = await ada.slash("imagine", **QUICK)
        refused = await call.wait(lambda m: "can't send you direct messages" in m.text)
        assert not refused.attachments
        assert CANARY not in bot.log
        assert discord.violations == []

        bot.settings["IMAGEN_IMAGE_CHECK"] = "refuse"
        await bot.end()
        await bot.start()
        call = await ada.slash("imagine", **QUICK)
        failed = await call.wait(lambda m: "isn't for everyone, so I didn't keep it" in m.text)
        assert not failed.attachments
        call = await ada.slash("imagine", image=File("a.png", picture()), **QUICK)
        told = await call.wait_followup()
        assert told.ephemeral
        assert "so I can't use it here" in told.text
        assert not list((bot.home.data_dir / "inputs").glob("*.png"))
