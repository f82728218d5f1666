"""Who may act on a result: every action, by each kind of person, from each place."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from playground import Channel, Message, Playground, Role, User
from tests.e2e.acting import AGAIN, ALL, DELETING, LOOKING, MAKING, REPORTING, forged, outcome
from tests.e2e.conftest import CANARY
from tests.e2e.home import LORAS, MODELS, Bot, Home
from tests.e2e.results import buttons, job_of
from tests.e2e.test_imagine import painted
from tests.e2e.test_queue import said
from tests.e2e.test_rights import GATED_LORA, NAMES, SMALL

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]

QUICK: dict[str, Any] = {"prompt": CANARY, "seed": 7}
GONE = "I no longer know this image."
BLOCKED = "The owner of this bot has blocked you"
NO_ROLE = "You need the role"
NOT_ALLOWED = "you need the permissions *Send Messages* and *Use Application Commands*"
GATED = "made for an age-restricted channel"
SHOWN = "can see this already"
FOREIGN = "Only <@{ada}> and moderators can delete this."
NUMBERS = count()
EVERY = {
    **dict.fromkeys(AGAIN, "queued"),
    **dict.fromkeys(("edit", "menu edit", "useas", "partsquares"), "form"),
    **dict.fromkeys(("report", "savepreset"), "form"),
    **dict.fromkeys(("use", "menu use"), "Paint over this image"),
    "variations": "How different should the variations be?",
    "extend": "How should I extend it?",
    "part": "Which part should I repaint?",
    "partform": "queued",
    "editform": "queued",
    "presetform": "Saved.",
    "reportform": "The report has been sent.",
    "details": "Would it be the same today?",
    "publish": SHOWN,
    **dict.fromkeys((*DELETING, "erase"), FOREIGN),
}
"""What a member who did not ask for the result may do."""


@dataclass
class Hall:
    """A server whose members may use the bot. The queue stands still, so that no test waits."""

    bot: Bot
    playground: Playground
    member: Role
    admin: User
    ada: User
    result: Message

    def person(self, name: str) -> User:
        user = self.playground.user(name)
        self.playground.give_role(user, self.member)
        return user

    async def check(
        self,
        user: User,
        expected: dict[str, str],
        *,
        channel: Channel | None = None,
        result: Message | None = None,
        tells: bool = False,
    ) -> None:
        """Each action has the outcome that begins with, or contains, what is expected.

        tells: whether answers may say what was asked for.
        """
        message = result or self.result
        job_id, where = job_of(message), channel or message.channel
        wrong = {}
        for action, wanted in expected.items():
            before = len(self.bot.home.states())
            entered = {"reason": "it shows me"}
            if action == "editform":
                entered = {"prompt": CANARY, "negative": "", "model": "demo", "loras": ""}
                entered["more"] = "seed: 8"
            if action == "partform":
                entered = {"prompt": CANARY, "strength": "0.5"}
            if action == "presetform":
                entered = {"name": f"preset {next(NUMBERS)}", "prompt": CANARY}
            call = forged(self.playground, user, where, message, action, job_id, **entered)
            came = await outcome(call)
            text = wanted.format(ada=self.ada.id)
            if text not in came or (len(self.bot.home.states()) > before) != (came == "queued"):
                wrong[action] = came
            if not tells and came not in ("form", "queued"):
                assert CANARY not in came, action
                assert not [name for name in NAMES if name in came], action
        assert wrong == {}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def hall(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> AsyncIterator[Hall]:
    home = Home(tmp_path_factory.mktemp("hall"), models_dir)
    models = MODELS.replace("nsfw = true", SMALL)
    (home.catalog_dir / "models.toml").write_text(models, encoding="utf-8")
    (home.catalog_dir / "loras.toml").write_text(LORAS + GATED_LORA, encoding="utf-8")
    async with Playground() as playground:
        member, admin = playground.add_role("member"), playground.user("admin")
        playground.give_role(admin, playground.add_role("admin", "administrator"))
        settings = {
            "IMAGEN_ALLOWED_ROLES": str(member.id),
            "IMAGEN_BLOCKED_USERS": str(playground.user("blocked").id),
            "IMAGEN_QUEUE_SIZE": "1000",
            "IMAGEN_QUEUE_PER_USER": "100",
        }
        async with Bot(home, playground, **settings) as bot:
            await playground.wait_commands("queue", "pause", "resume")
            ada = playground.user("ada")
            playground.give_role(ada, member)
            playground.give_role(admin, member)
            result = await painted(ada, **QUICK)
            yield Hall(bot, playground, member, admin, ada, result)
            assert CANARY not in bot.log
            assert "Traceback" not in bot.log
            assert "incident" not in bot.log
            assert playground.violations == []


@pytest_asyncio.fixture(loop_scope="session")
async def paused(hall: Hall) -> AsyncIterator[None]:
    await said(await hall.admin.slash("pause"))
    yield
    await said(await hall.admin.slash("resume"))


async def test_the_requester_may_do_everything(hall: Hall, paused: None) -> None:
    may = EVERY | dict.fromkeys(DELETING, "Delete this image for good? I can't undo that.")
    del may["erase"]
    await hall.check(hall.ada, may, tells=True)


async def test_another_member_may_do_all_but_delete(hall: Hall, paused: None) -> None:
    await hall.check(hall.person("bea"), EVERY, tells=True)


async def test_a_moderator_may_delete_too(hall: Hall, paused: None) -> None:
    mop = hall.person("mop")
    hall.playground.grant(hall.playground.channel, "manage_messages", account=mop)
    whose = f"Delete this image for good? <@{hall.ada.id}> requested it."
    await hall.check(mop, dict.fromkeys(DELETING, whose))


@pytest.mark.parametrize("missing", ["send_messages", "use_application_commands"])
async def test_one_who_could_not_ask_here_may_look_and_report(
    hall: Hall, paused: None, missing: str
) -> None:
    eve = hall.person(f"eve without {missing}")
    hall.playground.deny(hall.playground.channel, missing, account=eve)
    refused = dict.fromkeys((*MAKING, "publish"), NOT_ALLOWED)
    await hall.check(eve, EVERY | refused, tells=True)


async def test_a_blocked_person_may_only_delete_what_is_theirs(hall: Hall) -> None:
    blocked = hall.playground.user("blocked")
    refused = dict.fromkeys((*MAKING, *REPORTING, "details", "publish"), BLOCKED)
    await hall.check(blocked, {**EVERY, **refused})


async def test_one_without_the_role_may_only_report(hall: Hall) -> None:
    newcomer = hall.playground.user("newcomer")
    refused = dict.fromkeys((*MAKING, "details", "publish"), NO_ROLE)
    await hall.check(newcomer, {**EVERY, **refused})


async def test_elsewhere_there_is_no_such_image(hall: Hall) -> None:
    """Ids are in no secret: whoever knows one still sees nothing of what is not shown to them."""
    playground, eve = hall.playground, hall.person("eve elsewhere")
    nothing = dict.fromkeys(ALL, GONE)
    secret = playground.add_channel("secret")
    result = await painted(hall.ada, **QUICK, channel=secret)
    playground.deny(secret, "view_channel", account=eve)
    await hall.check(eve, nothing, channel=playground.channel, result=result)
    other = playground.add_channel("other", playground.add_guild("other server"))
    # There nobody has the role of this server, which is what those who would generate are told.
    making = ("same", "new", "edit", "use", "useas", "editform", "savepreset", "presetform")
    parts = ("extend", "extendby", "part", "partsquares", "partform")
    roleless = (*making, *parts, "variations", "varyby", "details", "publish")
    await hall.check(eve, {**nothing, **dict.fromkeys(roleless, NO_ROLE)}, channel=other)
    looking = dict.fromkeys(("delete", "erase", *REPORTING), GONE)
    await hall.check(eve, looking, channel=playground.dm(eve))


async def test_a_hidden_result_is_only_its_persons(hall: Hall, paused: None) -> None:
    await said(await hall.admin.slash("resume"))
    call = await hall.ada.slash("imagine", **QUICK, hidden=True)
    hidden = await call.wait(lambda m: bool(m.attachments))
    await said(await hall.admin.slash("pause"))
    for person in (hall.person("bea"), hall.admin):
        await hall.check(person, dict.fromkeys(ALL, GONE), result=hidden)
    # What is made of it stays hidden.
    for action in (*AGAIN, "editform"):
        entered = {"prompt": CANARY, "negative": "", "model": "demo", "loras": "", "more": ""}
        pressed = forged(
            hall.playground, hall.ada, hidden.channel, hidden, action, job_of(hidden), **entered
        )
        assert "Only you can see this" in await outcome(pressed)
        assert pressed.ephemeral


async def test_in_a_locked_thread_nothing_is_made(hall: Hall, paused: None) -> None:
    playground, bea = hall.playground, hall.person("bea locked out")
    await said(await hall.admin.slash("resume"))
    thread = playground.add_thread(playground.channel, "to be locked")
    result = await painted(hall.ada, **QUICK, channel=thread)
    await said(await hall.admin.slash("pause"))
    playground.archive(thread)
    await hall.check(
        bea, {"details": EVERY["details"], "same": "queued"}, result=result, tells=True
    )
    playground.archive(thread)
    playground.lock(thread)
    locked = EVERY | dict.fromkeys((*MAKING, "publish"), NOT_ALLOWED)
    await hall.check(bea, locked, result=result, tells=True)


async def test_what_was_made_for_adults_stays_among_them(hall: Hall, paused: None) -> None:
    playground, bea = hall.playground, hall.person("bea of age")
    await said(await hall.admin.slash("resume"))
    room = playground.add_channel("for now", nsfw=True)
    result = await painted(hall.ada, **QUICK, steps=10, model="adults", lora="velvet", channel=room)
    await said(await hall.admin.slash("pause"))
    inside = EVERY | {"editform": "queued"}
    await hall.check(bea, inside, result=result, tells=True)
    refused = dict.fromkeys((*MAKING, "details"), GATED)
    del inside["reportform"]  # reported already
    await hall.check(bea, inside | refused, channel=playground.channel, result=result)
    playground.set_age_restricted(room, False)
    await hall.check(bea, inside | refused, result=result)
    await hall.check(hall.ada, refused, result=result)


async def test_what_comes_again_is_done_once(hall: Hall, paused: None) -> None:
    playground = hall.playground
    for action in ("same", "editform", "menu again", "reportform", "delete"):
        entered = {"prompt": CANARY, "negative": "", "model": "demo", "loras": "", "more": ""}
        entered["reason"] = "again"
        bea = hall.person(f"bea {action}")
        before = len(hall.bot.home.states())
        call = forged(
            playground,
            bea,
            hall.result.channel,
            hall.result,
            action,
            job_of(hall.result),
            **entered,
        )
        await outcome(call)
        for _ in range(2):
            playground.gateway.emit("INTERACTION_CREATE", call.payload(), guild=playground.guild)
        await outcome(forged(playground, bea, hall.result.channel, hall.result, "edit", "nothing"))
        made = len(hall.bot.home.states()) - before
        assert made == (action in ("same", "editform", "menu again"))
        assert hall.bot.log.count(f"interaction {call.id} received again; dropped") == 2


async def test_what_is_in_ones_history_is_ones_own(hall: Hall) -> None:
    """By person and place: a list's menu, ⚖️, 📤 and ⭐."""
    playground, here = hall.playground, hall.playground.channel
    result, secret = await painted(hall.ada, **QUICK), playground.add_channel("hidden away")
    unseen = await painted(hall.ada, **QUICK, channel=secret)
    other = playground.add_channel("next door", playground.add_guild("next server"))
    member, outsider = hall.person("bea of the lists"), hall.person("eve of the lists")
    playground.deny(secret, "view_channel", account=outsider)
    silent, newcomer = hall.person("sil of the lists"), playground.user("new of the lists")
    playground.deny(here, "send_messages", account=silent)
    gone = dict.fromkeys(LOOKING, GONE)
    may = {"historypick": CANARY, "comparewith": "Which one", "keep": "Kept"}
    shown = "Everyone here can see it now."
    table: list[tuple[User, Message, Channel, dict[str, str]]] = [
        (hall.ada, result, here, {**may, "send": shown}),
        (hall.ada, result, secret, {**may, "keep": "no longer", "send": shown}),
        (hall.ada, result, other, {"send": NO_ROLE}),
        (hall.ada, result, playground.dm(hall.ada), {"historypick": CANARY}),
        (member, result, here, {**may, "historypick": GONE, "send": GONE}),
        (member, result, here, {"historypick": CANARY}),  # kept by now
        (member, result, other, {**gone, "send": NO_ROLE}),
        (member, result, playground.dm(member), gone),
        (silent, result, here, {"historypick": GONE, "send": NOT_ALLOWED, "keep": "Kept"}),
        (newcomer, result, here, {"historypick": GONE, "send": NO_ROLE, "keep": "Kept"}),
        (outsider, unseen, here, gone),
        (playground.user("blocked"), result, here, dict.fromkeys(LOOKING, BLOCKED)),
    ]
    for user, message, channel, expected in table:
        await hall.check(user, expected, channel=channel, result=message, tells=True)


