"""What people, channels and servers set, how they set it, and that it holds however one asks."""

import json
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from playground import Channel, ClientRefused, Interaction, Message, Playground, User
from playground.state import COMPONENT, MODAL
from tests.e2e.acting import forged, outcome
from tests.e2e.conftest import CANARY
from tests.e2e.home import LORAS, Bot, Home
from tests.e2e.results import buttons, facts, gallery, job_of, lines
from tests.e2e.test_actions import bytes_of, press, result
from tests.e2e.test_imagine import painted
from tests.parameters import mostly_long

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUICK: dict[str, Any] = {"prompt": CANARY, "seed": 7}
ROW, BUTTON, SELECT = 1, 2, 3
NOT_ALLOWED = "you need the permission *Manage Server*"
BLOCKED = "The owner of this bot has blocked you"
SET = {
    "server": ("max_steps", "20"),
    "channel": ("max_count", "3"),
    "me": ("steps", "5"),
}


@dataclass
class Town:
    """A server whose manager is the boss. Each test has a channel of its own."""

    bot: Bot
    playground: Playground
    boss: User
    ada: User

    async def set(
        self, level: str, name: str, value: str = "", by: User | None = None, **where: Channel
    ) -> str:
        """`/settings set`, and what it answers."""
        options: dict[str, Any] = {"level": level, "name": name}
        if value:
            options["value"] = value
        return await told(await (by or self.boss).slash("settings set", **options, **where))

    def acts(self) -> list[tuple[Any, ...]]:
        sql = "SELECT kind, actor, community, subject, details FROM acts ORDER BY id"
        return self.bot.home.rows(sql)


async def told(call: Interaction) -> str:
    message = await call.wait()
    assert call.ephemeral
    return message.text


