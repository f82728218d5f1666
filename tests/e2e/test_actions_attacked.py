"""Actions on results when everyone presses at once, things vanish meanwhile, and Discord fails."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from playground import Message, NotAcknowledged, Playground, User
from tests.e2e.acting import answer, forged, outcome
from tests.e2e.conftest import CANARY
from tests.e2e.home import MODELS, Bot, Home, ImpatientBot
from tests.e2e.results import buttons, facts, job_of
from tests.e2e.test_actions import posted, press, result
from tests.e2e.test_imagine import painted
from tests.e2e.test_life import until
from tests.e2e.test_queue import said

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]

QUICK: dict[str, Any] = {"prompt": CANARY, "seed": 7}
ENTERED = {"prompt": CANARY, "negative": "", "model": "demo", "loras": "", "more": "seed: 8"}
STILL_SHOWN = (
    "The files are deleted. I can't take down the message itself any more, so please delete or "
    "dismiss it."
)
DELETED = "This image was deleted."
CALLBACK = r"/interactions/\d+/.*/callback"
ORIGINAL = r"/webhooks/\d+/.*/messages/@original"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bot(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> AsyncIterator[Bot]:
    home = Home(tmp_path_factory.mktemp("attacked"), models_dir)
    async with Playground() as playground:
        admin = playground.user("admin")
        playground.give_role(admin, playground.add_role("admin", "administrator"))
        reports = playground.add_channel("reports")
        settings = {
            "IMAGEN_QUEUE_SIZE": "12",
            "IMAGEN_QUEUE_PER_USER": "5",
            "IMAGEN_REPORT_CHANNEL": str(reports.id),
        }
        async with ImpatientBot(home, playground, **settings) as bot:
            await playground.wait_commands("queue", "pause", "resume")
            yield bot
            assert CANARY not in bot.log
            assert "Traceback" not in bot.log
            assert "incident" not in bot.log
            assert playground.violations == []


@pytest.fixture
def discord(bot: Bot) -> Playground:
    return bot.playground


@pytest.fixture
def ada(discord: Playground, request: pytest.FixtureRequest) -> User:
    return discord.user(f"ada-{request.node.name[:24]}")


def act(discord: Playground, user: User, message: Message, action: str, **entered: str) -> Any:
    """What comes of an action on the result that `message` shows."""
    call = forged(discord, user, message.channel, message, action, job_of(message), **entered)
    return outcome(call)


async def hidden_of(user: User) -> Message:
    call = await user.slash("imagine", **QUICK, hidden=True)
    return await result(call)


@pytest.mark.long
async def test_twenty_presses_at_once_are_all_answered(discord: Playground, ada: User) -> None:
    original = await painted(ada, **QUICK)
    admin = discord.user("admin")
    for crowd, places in (
        ([discord.user("keen")] * 20, 5),
        ([discord.user(f"fan {n}") for n in range(20)], 7),
    ):
        await said(await admin.slash("pause"))
        came = await asyncio.gather(
            *(act(discord, one, original, ("same", "new")[n % 2]) for n, one in enumerate(crowd))
        )
        assert came.count("queued") == places
        told = {text.split(" (")[0] for text in came if text != "queued"}
        assert len(told) == 1, told
        assert told.pop().startswith(("You already have", "The queue is full"))
        looked = await asyncio.gather(*(act(discord, one, original, "details") for one in {*crowd}))
        assert all("Would it be the same today?" in text for text in looked)
    await said(await admin.slash("resume"))
    await until(lambda: discord_is_done(discord), times=600)


def discord_is_done(discord: Playground) -> bool:
    waiting = [m for m in discord.messages(discord.channel) if "Cancel" in m.text]
    return not waiting


@pytest.mark.long
async def test_what_is_done_twice_at_once_is_done_once(discord: Playground, ada: User) -> None:
    hidden = await hidden_of(ada)
    before = len(discord.messages(discord.channel))
    came = await asyncio.gather(*(act(discord, ada, hidden, "publish") for _ in range(5)))
    assert sorted(text.split("\n")[0] for text in came) == [
        *["Everyone can see this already."] * 4,
        "Everyone here can see it now.",
    ]
    shown = [m for m in discord.messages(discord.channel)[before:] if not m.ephemeral]
    assert len(shown) == 1
    assert f"<@{ada.id}>" in shown[0].text
    assert shown[0].mentions == set()

    reports = [act(discord, ada, shown[0], "reportform", reason="bad") for _ in range(5)]
    came = await asyncio.gather(*reports)
    assert sum("has been sent" in text for text in came) == 1

    asked = [await press(ada, shown[0], "delete") for _ in range(3)]
    dialogs = [call.message for call in asked if call.message is not None]
    pressed = await asyncio.gather(*(ada.click(one, "Delete for good") for one in dialogs))
    await until(lambda: sum(one.content == "Deleted." for one in dialogs) == 1)
    await until(lambda: sum(len(call.followups) for call in pressed) == 2)
    assert [one.content for call in pressed for one in call.followups] == [DELETED] * 2
    # It is the published message that went, not the one that only they saw.
    assert shown[0].deleted


async def dialog(user: User, message: Message) -> Message:
    """The question whether the result that `message` shows is to be deleted."""
    asked = await press(user, message, "delete")
    assert asked.message is not None
    return asked.message


async def erase(user: User, message: Message) -> None:
    question = await dialog(user, message)
    await user.click(question, "Delete for good")
    await until(lambda: question.content in ("Deleted.", STILL_SHOWN))


@pytest.mark.long
async def test_a_deletion_races_with_everything_else(
    bot: Bot, discord: Playground, ada: User
) -> None:
    for action in ("same", "new", "editform", "publish", "useas", "details") * 2:
        original = await (hidden_of(ada) if action == "publish" else painted(ada, **QUICK))
        job_id, before = job_of(original), len(discord.messages(discord.channel))
        question = await dialog(ada, original)
        entered = ENTERED if action == "editform" else {}
        came, _ = await asyncio.gather(
            act(discord, ada, original, action, **entered), ada.click(question, "Delete for good")
        )
        assert came
        await until(lambda: question.content in ("Deleted.", STILL_SHOWN))  # noqa: B023
        assert bot.home.rows(f"SELECT deleted_at IS NULL FROM jobs WHERE id = '{job_id}'") == [(0,)]
        assert not list((bot.home.data_dir / "images").glob(f"{job_id}/*"))
        if action == "publish":
            later = discord.messages(discord.channel)[before:]
            assert not [m for m in later if m.attachments and not m.ephemeral]


async def test_after_the_deletion_everything_says_so(discord: Playground, ada: User) -> None:
    original = await painted(ada, **QUICK)
    opened = await press(ada, original, "edit")
    asked = await press(ada, original, "use")
    wrong = await ada.submit(await press(ada, original, "edit"), {"more": "steps: many"})
    report = await press(ada, original, "report")
    await erase(ada, original)
    assert wrong.message is not None
    assert asked.message is not None
    for call in (
        await ada.submit(opened, {}),
        await ada.select(asked.message, f"useas:{job_of(original)}", ["Paint over this image"]),
        await ada.click(wrong.message, "Open the form again"),
        await ada.submit(report, {"reason": "late"}),
    ):
        assert (await said(call)).startswith(DELETED)
    for action in ("same", "new", "details", "delete", "menu again", "menu edit", "publish"):
        assert DELETED in await act(discord, ada, original, action)


async def test_a_job_that_runs_has_no_image_to_act_on(discord: Playground, ada: User) -> None:
    slow = await ada.slash("imagine", prompt=CANARY, size="256x256", steps=50)
    await slow.wait(lambda m: "Step" in m.text, timeout=60)
    assert slow.message is not None
    for action in ("same", "edit", "details", "delete", "erase", "publish", "reportform"):
        assert "There's no image here yet." in await act(discord, ada, slow.message, action)
    await ada.click(slow.message, "Cancel")


@pytest.mark.long
async def test_what_has_vanished_is_named(bot: Bot, discord: Playground, ada: User) -> None:
    original = await painted(ada, **QUICK, model="second")
    file = bot.home.catalog_dir / "models.toml"
    file.write_text(MODELS.replace("[models.second]", "[models.third]"), encoding="utf-8")
    for _ in range(100):
        if await ada.autocomplete("imagine", "model", "third"):
            break
        await asyncio.sleep(0.1)
    came = await act(discord, ada, original, "same")
    assert "second" in came
    opened = await press(ada, original, "edit")
    assert opened.modal is not None
    [model] = [
        label["component"]
        for label in opened.modal["components"]
        if label["component"]["custom_id"] == "model"
    ]
    assert [o["value"] for o in model["options"]] == ["demo", "third", "bright"]
    again = await ada.submit(opened, {"model": ["demo"]})
    assert "seed `7`" in facts(await result(again))
    assert "can't be found any more" in await act(discord, ada, original, "details")
    file.write_text(MODELS, encoding="utf-8")

    # The image that it was painted over, and then the result's own file.
    base = await painted(ada, **QUICK)
    asked = await press(ada, base, "use")
    assert asked.message is not None
    opened = await ada.select(asked.message, f"useas:{job_of(base)}", ["Paint over this image"])
    # A mistake is named before the image is read, with no message that others see.
    wrong = await ada.submit(opened, {"more": "steps: many"})
    assert wrong.acknowledged == 4
    assert "isn't a number" in await said(wrong)
    await ada.submit(opened, {})
    over = await posted(discord, asked.message, base)
    for kept in (bot.home.data_dir / "inputs").glob("*.png"):
        kept.unlink()
    lost = await ada.submit(await press(ada, over, "edit"), {"more": "seed: 9"})
    assert "Open the form again" in str(lost.message)
    for kept in (bot.home.data_dir / "images").glob(f"{job_of(base)}/*"):
        kept.unlink()
    asked = await press(ada, base, "use")
    assert asked.message is not None
    opened = await ada.select(asked.message, f"useas:{job_of(base)}", ["Paint over this image"])
    lost = await ada.submit(opened, {"more": "seed: 9"})
    assert "was deleted to make room" in await told(lost)
    hidden = await hidden_of(ada)
    for kept in (bot.home.data_dir / "images").glob(f"{job_of(hidden)}/*"):
        kept.unlink()
    assert "their files have disappeared" in await act(discord, ada, hidden, "publish")
    with closing(sqlite3.connect(bot.home.database)) as database, database:
        database.execute("UPDATE images SET pruned_at = 1 WHERE job_id = ?", (job_of(base),))
    assert "was deleted to make room" in await act(discord, ada, base, "use")


async def told(call: Any) -> str:
    return (await answer(call)).text


@pytest.mark.parametrize("picked", [[], ["start"], ["start " + "9" * 90], ["end 0"], ["start ²"]])
async def test_a_choice_that_was_never_offered_is_refused(
    discord: Playground, ada: User, picked: list[str]
) -> None:
    original = await painted(ada, **QUICK)
    call = forged(discord, ada, original.channel, original, "useas", job_of(original))
    call.data["values"] = picked
    assert "no longer works" in await outcome(call)


async def test_everyone_is_answered_in_their_own_language(discord: Playground, ada: User) -> None:
    claire, dirk = discord.user("claire", "fr"), discord.user("dirk", "de")
    discord.grant(discord.channel, "manage_messages", account=dirk)
    original = await painted(claire, **QUICK)
    assert await act(discord, ada, original, "edit") == "form"
    form = await press(dirk, original, "edit")
    assert form.modal is not None
    assert form.modal["title"] == "Ändern"
    sent = await dirk.submit(form, {"more": "Farbe: rot"})
    assert "Farbe: rot" in await said(sent)
    assert "Die Zeile" in await said(sent)
    question = await dialog(dirk, original)
    assert question.content.startswith("Dieses Bild endgültig löschen?")
    [button] = buttons(question).values()
    await dirk.click(question, button)
    # What everyone reads is in the language of the one who asked.
    await until(lambda: "supprim" in original.text)


async def test_a_moderator_deletes_in_a_locked_post_of_a_forum(
    discord: Playground, ada: User
) -> None:
    """A note cannot be put there any more, so the message goes."""
    mop, forum = discord.user("mop"), discord.add_forum("forum")
    discord.grant(forum, "manage_messages", "manage_threads", account=mop)
    post = discord.add_post(forum, "a post", "hello", author=ada).channel
    original = await painted(ada, **QUICK, channel=post)
    discord.lock(post)
    await erase(mop, original)
    assert original.deleted


async def test_a_form_full_of_mistakes_comes_back_whole(ada: User) -> None:
    original = await painted(ada, **QUICK)
    nonsense = "\n".join("*_~|" for _ in range(200))
    sent = await ada.submit(await press(ada, original, "edit"), {"more": nonsense})
    assert "I don't understand the line" in await said(sent)
    assert sent.message is not None
    again = await ada.click(sent.message, "Open the form again")
    assert nonsense in str(again.modal).replace("\\n", "\n")


@pytest.mark.long
async def test_what_discord_refuses_is_told_or_left(
    bot: Bot, discord: Playground, ada: User
) -> None:
    original = await painted(ada, **QUICK)
    # A press that is acknowledged too late is painted all the same, and sent to the channel.
    discord.ack_deadline = 0.5
    discord.fail_next("POST", CALLBACK, 404, 10062)
    with pytest.raises(NotAcknowledged):
        await forged(discord, ada, original.channel, original, "same", job_of(original)).start()
    # The bot looks whether another copy of it has answered.
    looked = discord.violations.pop()
    assert "10015" in looked
    sent = await discord.wait_message(lambda m: m.reference == original.id and bool(m.attachments))
    assert sent.mentions == {ada.id}
    # So it is with a form, which the next press opens; a server error is tried again.
    discord.fail_next("POST", CALLBACK, 404, 10062)
    with pytest.raises(NotAcknowledged):
        await forged(discord, ada, original.channel, original, "edit", job_of(original)).start()
    discord.ack_deadline = 3
    discord.fail_next("POST", CALLBACK, 500)
    assert (await press(ada, original, "edit")).modal is not None
    # The message may be gone, and so may the question.
    question = await dialog(ada, original)
    discord.delete_message(original)
    assert original.deleted
    discord.fail_next("PATCH", ORIGINAL, 404, 10008)
    await ada.click(question, "Delete for good")
    await until(lambda: "cannot confirm its deletion" in bot.log)
    assert DELETED in await act(discord, ada, original, "same")


@pytest.mark.long
async def test_a_hidden_result_that_has_expired_is_deleted_all_the_same(
    bot: Bot, discord: Playground, ada: User
) -> None:
    hidden = await hidden_of(ada)
    discord.expire_interactions()
    await erase(ada, hidden)
    assert not list((bot.home.data_dir / "images").glob(f"{job_of(hidden)}/*"))
    # One that came as a direct message goes from there.
    call = await ada.slash("imagine", prompt=CANARY, hidden=True, size="256x256", steps=50)
    await call.wait(lambda m: "Step" in m.text)
    discord.expire_interactions()
    direct = discord.dm(ada)
    await discord.wait_for(lambda: direct.messages, timeout=60)
    [message] = direct.messages.values()
    asked = await press(ada, message, "delete")
    assert asked.message is not None
    await ada.click(asked.message, "Delete for good")
    await asked.wait(lambda m: m.content == "Deleted.")
    assert message.deleted


async def test_a_report_finds_someone(bot: Bot, discord: Playground, ada: User) -> None:
    original = await painted(ada, **QUICK)
    [channel] = [one for one in discord.guild.channels.values() if one.name == "reports"]

    def told(text: str) -> Any:
        return discord.wait_message(lambda m: f"my {text} reason" in m.text)

    async def report(name: str) -> str:
        reason = f"my {name} reason"
        user = discord.user(name)
        return str(await act(discord, user, original, "reportform", reason=reason))

    assert "has been sent" in await report("first")
    assert (await told("first")).channel is channel
    discord.delete_channel(channel)
    owner: Any = discord.core.world.owner
    assert "has been sent" in await report("second")
    assert (await told("second")).channel.recipient is owner
    owner.takes_direct_messages = False
    assert "has been sent" in await report("third")
    await until(lambda: "the owners' channel takes no messages" in bot.log)
    owner.takes_direct_messages = True
    assert "already reported" in await report("third")
