"""Blocked words, however something is asked for, with the real process."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from catalog.wildcard_files import WILDCARDS
from playground import Interaction, Playground, User
from playground.state import COMMAND
from tests.e2e.acting import AGAIN, forged, outcome
from tests.e2e.home import Bot, Home
from tests.e2e.results import job_of
from tests.e2e.test_imagine import painted
from tests.e2e.test_queue import said as said_at_once
from tests.e2e.test_reroll import answer as made_of

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]

OWNERS, SERVERS = "zorkmid", "frobnic"
REFUSED = "it has words that aren't allowed here"
REFUSED_NEGATIVE = "the negative prompt has words that aren't allowed here"
RESTRICTED = "words that are only allowed in age-restricted channels"


async def said(call: Interaction) -> str:
    """The answer, also if it was put off."""

    def text() -> str:
        messages = [message for message in (call.message, *call.followups) if message]
        return next((message.text for message in messages if message.text), "")

    return await call._core.signal.wait_for(text, 30, lambda: f"{call} has no answer")


@dataclass
class Guarded:
    """A server with a list of its own, and the owner's file."""

    bot: Bot
    playground: Playground
    manager: User
    admin: User

    async def block(self, word: str, **options: Any) -> str:
        return await said(await self.manager.slash("words add", word=word, **options))

    async def unblock(self, word: str) -> str:
        return await said(await self.manager.slash("words remove", word=word))

    def write(self, text: str) -> None:
        (self.bot.home.catalog_dir / "blocked_words.txt").write_text(text, encoding="utf-8")

    def jobs(self) -> int:
        return len(self.bot.home.states())


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def guarded(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> Any:
    home = Home(tmp_path_factory.mktemp("guarded"), models_dir)
    folder = home.catalog_dir / WILDCARDS
    folder.mkdir()
    (folder / "coins.txt").write_text("penny\nzorkmid\n", encoding="utf-8")
    async with Playground() as playground:
        manager, admin = playground.user("manager"), playground.user("admin")
        playground.give_role(manager, playground.add_role("manager", "manage_guild"))
        playground.give_role(admin, playground.add_role("admin", "administrator"))
        async with Bot(home, playground, IMAGEN_QUEUE_PER_USER="100") as bot:
            await playground.wait_commands("words", "pause", "resume", "upscale", "compare")
            here = Guarded(bot, playground, manager, admin)
            here.write(f"# the owner's\n{OWNERS}\nreport: watched\n/sn(a|o)rk+/\n")
            assert "is on the list now: Refuse" in await here.block(SERVERS)
            yield here
            assert "Traceback" not in bot.log
            assert "incident" not in bot.log
            for word in (OWNERS, SERVERS, "snork", "watched"):
                assert word not in bot.log.casefold()
            assert playground.violations == []


@pytest_asyncio.fixture(loop_scope="session")
async def paused(guarded: Guarded) -> AsyncIterator[None]:
    assert "Paused" in await said_at_once(await guarded.admin.slash("pause"))
    yield
    await said_at_once(await guarded.admin.slash("resume"))


ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "prompt": ("imagine", {"prompt": f"a {OWNERS}"}),
    "the server's": ("imagine", {"prompt": f"a {SERVERS}"}),
    "pattern": ("imagine", {"prompt": "a sn(or)kk"}),
    "spelt otherwise": ("imagine", {"prompt": "a z\u200bо(r:1.2)kmíd"}),
    "split by a LoRA": ("imagine", {"prompt": "a zork<lora:ember:0.5>mid"}),
    "negative": ("imagine", {"prompt": "a fox", "negative": OWNERS}),
    "alternative": ("imagine", {"prompt": f"a {{fox|{OWNERS}}}"}),
    "wildcard": ("imagine", {"prompt": "a __coins__", "seed": 1}),
    "pasted": (
        "imagine",
        {"prompt": f"a fox\nNegative prompt: {OWNERS}\nSteps: 10, Sampler: Euler a, CFG scale: 7"},
    ),
    "cell": ("compare", {"prompt": "a fox", "axis": "prompt", "values": f"fox, {OWNERS}"}),
    "compared": ("compare", {"prompt": f"a {OWNERS}", "axis": "steps", "values": "4, 5"}),
}

IN_NEGATIVE = {"negative", "pasted"}


@pytest.mark.parametrize("case", ASKED)
async def test_what_is_blocked_is_refused(guarded: Guarded, case: str) -> None:
    jobs = guarded.jobs()
    command, options = ASKED[case]
    told = await said(await guarded.playground.user("ada").slash_options(command, options))
    assert (REFUSED_NEGATIVE if case in IN_NEGATIVE else REFUSED) in told
    assert not [word for word in (OWNERS, SERVERS) if word in told]
    assert guarded.jobs() == jobs


