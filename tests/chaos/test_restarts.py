"""Jobs that end the process are tried again alone, then given up, and the others go on."""

import signal
from pathlib import Path

import pytest

from playground import Message, Playground, User
from tests.chaos.harness import LONG, ChaosHome, LightBot, until
from tests.parameters import mostly_long

pytestmark = pytest.mark.long


RED = 0xE74C3C


def failed(message: Message) -> bool:
    return bool(message.embeds) and message.embeds[0].get("color") == RED


async def test_a_job_that_kills_the_process_twice_is_given_up_and_the_rest_goes_on(
    bot: LightBot, home: ChaosHome, playground: Playground, ada: User
) -> None:
    poison = await ada.slash("imagine", prompt="kill the process", steps=10)
    fine = await playground.user("bob").slash("imagine", prompt="x")
    assert await bot.wait() == -signal.SIGABRT
    await playground.wait_offline()
    await bot.start(online=False)
    assert await bot.wait() == -signal.SIGABRT
    assert home.states()[0] == "running"
    assert home.states()[1] in ("done", "delivered"), "the other went first"
    await playground.wait_offline()
    await bot.start()
    message = await poison.wait(failed)
    assert "I kept crashing on this one" in message.text
    await fine.wait(lambda m: bool(m.attachments))
    await until(lambda: home.states() == ["failed", "delivered"])
    figures = await bot.figures()
    assert figures['imagen_failures_total{reason="job.died"}'] == 1
    assert await bot.end() == 0


@pytest.mark.parametrize(
    ("prompt", "said", "logged"),
    mostly_long(
        [
            ("lose the device", "The GPU kept failing on this one", "device-side assert"),
            ("hang", "I kept getting stuck on this one", "a step takes longer than"),
        ],
        usual=1,
    ),
)
async def test_a_process_that_cannot_paint_any_more_starts_itself_anew(
    home: ChaosHome, playground: Playground, ada: User, prompt: str, said: str, logged: str
) -> None:
    async with LightBot(home, playground, CHAOS_WATCHES_CLOSELY="yes") as bot:
        poison = await ada.slash("imagine", prompt=prompt, steps=10)
        fine = await playground.user("bob").slash("imagine", prompt="x")
        message = await poison.wait(failed)
        assert said in message.text
        await fine.wait(lambda m: bool(m.attachments))
        assert home.rows("SELECT crashes, own_crashes FROM jobs") == [(2, 2), (0, 0)]
        assert logged in bot.log
        assert await bot.end() == 0  # it is still the process that the test started
    assert home.states() == ["failed", "delivered"]
    assert "Traceback" not in bot.log


@pytest.mark.long
async def test_an_event_loop_that_stands_still_does_not_stay_so(
    home: ChaosHome, playground: Playground, ada: User, tmp_path: Path
) -> None:
    mark = tmp_path / "stood still"
    async with LightBot(home, playground, CHAOS_STANDS_STILL_ONCE=str(mark)) as bot:
        await playground.wait_for(lambda: playground.gateway_identifies == 2, timeout=LONG)
        await playground.wait_online()
        call = await ada.slash("imagine", prompt="x")
        await call.wait(lambda m: bool(m.attachments))
        assert "the event loop is blocked" in bot.log
        assert "time.sleep(3600)" in bot.log, "it says where"
        assert await bot.end() == 0


async def test_under_a_supervisor_it_ends_with_75(
    home: ChaosHome, playground: Playground, ada: User
) -> None:
    async with LightBot(home, playground, IMAGEN_RESTART="false") as bot:
        await ada.slash("imagine", prompt="lose the device", steps=10)
        assert await bot.wait() == 75
    assert home.rows("SELECT state, crashes, lost_to FROM jobs") == [("pending", 1, "device")]


@pytest.mark.long
async def test_past_its_deadline_a_job_ends_and_many_steps_have_more_time(
    home: ChaosHome, playground: Playground, ada: User
) -> None:
    """A step takes at least 0.02 s, and 100 of them have no more time than one."""
    async with LightBot(home, playground, IMAGEN_JOB_TIMEOUT="0.9") as bot:
        late = await ada.slash("imagine", prompt="x", steps=100)
        message = await late.wait(failed)
        assert "This took longer than 1 second, so I stopped" in message.text
        # The same steps, but four images and their second passes count too.
        long = await ada.slash("imagine", prompt="x", steps=100, count=4, hires=2.0)
        await long.wait(lambda m: bool(m.attachments))
        assert await bot.end() == 0


@pytest.mark.long
async def test_the_first_gateway_handshake_may_fail(
    home: ChaosHome, playground: Playground, ada: User
) -> None:
    playground.refuse_gateway_next()
    async with LightBot(home, playground) as bot:
        call = await ada.slash("imagine", prompt="x")
        await call.wait(lambda m: bool(m.attachments))
        await until(lambda: home.states() == ["delivered"])
        assert await bot.end() == 0