@pytest.mark.long
async def test_what_is_shown_again_can_be_reported_and_taken_down(hall: Hall) -> None:
    playground, ada = hall.playground, hall.ada
    away = playground.add_channel("away")
    original = await painted(ada, **QUICK, channel=away)
    bea, mop = hall.person("bea of the gallery"), hall.person("mop of the gallery")
    for user in (bea, mop):
        playground.deny(away, "view_channel", account=user)
    gallery = playground.add_channel("gallery of rights")
    playground.grant(gallery, "manage_messages", account=mop)
    job_id = job_of(original)
    await outcome(forged(playground, ada, gallery, original, "send", job_id))
    [shown] = [m for m in playground.messages(gallery) if not m.ephemeral]
    assert set(buttons(shown)) == {"report", "delete"}
    making = dict.fromkeys((*MAKING, "details"), GONE)
    reporting = {"report": "form", "reportform": EVERY["reportform"]}
    await hall.check(
        bea,
        {**making, **reporting, **dict.fromkeys((*DELETING, "erase"), FOREIGN)},
        result=shown,
    )
    await bea.react(shown, "⭐")
    kept = f"SELECT 1 FROM favourites WHERE person = 'discord:{bea.id}' AND job_id = '{job_id}'"
    await playground.wait_for(lambda: bool(hall.bot.home.rows(kept)))
    assert CANARY in await outcome(await bea.slash("favourites", channel=gallery))
    assert CANARY in await outcome(forged(playground, bea, gallery, shown, "historypick", job_id))
    # From where it is not shown, there is none.
    looking = dict.fromkeys(("delete", "erase", "report"), GONE)
    await hall.check(
        bea, looking, channel=playground.add_channel("x", playground.add_guild("y")), result=shown
    )
    await hall.check(mop, dict.fromkeys(DELETING, "Take this image down here?"), result=shown)
    # Its own copy stays.
    asked = forged(playground, mop, gallery, shown, "delete", job_id)
    await outcome(asked)
    assert asked.message is not None
    done = await mop.click(asked.message, "Delete for good")
    await done.wait(lambda m: m.content == "Deleted.")
    assert shown.deleted
    assert not original.deleted
    await hall.check(mop, looking, channel=gallery, result=original)