async def test_no_preset_has_a_blocked_word(guarded: Guarded) -> None:
    ada = guarded.playground.user("ada")
    for name, prompt in ((f"my {SERVERS}", "{prompt}"), ("mine", f"{{prompt}}, {OWNERS}")):
        told = await said(await ada.slash("preset save", name=name, prompt=prompt))
        assert REFUSED in told
    assert guarded.bot.home.rows("SELECT * FROM presets") == []


async def test_what_is_blocked_later_is_not_made_again(guarded: Guarded) -> None:
    playground, ada = guarded.playground, guarded.playground.user("ada")
    result = await painted(ada, prompt="a quuxly fox", steps=2)
    assert "on the list now" in await guarded.block("quuxly")
    jobs, job_id = guarded.jobs(), job_of(result)
    for action in AGAIN:
        call = forged(playground, ada, result.channel, result, action, job_id)
        assert REFUSED in await outcome(call), action
    entered = {"prompt": "a quuxly cat", "negative": "", "model": "demo", "loras": "", "more": ""}
    call = forged(playground, ada, result.channel, result, "editform", job_id, **entered)
    assert REFUSED in await outcome(call)
    await ada.react(result, "🔁")
    told = await playground.wait_message(lambda m: REFUSED in m.content)
    assert "quuxly" not in told.content
    assert guarded.jobs() == jobs
    assert "no longer on the list" in await guarded.unblock("quuxly")
    await ada.react(result, "🎲")
    await made_of(playground, result)


async def test_what_is_blocked_while_it_waits_is_not_generated(guarded: Guarded) -> None:
    ada = guarded.playground.user("ada")
    assert "Paused" in await said_at_once(await guarded.admin.slash("pause"))
    call = await ada.slash("imagine", prompt="a blorbly fox")
    restricted = await ada.slash("imagine", prompt="a grumply fox")
    assert "on the list now" in await guarded.block("blorb*")
    assert "on the list now" in await guarded.block(
        "grumply", action="Only in age-restricted channels"
    )
    await said_at_once(await guarded.admin.slash("resume"))
    await call.wait(lambda m: "the blocked words were changed" in m.text)
    told = await restricted.wait(lambda m: "only allowed in age-restricted channels" in m.text)
    assert "grumply" not in told.text
    for word in ("blorb*", "grumply"):
        await guarded.unblock(word)
    states = guarded.bot.home.rows(
        "SELECT state, json_extract(error, '$.code'), (SELECT count(*) FROM images"
        " WHERE job_id = jobs.id) FROM jobs WHERE request LIKE '%blorbly%'"
        " OR request LIKE '%grumply%' ORDER BY created_at"
    )
    assert states == [
        ("failed", "words.changed", 0),
        ("failed", "words.changed_restricted", 0),
    ]


async def test_the_owners_file_is_read_again(guarded: Guarded, paused: None) -> None:
    ada = guarded.playground.user("ada")
    before = (guarded.bot.home.catalog_dir / "blocked_words.txt").read_text(encoding="utf-8")
    guarded.write(before + "wibble\n(not a pattern\n/(neither/\n")
    assert REFUSED in await said(await ada.slash("imagine", prompt="a wibble"))
    guarded.write(before)
    assert REFUSED not in await said(await ada.slash("imagine", prompt="a wibble"))
    assert "line 7: left out (words.pattern_open)" in guarded.bot.log


async def test_a_restricted_word_is_for_age_restricted_channels(
    guarded: Guarded, paused: None
) -> None:
    playground, ada = guarded.playground, guarded.playground.user("ada")
    assert "Only in age-restricted" in await guarded.block(
        "velvety", action="Only in age-restricted channels"
    )
    for channel in (playground.channel, playground.add_thread(playground.channel, "thread")):
        told = await said(await ada.slash("imagine", prompt="velvety", channel=channel))
        assert RESTRICTED in told
    den = playground.nsfw_channel
    for channel in (den, playground.add_thread(den, "below")):
        call = await ada.slash("imagine", prompt="velvety", channel=channel)
        assert "words" not in str(call.message and call.message.text)
    assert "no longer" in await guarded.unblock("velvety")


async def test_a_reported_word_is_told_to_those_who_watch_it(
    guarded: Guarded, paused: None
) -> None:
    ada = guarded.playground.user("ada")
    await guarded.block("mumbly", action="Tell the moderators")
    call = await ada.slash("imagine", prompt="a watched, mumbly fox")
    assert call.message is not None
    rows = guarded.bot.home.rows(
        "SELECT actor, community, subject, json_extract(details, '$.words') FROM acts"
        " WHERE kind = 'words_found' ORDER BY id"
    )
    person, server = f"discord:{ada.id}", f"discord:{guarded.playground.guild.id}"
    job_id = job_of(call.message)
    assert rows == [(person, None, job_id, "watched"), (person, server, job_id, "mumbly")]