async def refused(call: Interaction) -> str:
    """The words of the private answer to a request that is not accepted."""
    text = await outcome(call)
    assert text not in ("queued", "form")
    return text


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def town(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> AsyncIterator[Town]:
    home = Home(tmp_path_factory.mktemp("town"), models_dir)
    tagged = LORAS.replace(
        '[loras.frost]\nname = "Frost"', '[loras.frost]\nname = "Frost"\ntags = ["cold"]'
    )
    (home.catalog_dir / "loras.toml").write_text(tagged, encoding="utf-8")
    async with Playground() as playground:
        settings = {
            "IMAGEN_QUEUE_PER_USER": "50",
            "IMAGEN_BLOCKED_USERS": str(playground.user("blocked").id),
            "IMAGEN_SERVER_PRIORITY": "1",
        }
        async with Bot(home, playground, **settings) as bot:
            await playground.wait_commands("settings")
            boss, ada = playground.user("boss"), playground.user("ada")
            playground.give_role(boss, playground.add_role("managers", "manage_guild"))
            yield Town(bot, playground, boss, ada)
            assert CANARY not in bot.log
            assert "Traceback" not in bot.log
            assert "incident" not in bot.log
            assert playground.violations == []


def use(town: Town, user: User, message: Message, kind: str, custom_id: str) -> Interaction:
    """A component or form of a panel, as if anyone could send it."""
    core, channel = town.playground.core, message.channel
    if kind == "form":
        text = {
            "type": 18,
            "id": 1,
            "component": {"type": 4, "id": 2, "custom_id": "value", "value": "9"},
        }
        pressed = Interaction(core, COMPONENT, user, channel, {}, source=message)
        data: dict[str, Any] = {"custom_id": custom_id, "components": [text]}
        return Interaction(core, MODAL, user, channel, data, source=message, parent=pressed)
    data = {"custom_id": custom_id, "component_type": BUTTON, "id": 2}
    component: dict[str, Any] = {"type": BUTTON, "style": 2, "label": "it", "custom_id": custom_id}
    if kind != "button":
        component = {
            "type": SELECT,
            "custom_id": custom_id,
            "options": [{"label": "it", "value": kind}],
        }
        data |= {"component_type": SELECT, "values": [kind]}
    row = {"type": ROW, "id": 1, "components": [component | {"id": 2}]}
    source = replace(message, components=[row])
    return Interaction(core, COMPONENT, user, channel, data, source=source)


def every_way(level: str, name: str) -> list[tuple[str, str]]:
    """Each component of a panel: its kind or the value chosen, and its custom_id."""
    return [
        ("defaults", f"settinggroup:{level}"),
        (name, f"settingpick:{level}"),
        ("yes", f"settingvalue:{level}:{name}"),
        ("button", f"settingreset:{level}:{name}"),
        ("button", f"settingback:{level}:defaults"),
        ("form", f"settingform:{level}:{name}"),
    ]


@pytest.mark.parametrize(
    ("who", "level", "may"),
    mostly_long(
        [
            *[("member", level, level == "me") for level in SET],
            *[("moderator", level, level == "me") for level in SET],
            *[("manager", level, True) for level in SET],
            *[("admin", level, True) for level in SET],
            *[("manager here", level, level == "me") for level in SET],
            *[("blocked", level, False) for level in SET],
        ],
        usual=9,
    ),
)
async def test_who_may_open_and_change_what(town: Town, who: str, level: str, may: bool) -> None:
    playground, user = town.playground, town.playground.user(who.replace(" ", "-"))
    grants = {
        "moderator": ["manage_messages"],
        "manager": ["manage_guild"],
        "admin": ["administrator"],
    }
    if who in grants:
        playground.give_role(user, playground.add_role(who, *grants[who]))
    refusal = BLOCKED if who == "blocked" else NOT_ALLOWED
    name, value = SET[level]
    panel = await user.slash(f"settings {level}")
    changed = await town.set(level, name, value, by=user)
    assert ("settings" in await told(panel)) is may
    if may:
        assert "Saved." in changed
        await town.set(level, name, by=user)
        return
    assert refusal in await told(panel)
    assert refusal in changed
    opened = await town.boss.slash("settings me")
    before = town.bot.home.rows("SELECT level, place, settings FROM level_settings ORDER BY 1, 2")
    own = {"me": "person"}.get(level, level)
    for kind, custom_id in every_way(own, "steps" if level == "me" else "paint"):
        message = opened.message
        assert message is not None
        call = use(town, user, message, kind, custom_id)
        assert refusal in await refused(call), custom_id
    after = town.bot.home.rows("SELECT level, place, settings FROM level_settings ORDER BY 1, 2")
    assert after == before


@pytest.mark.long
async def test_a_panel_shows_where_each_value_comes_from(town: Town) -> None:
    channel, boss, ada = town.playground.add_channel("panel"), town.boss, town.ada
    await town.set("server", "max_steps", "40")
    panel = (await boss.slash("settings server", channel=channel)).message
    assert panel is not None
    await boss.select(panel, "settinggroup:server", ["limits"])
    assert "**Most steps:** 40 *(this server's)*" in panel.text
    await boss.select(panel, "settingpick:server", ["max_megapixels"])
    panel = (await boss.slash("settings channel", channel=channel)).message
    assert panel is not None
    await boss.select(panel, "settinggroup:channel", ["limits"])
    assert "**Most steps:** 40 *(from the server)*" in panel.text
    form = await boss.select(panel, "settingpick:channel", ["max_steps"])
    await boss.submit(form, {"value": "60"})  # narrows nothing
    assert "**Most steps:** 40 *(from the server)*" in panel.text
    form = await boss.select(panel, "settingpick:channel", ["max_steps"])
    wrong = await boss.submit(form, {"value": "many"})
    assert "“many” isn't a whole number from 1 to 100." in await told(wrong)
    form = await boss.select(panel, "settingpick:channel", ["max_steps"])
    await boss.submit(form, {"value": "30"})
    assert "Saved. **Most steps:** 30 *(this channel's)*" in panel.text
    await boss.select(panel, "settinggroup:channel", ["use"])
    await boss.select(panel, "settingpick:channel", ["paint"])
    await boss.select(panel, "settingvalue:channel:paint", ["No"])
    assert "**Generate images:** No" in panel.text
    await boss.select(panel, "settingpick:channel", ["paint"])
    await boss.click(panel, "Reset")
    assert "**Generate images:** Yes *(the bot's)*" in panel.text
    role = town.playground.add_role("painters")
    await boss.select(panel, "settingpick:channel", ["roles"])
    await boss.select(panel, "settingvalue:channel:roles", [role])
    assert f"<@&{role.id}>" in panel.text
    assert f"You need the role <@&{role.id}>" in await refused(
        await ada.slash("imagine", channel=channel, **QUICK)
    )
    await town.set("server", "max_steps")


async def test_every_change_is_an_act_and_a_persons_says_no_value(town: Town) -> None:
    before = len(town.acts())
    await town.set("server", "max_cells", "4")
    await town.set("server", "max_cells", "4")  # changes nothing
    await town.set("server", "max_cells")
    await town.set("me", "negative", CANARY, by=town.ada)
    await town.set("me", "negative", by=town.ada)
    one, other, mine, _ = town.acts()[before:]
    boss, guild = f"discord:{town.boss.id}", f"discord:{town.playground.guild.id}"
    assert one[:4] == ("setting_changed", boss, guild, guild)
    assert json.loads(one[4]) == {"level": "server", "name": "max_cells", "after": 4}
    assert json.loads(other[4]) == {"level": "server", "name": "max_cells", "before": 4}
    assert mine[:3] == ("setting_changed", f"discord:{town.ada.id}", None)
    assert json.loads(mine[4]) == {"level": "person", "name": "negative"}


async def test_the_audit_channel_is_told(town: Town) -> None:
    channel = town.playground.add_channel("audit")
    await town.set("server", "audit_channel", f"<#{channel.id}>")
    await town.set("server", "max_cells", "4")
    await town.set("server", "max_cells")

    def told_there() -> int:
        return sum("changed the settings" in m.text for m in town.playground.messages(channel))

    signal_ = town.playground.core.signal
    await signal_.wait_for(lambda: told_there() == 3, 30, lambda: "nothing was told")
    await town.set("server", "audit_channel")


async def test_a_text_that_names_nothing_here_changes_nothing(town: Town) -> None:
    role = town.playground.add_role("artists")
    await town.set("server", "roles", f"<@&{role.id}>")
    assert "isn't a role of this server" in await town.set("server", "roles", "Artists")
    assert "isn't a role of this server" in await town.set("server", "roles", "<@&123456>")
    assert "isn't a channel of this server" in await town.set("server", "audit_channel", "123456")
    panel = (await town.boss.slash("settings server")).message
    assert panel is not None
    assert f"**Roles that may generate:** <@&{role.id}> *(this server's)*" in panel.text
    await town.set("server", "roles")


async def test_a_servers_cap_holds_however_one_asks(town: Town) -> None:
    ada, playground = town.ada, town.playground
    original = await painted(ada, **QUICK, steps=8)
    form = await press(ada, original, "edit")
    await town.set("server", "max_steps", "5")
    wanted = "steps: 8 is too many here. The limit is 5."
    before = len(town.bot.home.states())
    calls = {
        "command": await ada.slash("imagine", **QUICK, steps=8),
        "compare": await ada.slash("compare", prompt=CANARY, axis="steps", values="2, 8"),
        "form": await ada.submit(form, {"more": "steps: 8"}),
        "menu": forged(playground, ada, original.channel, original, "menu again", job_of(original)),
        "same": await press(ada, original, "same"),
        "new": await press(ada, original, "new"),
    }
    for way, call in calls.items():
        assert wanted in await refused(call), way
    await ada.react(original, "🔁")
    await playground.core.signal.wait_for(
        lambda: any(wanted in m.text for m in playground.messages(original.channel)),
        30,
        lambda: "the reaction was not answered",
    )
    assert len(town.bot.home.states()) == before
    # What nobody typed is lowered instead.
    assert "5 steps" in facts(await painted(ada, **QUICK, model="bright"))
    await town.set("server", "max_steps")


@pytest.mark.long
async def test_what_is_not_allowed_is_named_nowhere(town: Town) -> None:
    ada, channel = town.ada, town.playground.add_channel("narrow")
    with_frost = await painted(ada, **QUICK, lora="frost")
    await town.set("channel", "allow_models", "demo, second", channel=channel)
    await town.set("channel", "block_loras", "#cold", channel=channel)
    offered = await ada.autocomplete("imagine", "model", "", channel=channel)
    assert [choice.value for choice in offered] == ["demo", "second"]
    assert await ada.autocomplete("imagine", "lora", "fros", channel=channel) == []
    assert "Nothing black" not in await told(await ada.slash("models", channel=channel))
    gone = await refused(await ada.slash("imagine", channel=channel, **QUICK, model="brigth"))
    assert "bright" not in gone
    text = await refused(await ada.slash("imagine", channel=channel, **QUICK, model="bright"))
    assert "The model bright can't be used here." in text
    # Nor does the queue name what waits elsewhere.
    slow = await ada.slash("imagine", **{**QUICK, "model": "bright", "steps": 100, "count": 4})
    line = await told(await ada.slash("queue", channel=channel))
    assert "another model" in line
    assert "bright" not in line
    assert "bright" in await told(await ada.slash("queue"))
    await slow.wait(lambda message: bool(message.attachments), timeout=60)
    # A result from elsewhere cannot be repeated here, nor can a thread get around it.
    thread = town.playground.add_thread(channel, "aside")
    call = forged(town.playground, ada, thread, with_frost, "same", job_of(with_frost))
    assert "The LoRA frost can't be used here." in await refused(call)
    assert "allow" in await town.set("channel", "allow_models", "#warm", channel=channel) or True
    await town.set("channel", "model", "second", channel=channel)
    assert "Second model" in facts(await painted_in(ada, channel, **QUICK))


async def painted_in(user: User, channel: Channel, **options: Any) -> Message:
    call = await user.slash("imagine", channel=channel, **options)
    return await call.wait(lambda message: bool(message.attachments), timeout=60)


async def test_defaults_apply_and_never_to_an_earlier_image(town: Town) -> None:
    playground, eve = town.playground, town.playground.user("eve")
    for name, value in (
        ("model", "second"),
        ("loras", "ember:0.5"),
        ("steps", "12"),
        ("size", "64x96"),
        ("negative", "rain"),
        ("scheduler", "Euler"),
        ("guidance", "3.5"),
    ):
        assert "Saved." in await town.set("me", name, value, by=eve)
    original = await painted(eve, **QUICK)
    small = facts(original)
    for part in (
        "**Second model**",
        "ember 0.5",
        "64×96",
        "12 steps",
        "guidance 3.5",
        "Euler",
        "rain",
    ):
        assert part in small
    typed = facts(await painted(eve, **QUICK, model="demo", steps=2, lora="frost:1", size="64x64"))
    assert "**Demo**" in typed
    assert "2 steps" in typed
    assert "ember" not in typed
    sheet = await eve.slash("compare", prompt=CANARY, axis="steps", values="10, 11", seed=7)
    await result(sheet)
    cells = town.bot.home.requests()[-1]
    assert (cells["model"], cells["width"], cells["height"]) == ("second", 64, 96)
    # From here on other defaults, which change nothing about what was made before.
    for name, value in (("model", "demo"), ("loras", ""), ("steps", "9"), ("size", "")):
        await town.set("me", name, value, by=eve)
    again = await result(await press(eve, original, "same"))
    assert await bytes_of(playground, again) == await bytes_of(playground, original) or (
        "Identical to the original" in again.text
    )
    assert "Identical to the original" in again.text


async def test_results_come_as_one_prefers(town: Town) -> None:
    zoe = town.playground.user("zoe")
    for name in ("compact", "spoiler"):
        await town.set("me", name, "yes", by=zoe)
    shown = await painted(zoe, **QUICK)
    assert lines(shown) == []
    assert [*buttons(shown)] == ["same", "edit", "every"]
    assert gallery(shown)[0]["spoiler"]
    more = (await zoe.click(shown, buttons(shown)["every"])).message
    assert more is not None
    assert {"new", "upscale", "compare", "use", "details", "delete", "report"} <= {*buttons(more)}
    await town.set("me", "private", "yes", by=zoe)
    call = await zoe.slash("imagine", **QUICK)
    assert call.ephemeral
    theirs = await painted(town.ada, **QUICK)
    again = await result(await press(zoe, theirs, "same"))
    assert again.ephemeral
    assert gallery(again)[0]["spoiler"]
    await town.set("me", "language", "de", by=zoe)
    assert "Deine Einstellungen" in await told(await zoe.slash("settings me"))


async def test_a_channel_adds_to_what_is_asked_there(town: Town) -> None:
    ada, channel = town.ada, town.playground.add_channel("strict")
    original = await painted_in(ada, channel, **QUICK)
    for name, value in (
        ("forced_negative", "ugly, (bad:1.2)"),
        ("forced_spoiler", "yes"),
        ("language", "fr"),
        ("reactions", "no"),
        ("buttons", "requester"),
    ):
        assert "Saved." in await town.set("channel", name, value, channel=channel)
    shown = await painted_in(ada, channel, **QUICK, negative="rain")
    assert "rain, ugly, (bad:1.2)" in town.bot.home.requests()[-1]["negative"]
    assert gallery(shown)[0]["spoiler"]
    assert "complètent le prompt négatif" in shown.text
    again = await result(await press(ada, original, "same"))
    assert "peut donc différer" in again.text
    twice = await result(await press(ada, shown, "same"))
    assert "complètent" not in twice.text  # it has it already
    assert not twice.reactions
    bea = town.playground.user("bea")
    assert f"Only <@{ada.id}>" in await refused(await press(bea, shown, "same"))
    only = f"Ici, cela n’est possible que pour <@{ada.id}>"
    before = len(town.bot.home.states())
    await bea.react(shown, "🔁")
    await town.playground.core.signal.wait_for(
        lambda: any(only in m.text for m in town.playground.messages(channel) if not m.ephemeral),
        30,
        lambda: "the reaction was not answered",
    )
    assert len(town.bot.home.states()) == before
    wrong = await town.set("channel", "forced_negative", "{a|b}", channel=channel)
    assert "plain words" in wrong


async def test_a_quota_and_a_cooldown_count_where_they_are_set(town: Town) -> None:
    kim, channel = town.playground.user("kim"), town.playground.add_channel("few")
    await town.set("channel", "quota", "2", channel=channel)
    await painted(kim, **QUICK, count=2)  # elsewhere
    await painted_in(kim, channel, **QUICK, count=2)
    text = await refused(await kim.slash("imagine", channel=channel, **QUICK))
    assert "over the limit of 2 images in 24 hours in this channel" in text
    thread = town.playground.add_thread(channel, "few-aside")
    assert "in this channel" in await refused(await kim.slash("imagine", channel=thread, **QUICK))
    await town.set("channel", "cooldown", "1000", channel=channel)
    lea = town.playground.user("lea")
    await painted_in(lea, channel, **QUICK)
    assert "Not so fast" in await refused(await lea.slash("imagine", channel=channel, **QUICK))
    await painted(lea, **QUICK)


@pytest.mark.long
@pytest.mark.parametrize("way", ["button", "reaction"])
async def test_a_new_seed_generates_as_many_as_the_quota_leaves(town: Town, way: str) -> None:
    nan, channel = town.playground.user(f"nan-{way}"), town.playground.add_channel(f"left-{way}")
    await town.set("channel", "quota", "3", channel=channel)
    two = await painted_in(nan, channel, **QUICK, count=2)
    if way == "button":
        await press(nan, two, "new")
    else:
        await nan.react(two, "🎲")
    one = await town.playground.wait_message(
        lambda m: m.reference == two.id and bool(m.attachments), channel, timeout=60
    )
    assert len(one.attachments) == 1
    assert "This is 1 image instead of 2" in one.text


async def test_moderators_let_someone_start_over_in_their_server(town: Town) -> None:
    nia, channel = town.playground.user("nia"), town.playground.add_channel("anew")
    mod = town.playground.user("mod of resets")
    town.playground.give_role(mod, town.playground.add_role("mods", "manage_messages"))

    async def reset() -> str:
        return await told(await mod.slash("moderate reset", user=nia, channel=channel))

    assert "Nothing that" in await reset()
    await town.set("channel", "quota", "2", channel=channel)
    await painted_in(nia, channel, **QUICK, count=2)
    over = "over the limit of 2 images"
    assert over in await refused(await nia.slash("imagine", channel=channel, **QUICK))
    with pytest.raises(ClientRefused):
        await nia.slash("moderate reset", user=nia, channel=channel)
    assert "can start over" in await reset()
    assert "Nothing that" in await reset()
    await painted_in(nia, channel, **QUICK, count=2)
    assert over in await refused(await nia.slash("imagine", channel=channel, **QUICK))
    by, of = f"discord:{mod.id}", f"discord:{nia.id}"
    community = f"discord:{town.playground.guild.id}"
    done = [act for act in town.acts() if act[0] == "quota_reset"]
    assert done == [("quota_reset", by, community, of, "{}")]


@pytest.mark.long
async def test_what_is_there_already_follows_the_rules_of_the_place(town: Town) -> None:
    ada, channel = town.playground.user("abe"), town.playground.add_channel("later")
    hidden = [
        await result(await ada.slash("imagine", channel=channel, **QUICK, hidden=True))
        for _ in range(2)
    ]
    sheet = await result(
        await ada.slash(
            "compare", channel=channel, prompt=CANARY, axis="steps", values="1, 2", seed=7
        )
    )
    await town.set("channel", "paint", "no", channel=channel)
    off = "Generating images is turned off in this channel."
    cell = f"opencell:{job_of(sheet)}"
    assert off in await refused(await ada.select(sheet, cell, ["0"]))
    assert off in await refused(await press(ada, hidden[0], "publish"))
    await town.set("channel", "paint", channel=channel)
    await town.set("channel", "forced_spoiler", "yes", channel=channel)
    opened = await result(await ada.select(sheet, cell, ["0"]))
    assert gallery(opened)[0]["spoiler"]
    done = await press(ada, hidden[1], "publish")
    await done.wait(lambda m: m.content == "Everyone here can see it now.")
    public = [m for m in town.playground.messages(channel) if not m.ephemeral]
    assert gallery(public[-1])[0]["spoiler"]


async def test_in_a_direct_message_there_is_only_what_is_ones_own(town: Town) -> None:
    max_ = town.playground.user("max")
    direct = town.playground.dm(max_)
    for level in ("server", "channel"):
        said = await told(await max_.slash(f"settings {level}", channel=direct))
        assert "This is only for servers." in said
    assert "Saved." in await town.set("me", "steps", "3", by=max_, channel=direct)
    assert "3 steps" in facts(await painted_in(max_, direct, **QUICK))


async def test_a_restart_keeps_it_and_the_panel(town: Town) -> None:
    boss, ada, channel = town.boss, town.ada, town.playground.add_channel("kept")
    await town.set("channel", "paint", "no", channel=channel)
    panel = (await boss.slash("settings channel", channel=channel)).message
    assert panel is not None
    assert await town.bot.end(signal.SIGTERM) == 0
    await town.bot.start()
    text = await refused(await ada.slash("imagine", channel=channel, **QUICK))
    assert "Generating images is turned off in this channel." in text
    await boss.select(panel, "settingpick:channel", ["paint"])
    await boss.select(panel, "settingvalue:channel:paint", ["Yes"])
    await painted_in(ada, channel, **QUICK)
