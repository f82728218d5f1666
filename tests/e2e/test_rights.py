"""Who may do what, where: rights are asked where the thing is, and nothing leaves its channel."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from playground import Channel, Message, Playground, User
from playground.rest import reactions
from playground.snowflake import EPOCH_MS
from tests.e2e.conftest import CANARY
from tests.e2e.home import LORAS, MODELS, Bot, Home
from tests.e2e.results import job_of
from tests.e2e.test_imagine import painted
from tests.e2e.test_queue import ask, said
from tests.e2e.test_reroll import answer
from tests.parameters import mostly_long

pytestmark = pytest.mark.asyncio(loop_scope="session")

GATED_LORA = """
[loras.velvet]
name = "Velvet rope"
path = "loras/frost.safetensors"
nsfw = true
[loras.kept]
name = "Kept"
path = "loras/frost.safetensors"
models = ["adults"]
"""

GATED: dict[str, Any] = {"model": "adults", "lora": "velvet"}
SMALL = "nsfw = true\nsize = [64, 64]\nmin_side = 64"


@dataclass
class Town:
    """A server with several channels, a blocked member, an administrator and a newcomer a test."""

    bot: Bot
    playground: Playground
    admin: User
    blocked: User

    @property
    def square(self) -> Channel:
        return self.playground.channel

    @property
    def den(self) -> Channel:
        """The age-restricted channel."""
        return self.playground.nsfw_channel

    def sent_to(self, channel: Channel) -> int:
        """How many messages the bot has asked to send there."""
        path = f"/channels/{channel.id}/messages"
        return len([r for r in self.playground.requests if (r.method, r.path) == ("POST", path)])

    def jobs(self) -> int:
        return len(self.bot.home.states())

    async def settle(self) -> None:
        """Until the bot has handled everything that was sent to it so far."""
        someone = self.playground.user("someone")
        await painted(someone, prompt=CANARY, channel=self.playground.add_channel("elsewhere"))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def town(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> AsyncIterator[Town]:
    home = Home(tmp_path_factory.mktemp("town"), models_dir)
    models = MODELS.replace("nsfw = true", SMALL)
    (home.catalog_dir / "models.toml").write_text(models, encoding="utf-8")
    (home.catalog_dir / "loras.toml").write_text(LORAS + GATED_LORA, encoding="utf-8")
    async with Playground() as playground:
        blocked, admin = playground.user("blocked"), playground.user("admin")
        playground.give_role(admin, playground.add_role("admin", "administrator"))
        async with Bot(home, playground, IMAGEN_BLOCKED_USERS=str(blocked.id)) as bot:
            await playground.wait_commands("queue", "cancel", "pause", "resume")
            yield Town(bot, playground, admin, blocked)
            assert CANARY not in bot.log
            assert "Traceback" not in bot.log
            assert playground.violations == []


@pytest_asyncio.fixture(loop_scope="session")
async def paused(town: Town) -> AsyncIterator[None]:
    await said(await town.admin.slash("pause"))
    yield
    await said(await town.admin.slash("resume"))


async def test_a_blocked_person_gets_no_answer_and_delays_nobody(town: Town) -> None:
    result = await painted(town.admin, prompt=CANARY)
    jobs, sent = town.jobs(), town.sent_to(town.square)
    for _ in range(100):
        await town.blocked.react(result, "🎲")
        await town.blocked.unreact(result, "🎲")
    await town.playground.user("bea").react(result, "🎲")
    await answer(town.playground, result)
    assert town.jobs() == jobs + 1
    assert town.sent_to(town.square) == sent + 1


@pytest.mark.parametrize(
    "missing",
    mostly_long(
        ["send_messages", "use_application_commands", "view_channel", "timed out"], usual=1
    ),
)
async def test_a_reaction_needs_the_rights_of_a_command(town: Town, missing: str) -> None:
    playground, eve = town.playground, town.playground.user(f"eve {missing}")
    result = await painted(town.admin, prompt=CANARY)
    if missing == "timed out":
        playground.time_out(eve)
    else:
        playground.deny(town.square, missing, account=eve)
    jobs, sent = town.jobs(), town.sent_to(town.square)
    # The client may offer it; the bot must not rely on that.
    reactions.add(playground.core, eve, result, "🔁")
    await town.settle()
    assert (town.jobs(), town.sent_to(town.square)) == (jobs + 1, sent)
    if missing == "timed out":
        playground.time_out(eve, 0)
    else:
        playground.allow(town.square, missing, account=eve)
    await eve.unreact(result, "🔁")
    await eve.react(result, "🔁")
    await answer(playground, result)


async def test_where_the_bot_may_not_write_a_reaction_costs_no_request(town: Town) -> None:
    playground, room = town.playground, town.playground.add_channel("mute")
    result = await painted(town.admin, prompt=CANARY, channel=room)
    playground.deny(room, "send_messages")
    jobs = town.jobs()
    await town.admin.react(result, "🔁")
    await town.settle()
    assert (town.jobs(), town.sent_to(room)) == (jobs + 1, 0)


async def test_in_a_thread_the_right_to_send_is_another(town: Town) -> None:
    playground = town.playground
    room = playground.add_channel("with threads")
    thread = playground.add_thread(room, "thread")
    result = await painted(town.admin, prompt=CANARY, channel=thread)
    reader, writer = playground.user("reader"), playground.user("writer")
    playground.deny(room, "send_messages_in_threads", account=reader)
    playground.deny(room, "send_messages", account=writer)
    jobs = town.jobs()
    await reader.react(result, "🔁")
    await writer.react(result, "🔁")
    again = await answer(playground, result)
    await town.settle()
    assert again.mentions == {writer.id}
    assert town.jobs() == jobs + 2


@pytest.mark.long
async def test_a_repeated_reaction_is_one_request(town: Town) -> None:
    playground, bea = town.playground, town.playground.user("bea")
    result = await painted(town.admin, prompt=CANARY)
    jobs = town.jobs()
    resumed = playground.gateway_resumes
    await bea.react(result, "🎲")
    await playground.wait_for(lambda: town.jobs() == jobs + 1)
    # Taken away and added again, it is a new one.
    await bea.unreact(result, "🎲")
    await bea.react(result, "🎲")
    await playground.wait_for(lambda: town.jobs() == jobs + 2)
    # As is another person's, and another reaction.
    await town.admin.react(result, "🎲")
    await bea.react(result, "🔁")
    await town.settle()
    assert town.jobs() == jobs + 5  # one of them by `settle`
    playground.drop_gateway()
    await playground.wait_for(lambda: playground.gateway_resumes > resumed)
    playground.repeat_events(200)
    await town.settle()
    assert town.jobs() == jobs + 6
    reactions.repeat(playground.core, bea, result, "🎲")
    await town.settle()
    assert town.jobs() == jobs + 7


@pytest.mark.long
async def test_a_job_does_not_wait_for_an_acknowledgement_that_discord_holds_up(
    town: Town,
) -> None:
    playground = town.playground
    room = playground.add_channel("crowded")
    result = await painted(town.admin, prompt=CANARY, channel=room)
    playground.set_bucket("POST", rf"^/channels/{room.id}/messages$", limit=1, window=7)
    await town.admin.react(result, "🎲")
    await town.admin.react(result, "🔁")

    def answers() -> list[Message]:
        messages = playground.messages(room)
        return [m for m in messages if m.reference == result.id and m.attachments]

    await playground.wait_for(lambda: len(answers()) == 2, timeout=60)
    again = answers()[-1]
    [(finished,)] = town.bot.home.rows(
        "SELECT finished_at FROM jobs JOIN discord_jobs ON job_id = id"
        f" WHERE message_id = {again.id}"
    )
    acknowledged = (again.id >> 22) + EPOCH_MS
    assert finished < acknowledged
    # The acknowledgement came first all the same, and became the result.
    assert len(again.edits) == 1
    assert town.sent_to(room) == 2


async def test_manage_messages_counts_only_in_its_own_channel(town: Town, paused: None) -> None:
    playground = town.playground
    other = playground.add_channel("other")
    moderator = playground.user("moderator of other")
    playground.grant(other, "manage_messages", account=moderator)
    dora = playground.user("dora")
    here, there = await ask(dora), await ask(dora, channel=other)
    assert here.message is not None
    assert there.message is not None
    mine, theirs = job_of(there.message), job_of(here.message)

    choices = await moderator.autocomplete("cancel", "job", "", channel=other)
    assert [choice.value for choice in choices] == [mine]
    foreign = f"Only <@{dora.id}> and moderators can cancel this one."
    refused = await moderator.slash("cancel", job=theirs, channel=other)
    assert await said(refused) == foreign
    assert await said(await moderator.click(here.message, "Cancel")) == foreign
    # From elsewhere, too, what counts is the job's own channel.
    choices = await moderator.autocomplete("cancel", "job", "", channel=town.square)
    assert [choice.value for choice in choices] == [mine]
    done = await moderator.slash("cancel", job=mine, channel=town.square)
    assert await said(done) == "Cancelled."
    assert await said(await dora.slash("cancel", job=theirs, channel=other)) == "Cancelled."


async def test_what_was_asked_in_a_hidden_channel_stays_hidden(town: Town, paused: None) -> None:
    playground = town.playground
    hidden = playground.add_channel("hidden")
    stranger, insider = playground.user("stranger"), playground.user("insider")
    playground.deny(hidden, "view_channel", account=stranger)
    call = await ask(insider, channel=hidden)
    assert call.message is not None
    job_id = job_of(call.message)

    shown = (await (await stranger.slash("queue")).wait()).embeds[0]["description"]
    assert "someone elsewhere" in shown
    assert str(insider.id) not in shown
    assert str(insider.id) in str((await (await town.admin.slash("queue")).wait()).embeds)
    # For a stranger there is no such job.
    unknown = await said(await stranger.slash("cancel", job=job_id))
    assert unknown == f"There's no job “{job_id}” in the queue."
    # Someone who may manage messages everywhere, but does not see that channel, either.
    mop = playground.user("mop")
    playground.give_role(mop, playground.add_role("mop", "manage_messages"))
    assert [c.value for c in await mop.autocomplete("cancel", "job", "")] == [job_id]
    playground.deny(hidden, "view_channel", account=mop)
    assert await mop.autocomplete("cancel", "job", "") == []
    assert await said(await mop.slash("cancel", job=job_id)) == unknown
    assert await said(await insider.slash("cancel", job=job_id)) == "Cancelled."


NAMES = ("adults", "For adults", "velvet", "Velvet rope")


def check_names_nothing(*texts: object) -> None:
    for text in texts:
        assert not [name for name in NAMES if name in str(text)], text


async def test_names_for_adults_stay_in_age_restricted_channels(town: Town, paused: None) -> None:
    carl, dora = town.playground.user("carl"), town.playground.user("dora")
    call = await ask(carl, model="adults", lora="velvet", channel=town.den)
    own = await ask(dora, channel=town.den)
    assert "adults" in str(call.message)

    seen = await (await dora.slash("queue")).wait()
    assert "an age-restricted model" in seen.text
    check_names_nothing(seen.embeds, await town.admin.autocomplete("cancel", "job", ""))
    inside = await (await dora.slash("queue", channel=town.den)).wait()
    assert "adults" in inside.text
    assert "adults" in str(await town.admin.autocomplete("cancel", "job", "", channel=town.den))

    # A name that someone typed is answered as it was typed.
    refused = await said(await dora.slash("imagine", prompt=CANARY, model="FOR ADULTS"))
    assert refused == "FOR ADULTS is only available in age-restricted channels."
    refused = await said(await dora.slash("imagine", prompt=CANARY, lora="VELVET"))
    assert refused == "The LoRA VELVET is only available in age-restricted channels."
    for option, typed in (("model", "adult"), ("lora", "velvt"), ("lora", "kept"), ("lora", "no")):
        options = {"prompt": CANARY, option: typed}
        check_names_nothing(await said(await dora.slash_options("imagine", options)))
    for command, option in (("imagine", "model"), ("imagine", "lora"), ("loras", "model")):
        for typed in ("", "adult", "velvet", "kept"):
            check_names_nothing(await dora.autocomplete(command, option, typed))
    check_names_nothing(await dora.autocomplete("imagine", "lora", "kept", model="demo"))
    for command in ("models", "loras"):
        check_names_nothing((await (await dora.slash(command)).wait()).components)
    demo = await dora.slash("loras", model="demo")
    check_names_nothing((await demo.wait()).components)
    for mine, person in ((call, carl), (own, dora)):
        assert mine.message is not None
        assert await said(await person.click(mine.message, "Cancel")) == "Cancelled."


async def test_a_picture_of_an_age_restricted_channel_is_posted_in_no_other(town: Town) -> None:
    playground, carl = town.playground, town.playground.user("carl")
    room = playground.add_channel("for now", nsfw=True)
    thread = playground.add_thread(room, "below")
    result = await painted(carl, prompt=CANARY, channel=room, **GATED)
    plain = await painted(carl, prompt=CANARY, channel=room)
    await said(await town.admin.slash("pause"))
    calls = [
        await ask(carl, channel=room, **GATED),
        await ask(carl, channel=room),
        await ask(carl, channel=thread, **GATED),
    ]
    playground.set_age_restricted(room, False)
    await said(await town.admin.slash("resume"))

    def is_told(message: Message) -> bool:
        return "I didn't post it" in message.text

    for call in calls:
        message = await call.wait(is_told)
        assert message.attachments == []
        check_names_nothing(message.embeds)
        assert CANARY not in message.text
    states = town.bot.home.rows(
        "SELECT state, json_extract(error, '$.code'), (SELECT count(*) FROM images"
        " WHERE job_id = jobs.id) FROM jobs ORDER BY rowid DESC LIMIT 3"
    )
    assert states == [("failed", "delivery.lifted", 0)] * 3
    assert playground.dm(carl).messages == {}

    # Nor is what was made there made again, by which names would be said.
    jobs = town.jobs()
    for shown in (result, plain):
        await carl.react(shown, "🔁")
    told = await playground.wait_message(
        lambda m: m.channel is room and "made for an age-restricted channel" in m.content
    )
    check_names_nothing(told.content)
    await town.settle()
    assert town.jobs() == jobs + 1
    playground.set_age_restricted(room, True)
    await carl.react(result, "🎲")
    await answer(playground, result)


@pytest.mark.long
async def test_a_picture_of_an_age_restricted_channel_is_no_direct_message(town: Town) -> None:
    playground, carl = town.playground, town.playground.user("carl")
    room = playground.add_channel("closing", nsfw=True)
    await said(await town.admin.slash("pause"))
    await ask(carl, channel=room, **GATED)
    playground.deny(room, "view_channel")
    playground.expire_interactions()
    await said(await town.admin.slash("resume"))
    direct = playground.dm(carl)
    await playground.wait_for(lambda: direct.messages)
    [message] = direct.messages.values()
    assert message.attachments == []
    check_names_nothing(message.content, message.embeds)
    assert "no longer allowed to post there" in message.text


@pytest.mark.long
async def test_messages_of_waiting_jobs_stop_naming_what_the_channel_may_not_see(
    town: Town, paused: None
) -> None:
    playground, carl = town.playground, town.playground.user("carl")
    room = playground.add_channel("for a while", nsfw=True)
    first, second = [await ask(carl, channel=room, **GATED) for _ in range(2)]
    assert second.message is not None
    assert CANARY in second.message.text
    playground.set_age_restricted(room, False)
    assert first.message is not None
    assert await said(await carl.click(first.message, "Cancel")) == "Cancelled."
    for call in (first, second):
        shown = await call.wait(lambda m: CANARY not in m.text)
        check_names_nothing(shown.embeds)
    assert await said(await carl.click(second.message, "Cancel")) == "Cancelled."
