"""Previews over the wire: shown during a job, replaced by the result, without effect on it."""

import io
import signal
from typing import Any

import pytest
from PIL import Image

from playground import Message, Playground
from playground.state import Snapshot
from tests.e2e.conftest import CANARY
from tests.e2e.home import Bot, Home, ImpatientBot
from tests.e2e.test_imagine import painted

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]

ASKED: dict[str, Any] = {"prompt": CANARY, "size": "192x128", "steps": 24, "count": 2, "seed": 5}
LONG: dict[str, Any] = {"prompt": CANARY, "size": "256x256", "steps": 50, "seed": 5}


def names(shown: Message | Snapshot) -> list[str]:
    return [attachment.filename for attachment in shown.attachments]


def finished(message: Message) -> bool:
    return any(name.endswith(".png") for name in names(message))


def previewed(message: Message) -> bool:
    return names(message) == ["preview.jpg"]


async def files(playground: Playground, message: Message) -> list[bytes]:
    assert names(message) == ["demo-5-1.png", "demo-6-2.png"]
    return [await playground.download(attachment) for attachment in message.attachments]


@pytest.mark.long
async def test_a_preview_is_shown_and_then_gone_and_changes_no_byte(home: Home) -> None:
    async with Playground() as playground:
        ada = playground.user("ada")
        previewing = ImpatientBot(home, playground, IMAGEN_PREVIEW="true")
        async with previewing:
            call = await ada.slash("imagine", **ASKED)
            message = await call.wait(finished, timeout=90)
            with_previews = await files(playground, message)
            assert not message.embeds

            shown = [edit for _, edit in message.edits if names(edit) == ["preview.jpg"]]
            assert {"Image 1 of 2" in str(edit.embeds) for edit in shown} == {True, False}
            assert len({edit.attachments[0].data for edit in shown}) > 1
            for edit in shown:
                [preview] = edit.attachments
                with Image.open(io.BytesIO(preview.data)) as image:
                    assert (image.format, image.size) == ("JPEG", (256, 171))
                assert CANARY in (preview.description or "")
                assert edit.embeds[0]["image"]["url"] == preview.url

            # A refused one is dropped, and so are those after it; the text goes on.
            usual = playground.attachment_size_limit
            call = await ada.slash("imagine", **ASKED)
            playground.attachment_size_limit = 100
            await playground.wait_for(lambda: any(r.status == 413 for r in playground.requests))
            playground.attachment_size_limit = usual
            plain = await call.wait(finished, timeout=90)
            assert not [edit for _, edit in plain.edits if "preview.jpg" in names(edit)]
            assert [edit for _, edit in plain.edits if "Step " in str(edit.embeds)]
            assert await files(playground, plain) == with_previews

            call = await ada.slash("imagine", **LONG)
            interrupted = await call.wait(previewed, timeout=90)
            assert await previewing.end(signal.SIGTERM) == 0
            assert previewed(interrupted)
            assert CANARY not in previewing.log

        playground.expire_interactions()
        async with Bot(home, playground):  # as in most of these tests, without previews
            await playground.wait_message(
                lambda m: m.id == interrupted.id and finished(m), timeout=90
            )
            assert names(interrupted) == ["demo-5.png"]
            assert not interrupted.embeds
            quiet = await painted(ada, **ASKED)
            assert not [edit for _, edit in quiet.edits if "preview.jpg" in names(edit)]
            assert await files(playground, quiet) == with_previews
        [refused] = playground.violations
        assert "413 40005" in refused