async def test_keeping_the_list(guarded: Guarded) -> None:
    manager = guarded.manager
    assert "never closed" in await guarded.block("/(a/")
    assert "too short" in await guarded.block("x")
    assert "isn't on the list" in await guarded.unblock("unheard-of")
    await guarded.block("/fl[ao]mp+/", action="Tell the moderators")
    shown = await said(await manager.slash("words list"))
    assert f"`{SERVERS}` – Refuse" in shown
    assert "`/fl[ao]mp+/` – Tell the moderators" in shown
    assert OWNERS not in shown
    found = await said(await manager.slash("words test", text=f"{{a|flampp}} {OWNERS} __coins__"))
    assert "`/fl[ao]mp+/` – Tell the moderators" in found
    assert "list of this bot's owner – Refuse" in found
    assert OWNERS not in found
    assert "Nothing on the lists" in await said(await manager.slash("words test", text="a fox"))
    choices = await manager.autocomplete("words remove", "word", "FL")
    assert [choice.value for choice in choices] == ["/fl[ao]mp+/"]
    await guarded.unblock("/fl[ao]mp+/")
    rows = guarded.bot.home.rows(
        "SELECT json_extract(details, '$.word'), json_extract(details, '$.added') FROM acts"
        " WHERE kind = 'words_changed' ORDER BY id DESC LIMIT 2"
    )
    assert rows == [("/fl[ao]mp+/", 0), ("/fl[ao]mp+/", 1)]


@pytest.mark.parametrize("command", ["words list", "words add", "words remove", "words test"])
async def test_only_those_who_manage_the_server_keep_it(guarded: Guarded, command: str) -> None:
    """A server may grant the command to anyone."""
    playground, eve = guarded.playground, guarded.playground.user("eve")
    options: dict[str, Any] = {"text": "x"} if "test" in command else {"word": "wobbly"}
    name, sub = command.split()
    given = [
        {"name": key, "type": 3, "value": value}
        for key, value in ({} if sub == "list" else options).items()
    ]
    data = {
        "id": "1",
        "name": name,
        "type": 1,
        "options": [{"name": sub, "type": 1, "options": given}],
    }
    call = Interaction(playground.core, COMMAND, eve, playground.channel, data)
    await call.start()
    told = await said(call)
    assert "you need the permission *Manage Server*" in told
    assert SERVERS not in told


# From here on there are several servers, whose administrators cannot pause the bot.


async def test_each_server_has_its_own_list(guarded: Guarded) -> None:
    playground, bea = guarded.playground, guarded.playground.user("bea")
    other = playground.add_channel("other", playground.add_guild("other server"))
    await painted(bea, prompt=f"a {SERVERS}", steps=2, channel=other)
    told = await said(await bea.slash("imagine", prompt=f"a {OWNERS}", channel=other))
    assert REFUSED in told


async def test_a_long_list_comes_as_a_file(guarded: Guarded) -> None:
    playground = guarded.playground
    other = playground.add_guild("long list")
    channel = playground.add_channel("long", other)
    head = playground.user("head")
    playground.give_role(head, playground.add_role("head", "manage_guild", guild=other))
    for number in range(3):
        word = f"{'abc'[number] * 95}zz"
        for start in "defghij":
            await said(await head.slash("words add", word=start + word, channel=channel))
    call = await head.slash("words list", channel=channel)
    message = await call.wait(lambda m: bool(m.attachments))
    data = await playground.download(message.attachments[0])
    assert data.decode().count("\tRefuse\n") == 21


async def test_a_preset_has_none_of_them_and_hides_none(guarded: Guarded) -> None:
    manager, before = guarded.manager, guarded.jobs()

    async def save(**options: Any) -> str:
        return await said(await manager.slash("preset save", **{"name": "kept", **options}))

    for options in (
        {"name": f"my {OWNERS}", "steps": 20},
        {"prompt": f"{{prompt}} and a {SERVERS}"},
        {"prompt": "{prompt} {a|frob}nic"},
        {"negative": OWNERS},
    ):
        assert REFUSED in await save(**options)
    assert (await save(prompt="{prompt} and dice")).startswith("Saved.")
    # What is blocked since is refused when it is used or shared.
    await guarded.block("dice")
    used = await manager.slash("preset use", name="kept", prompt="a fox")
    assert REFUSED in await said(used)
    assert REFUSED in await said(await manager.slash("preset share", name="kept"))
    await guarded.unblock("dice")
    assert guarded.jobs() == before
