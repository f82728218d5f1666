"""Acting on results: what is answered in time, and what is kept of a refused form; no Discord."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import create_autospec, patch

import discord
import pytest

from bot.chat.ui.forms.compare import CompareFormId
from bot.chat.ui.forms.edit import EditFormId
from bot.chat.ui.messages import status_embed
from bot.chat.ui.picking import EnlargeId, VaryById
from bot.errors import Refused
from bot.files.inputs import Inputs
from bot.progress import Notice, Progress, Stage
from bot.queue import JobQueue
from bot.queue.limits import Limits
from bot.request import Composed, GenerationRequest
from bot.request.changes import fields_of
from bot.store import Discord, Job, JobState
from catalog import Catalog, LiveCatalog, ModelEntry
from cogs.compare import Compare
from cogs.compare_result import Comparer
from cogs.composing import Composing
from cogs.edit import EditForm, Editor
from cogs.places import postponing
from cogs.result_pictures import ResultPictures
from cogs.results import SETTLED_WITHIN, Results
from cogs.upscale_result import EnlargeSelect
from cogs.vary import VarySelect
from tests.catalog.fixed import Fixed
from tests.chat.delivery.desk import Desk
from tests.chat.delivery.discord_fakes import CHANNEL, Call, http_error
from tests.chat.found import ANYWHERE
from tests.language import TEXTS
from tests.parameters import mostly_long
from tests.queue.lanes import queue_of
from tests.store.factories import in_channel, request

SAY = TEXTS.speaker()
DEMO = Catalog({"demo": ModelEntry(key="demo", name="Demo", path="a/b")}, {}, "demo")
PLAIN = request(adapters=(), width=512, height=512)


class Counting(Fixed):
    """asked: how often it was waited for, which may take half of what Discord allows."""

    asked = 0

    async def knowing(self, *texts: str | None) -> Catalog:
        self.asked += 1
        return self.current


class Pressed:
    """An interaction of the person who asked for the result."""

    def __init__(self, desk: Desk, data: dict[str, Any] | None = None) -> None:
        self._fake = desk.interaction(message_id=desk.world.new_id())
        channel = create_autospec(discord.TextChannel, instance=True)
        channel.is_nsfw = lambda: False
        self.channel, self.permissions = channel, discord.Permissions.all()
        self.user = SimpleNamespace(id=7)
        self.locale, self.guild_id, self.filesize_limit = "en-US", 1, 10_000_000
        self.data = data or {}

    @property
    def response(self) -> Any:
        return self

    async def send_message(self, content: str | None = None, **sent: Any) -> Any:
        return await self._fake.send_message(content=content, **sent)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fake, name)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with Desk.open(tmp_path) as desk:
        yield desk


def results(desk: Desk, limits: Limits | None = None) -> Results:
    return Results(
        texts=TEXTS,
        catalog=cast("LiveCatalog", Counting(DEMO)),
        store=desk.store,
        queue=queue_of(desk.store, limits=limits),
        delivery=desk.delivery,
        contexts=ANYWHERE,
    )


async def shown(
    desk: Desk,
    queue: JobQueue | None = None,
    *,
    hidden: bool = False,
    asked: GenerationRequest = PLAIN,
) -> Job:
    """The job of a result that was asked for in `queue`."""
    line = desk.queue if queue is None else queue
    ticket = await line.accept(in_channel(request=asked, hidden=hidden))
    await desk.delivery.acknowledge(desk.interaction(), ticket)
    await desk.delivery.finished(await desk.painted(ticket.job.id))
    desk.world.calls.clear()
    return await desk.store.job(ticket.job.id)


async def test_a_repetition_waits_for_unread_files_once(desk: Desk) -> None:
    """Waiting twice would leave no time to answer."""
    job, acting = await shown(desk), results(desk)
    await acting.repeat(cast("Any", Pressed(desk)), job, same_seed=False)
    assert cast("Counting", acting.catalog).asked == 1
    assert desk.world.ways() == ["ack"]


async def test_a_message_of_others_is_not_waited_for_longer_than_discord_waits(
    desk: Desk,
) -> None:
    posting, holding = asyncio.Event(), asyncio.Event()

    async def hold(call: Call) -> None:
        if call.way == "interaction":
            posting.set()
            await holding.wait()

    desk.world.before = hold
    job = await desk.asked_and_painted(in_channel(request=PLAIN))
    delivering = asyncio.create_task(desk.delivery.finished(job))
    await posting.wait()
    waited: list[float | None] = []

    async def wait(_: object, *, timeout: float | None = None) -> None:
        waited.append(timeout)

    with patch("bot.chat.delivery.delivery.asyncio.wait", wait):
        ours, theirs = object(), object()
        pressed: Any = Pressed(desk)
        pressed.client = SimpleNamespace(user=ours)
        for author in (theirs, ours):
            message: Any = SimpleNamespace(id=1, author=author)
            assert await results(desk).shown_by(pressed, message) is None
    assert waited == [SETTLED_WITHIN], "only a message of ours may show a result"
    assert SETTLED_WITHIN < 3
    holding.set()
    await delivering


async def test_what_was_postponed_is_not_postponed_again(desk: Desk) -> None:
    pressed = Pressed(desk)
    pressed._fake.deferred = True  # a second answer would be refused
    await postponing(cast("Any", pressed), desk.delivery)()
    assert desk.world.calls == []


async def test_a_cooldown_costs_nothing_that_was_entered(desk: Desk, tmp_path: Path) -> None:
    acting = results(desk, Limits(cooldown=600))
    job = await shown(desk, acting._queue)
    editor = Editor(acting, ResultPictures(desk.store, Inputs(tmp_path / "inputs"), tmp_path), 5)
    entered = replace(fields_of(job.request), prompt="something long")
    names = {name: getattr(entered, name) for name in type(entered).__slots__}
    data = {
        "components": [
            {"type": 18, "component": {"type": 4, "custom_id": name, "value": value}}
            for name, value in names.items()
        ]
    }
    form, custom_id = EditForm(editor), EditFormId(job.id)
    pressed = cast("Any", Pressed(desk, data))
    await form.check(pressed, custom_id)
    await form.use(pressed, custom_id)
    answer = desk.last("ack").sent
    assert answer["ephemeral"]
    assert "Not so fast" in answer["content"]
    [button] = answer["view"].children
    kept = await desk.store.forms.find(button.item.custom_id.split(":")[1], job.person)
    assert kept is not None
    assert kept.fields["prompt"] == "something long"


@pytest.mark.parametrize(
    "value",
    mostly_long(
        ["", "0", "0 crisp", "0 crisp x", "0 crisp nan", "0 gone 2", "1 hires 1.5"], usual=3
    ),
)
async def test_a_way_to_enlarge_that_was_not_offered_is_refused(
    desk: Desk, tmp_path: Path, value: str
) -> None:
    job, acting = await shown(desk), results(desk)
    pictures = ResultPictures(desk.store, Inputs(tmp_path / "inputs"), tmp_path)
    select = EnlargeSelect(acting, pictures, 4)
    with pytest.raises(Refused, match=r"error\.component"):
        await select.use(cast("Any", Pressed(desk, {"values": [value]})), EnlargeId(job.id))
    assert desk.world.calls == []


def component_message(text: str = "Which image?", *, private: bool = True) -> SimpleNamespace:
    """The message of a component: usually a private question."""
    return SimpleNamespace(content=text, flags=discord.MessageFlags(ephemeral=private))


class Picked(Pressed):
    """What was picked as the answer to a private question, where the bot may write or not."""

    def __init__(self, desk: Desk, data: dict[str, Any], *, writes: bool = True) -> None:
        super().__init__(desk, data)
        self.guild, self.channel_id = SimpleNamespace(me=object()), CHANNEL
        may = discord.Permissions(
            read_messages=True, send_messages=writes, attach_files=True, embed_links=True
        )
        self.channel.permissions_for = lambda _: may
        self.message: SimpleNamespace | None = component_message()
        self.deferrals: list[bool] = []
        self.gone = False

    async def defer(self, *, thinking: bool, ephemeral: bool) -> None:
        assert not ephemeral
        self._fake.deferred = True
        self.deferrals.append(thinking)

    async def delete_original_response(self) -> None:
        self.gone = True


async def pick(desk: Desk, acting: Results, tmp_path: Path, picked: Picked, job: Job) -> None:
    """What was picked below the question of ⬆️, or of 🧬."""
    pictures = create_autospec(ResultPictures, instance=True)
    pictures.inputs = Inputs(tmp_path / "inputs")
    if "hires" in picked.data["values"][0]:
        select = EnlargeSelect(acting, pictures, 4)
        await select.use(cast("Any", picked), EnlargeId(job.id))
    else:
        await VarySelect(acting).use(cast("Any", picked), VaryById(job.id))


@pytest.mark.parametrize("varied", [False, True])
async def test_a_second_pass_is_called_an_enlargement(
    desk: Desk, tmp_path: Path, varied: bool
) -> None:
    """Not a new seed, which it has not got, nor variations of what may be one."""
    asked = PLAIN.variations(12, 0.2, 1) if varied else PLAIN
    job, acting = await shown(desk, asked=asked), results(desk)
    await pick(desk, acting, tmp_path, Picked(desk, {"values": ["0 hires 1.5"]}), job)
    (made,) = await desk.store.jobs_in(JobState.PENDING, ("discord",))
    assert made.request.hires is not None
    assert (made.request.base_seed, made.request.mixes) == (asked.base_seed, asked.mixes)
    assert status_embed(SAY, made, Progress(Stage.QUEUED, position=1)).title == "Enlargement"


QUESTIONS = pytest.mark.parametrize("value", ["0 hires 1.5", "0 0.2"], ids=["⬆️", "🧬"])


@QUESTIONS
async def test_what_comes_of_a_private_question_replies_to_the_result(
    desk: Desk, tmp_path: Path, value: str
) -> None:
    """As an answer to the question, Discord would show it as a reply to what nobody can see."""
    job, acting = await shown(desk), results(desk)
    picked = Picked(desk, {"values": [value]})
    await pick(desk, acting, tmp_path, picked, job)
    assert desk.world.ways() == ["send"]
    assert desk.last("send").sent["reference"].message_id == Discord.of(job.origin).message_id
    assert (picked.deferrals, picked.gone) == ([False], True)
    (made,) = await desk.store.jobs_in(JobState.PENDING, ("discord",))
    assert Discord.of(made.origin).message_id == desk.last("send").message_id
    assert await desk.store.messages.token(made.id) is None  # it reaches the question


@QUESTIONS
@pytest.mark.parametrize("hidden", [False, True])
async def test_where_no_message_can_be_posted_the_question_is_answered(
    desk: Desk, tmp_path: Path, value: str, hidden: bool
) -> None:
    job, acting = await shown(desk, hidden=hidden), results(desk)
    picked = Picked(desk, {"values": [value]}, writes=hidden)
    await pick(desk, acting, tmp_path, picked, job)
    assert (desk.world.ways(), picked.gone) == (["ack"], False)


@pytest.mark.parametrize("hidden", [False, True])
async def test_where_the_bot_may_post_is_decided_once(
    desk: Desk, tmp_path: Path, hidden: bool
) -> None:
    """Not anew after the answer was deferred in the one or the other way."""
    job, acting = await shown(desk), results(desk)
    picked = Picked(desk, {"values": ["0 0.2"]}, writes=not hidden)
    await acting.postpone(cast("Any", picked), job)
    may = discord.Permissions.none() if not hidden else discord.Permissions.all()
    picked.channel.permissions_for = lambda _: may
    await pick(desk, acting, tmp_path, picked, job)
    assert picked.gone is not hidden


async def test_what_is_pressed_below_a_private_list_or_result_leaves_it_open(
    desk: Desk, tmp_path: Path
) -> None:
    """As in a history: one goes on reading it."""
    job, acting = await shown(desk), results(desk)
    picked = Picked(desk, {"values": ["0 0.2"]})
    picked.message = component_message("")
    await pick(desk, acting, tmp_path, picked, job)
    assert desk.world.ways() == ["send"]
    assert desk.last("send").sent["content"] == f"<@{picked.user.id}>"
    assert (picked.deferrals, picked.gone) == ([False], False)


@pytest.mark.parametrize("message", [component_message(private=False), None])
async def test_what_is_pressed_below_a_result_is_answered(
    desk: Desk, tmp_path: Path, message: SimpleNamespace | None
) -> None:
    job, acting = await shown(desk), results(desk)
    picked = Picked(desk, {"values": ["0 0.2"]})
    picked.message = message
    await pick(desk, acting, tmp_path, picked, job)
    assert (desk.world.ways(), picked.gone) == (["ack"], False)


@QUESTIONS
async def test_a_channel_that_takes_no_message_is_told_of_and_the_question_stays(
    desk: Desk, tmp_path: Path, value: str
) -> None:
    job, acting = await shown(desk), results(desk)
    picked = Picked(desk, {"values": [value]})
    desk.world.refuse("send", http_error(403, 50013))
    with pytest.raises(Refused, match=r"delivery\.forbidden"):
        await pick(desk, acting, tmp_path, picked, job)
    assert not picked.gone
    assert await desk.store.jobs_in(JobState.PENDING, ("discord",)) == []


async def test_what_a_compared_result_understands_in_another_way_is_told(desk: Desk) -> None:
    job, acting = await shown(desk), results(desk)
    found = Composed(PLAIN, (Notice("dialect.flag.nothing", {"flags": "--chaos"}),))
    fields = {"axis": "steps", "values": "10, 20", "axis2": "", "values2": ""}
    with patch("cogs.compare_result.compare_again", lambda *_, **__: found):
        await Comparer(acting, 4).submit(cast("Any", Pressed(desk)), CompareFormId(job.id), fields)
    (made,) = await desk.store.jobs_in(JobState.PENDING, ("discord",))
    assert (made.kind, made.warnings) == ("compare", found.notes)


@pytest.mark.parametrize("way", ["command", "form"])
async def test_the_cells_of_a_comparison_are_composed_off_the_event_loop(
    desk: Desk, way: str
) -> None:
    job, acting = await shown(desk), results(desk)
    pressed = cast("Any", Pressed(desk))
    threads: list[threading.Thread] = []

    def composing(*_: object, **__: object) -> None:
        threads.append(threading.current_thread())
        raise Refused("model.none")

    with (
        patch("cogs.compare.compare", composing),
        patch("cogs.compare_result.compare_again", composing),
        suppress(Refused),
    ):
        if way == "command":
            cog = Compare(
                acting.catalog,
                desk.queue,
                desk.delivery,
                Composing(acting.catalog, desk.store, 4),
            )
            await cast("Any", Compare.compare.callback)(cog, pressed, "a fox", "steps")
        else:
            fields = {"axis": "steps", "values": "", "axis2": "", "values2": ""}
            await Comparer(acting, 4).submit(pressed, CompareFormId(job.id), fields)
    assert threads
    assert threading.main_thread() not in threads