@pytest.mark.long
async def test_while_the_gateway_is_silent_it_can_be_stopped_and_starts_anew(
    bot: LightBot, home: ChaosHome, playground: Playground, ada: User
) -> None:
    """During a reconnection discord.py swallows the cancellation."""

    async def reconnecting() -> None:
        playground.silence_gateway()
        playground.drop_gateway()
        await playground.wait_for(lambda: bool(playground.gateway.connections))

    for prompt in ("x", "lose the device"):
        await ada.slash("imagine", prompt=prompt, steps=50)
    await reconnecting()
    assert await bot.end() == 0
    assert home.rows("SELECT state, crashes FROM jobs") == [("pending", 0)] * 2

    playground.silence_gateway(silent=False)
    await bot.start()
    await reconnecting()
    await until(lambda: "this process has to end" in bot.log)
    playground.silence_gateway(silent=False)
    await until(lambda: home.states() == ["delivered", "failed"])
    assert await bot.end() == 0


@pytest.mark.long
async def test_what_needs_too_much_memory_can_be_tried_lighter(
    bot: LightBot, home: ChaosHome, playground: Playground, ada: User
) -> None:
    call = await ada.slash("imagine", prompt="too large", size="1536x1024", seed=5)
    message = await call.wait(failed)
    [button] = [
        each for each in message.components[0]["components"] if each["label"].startswith("Try at 1")
    ]
    stranger = await playground.user("bob").click(message, button["custom_id"])
    assert stranger.ephemeral
    assert "Only the person who requested this" in stranger.message.content  # type: ignore[union-attr]
    again = await ada.click(message, button["custom_id"])
    result = await again.wait(lambda m: bool(m.attachments))
    assert result.id != message.id
    assert "`5`" in result.text
    assert playground.violations == []
    assert "Traceback" not in bot.log


@pytest.mark.long
async def test_kills_from_outside_cost_nobody_an_image(
    bot: LightBot, home: ChaosHome, playground: Playground
) -> None:
    """24 jobs, while someone kills the process eight times, each time in the middle of one."""
    calls = [
        await playground.user(f"user-{n % 6}").slash("imagine", prompt="x", steps=25, seed=n)
        for n in range(24)
    ]
    hits = 0
    for _ in range(8):
        finished = len([state for state in home.states() if state == "delivered"])
        await until(lambda: "running" in home.states())
        # In the middle of one, and of another than the last time.
        await until(lambda: home.states().count("delivered") > finished)  # noqa: B023
        await until(lambda: "running" in home.states())
        await bot.end(signal.SIGKILL)
        hits += home.states().count("running")
        await bot.start()
    for call in calls:
        await call.wait(lambda m: bool(m.attachments), timeout=120)
    await until(lambda: home.states() == ["delivered"] * 24)
    assert hits == 8
    assert home.rows("SELECT max(own_crashes) FROM jobs") == [(0,)]
    assert await bot.end() == 0


@pytest.mark.long
async def test_one_that_is_alone_survives_some_kills(
    bot: LightBot, home: ChaosHome, playground: Playground, ada: User
) -> None:
    call = await ada.slash("imagine", prompt="x", steps=100)
    for _ in range(3):
        await until(lambda: home.states() == ["running"])
        await bot.end(signal.SIGKILL)
        await bot.start()
    await call.wait(lambda m: bool(m.attachments))
    await until(lambda: home.states() == ["delivered"])


@pytest.mark.long
async def test_one_that_leaves_no_trace_is_given_up_in_the_end(
    bot: LightBot, home: ChaosHome, playground: Playground, ada: User
) -> None:
    """As when it makes the system run out of memory."""
    poison = await ada.slash("imagine", prompt="run out of memory", steps=10)
    bob = playground.user("bob")
    fine = [await bob.slash("imagine", prompt="x", seed=n) for n in range(2)]
    for crashes in range(1, 5):
        assert await bot.wait() == -signal.SIGKILL
        await playground.wait_offline()
        assert home.rows("SELECT crashes FROM jobs WHERE state = 'running'") == [(crashes - 1,)]
        await bot.start(online=crashes == 4)
    message = await poison.wait(failed)
    assert "I kept crashing on this one" in message.text
    for call in fine:
        await call.wait(lambda m: bool(m.attachments))
    await until(lambda: home.states() == ["failed", "delivered", "delivered"])


@pytest.mark.long
async def test_a_stop_that_is_cut_short_blames_nobody(
    home: ChaosHome, playground: Playground, ada: User
) -> None:
    """As by a supervisor that gives a process too little time."""
    async with LightBot(home, playground) as bot:
        call = await ada.slash("imagine", prompt="hang", steps=10)
        await call.wait(lambda m: "Step 2" in m.text)
        bot.send(signal.SIGTERM)
        await until(lambda: "stopping" in bot.log)
        told = "SELECT value FROM settings WHERE key = 'starts'"
        await until(lambda: home.rows(told) == [("[]",)])
        await bot.end(signal.SIGKILL)
        assert home.states() == ["running"]
        await bot.start()
        await until(lambda: home.rows("SELECT attempt FROM jobs") == [(2,)])
        assert home.rows("SELECT crashes FROM jobs") == [(0,)]
