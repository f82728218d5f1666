"""/preset and the owner's styles, through the real process."""

import signal
from typing import Any

import pytest

from playground import Interaction, Message, Playground, User
from tests.e2e.conftest import CANARY
from tests.e2e.home import Bot, Home
from tests.e2e.results import facts
from tests.e2e.test_actions import press, result
from tests.e2e.test_imagine import painted
from tests.e2e.test_life import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUICK: dict[str, Any] = {"prompt": CANARY, "seed": 7}


def told(call: Interaction) -> str:
    """The private answer."""
    assert call.message is not None
    assert call.message.ephemeral
    return call.message.content


async def save(user: User, name: str, **options: Any) -> str:
    return told(await user.slash("preset save", name=name, **options))


async def listed(user: User, channel: Any = None, **options: Any) -> str:
    call = await user.slash("preset list", channel=channel, **options)
    assert call.message is not None
    [embed] = call.message.embeds
    fields = [f"{field['name']}\n{field['value']}" for field in embed.get("fields", [])]
    return "\n".join([embed.get("description", ""), *fields])


async def offered(user: User, typed: str = "", channel: Any = None) -> list[str]:
    found = await user.autocomplete("imagine", "preset", typed, channel=channel, model="demo")
    return [str(choice.value) for choice in found]


@pytest.fixture
def manager(playground: Playground, ada: User) -> User:
    user = playground.user(f"mia-{ada.id}")
    playground.give_role(user, playground.add_role(f"m{ada.id}", "manage_guild"))
    return user


async def test_one_is_saved_from_values_and_used_in_three_ways(
    shared: Bot, playground: Playground, ada: User
) -> None:
    values: dict[str, Any] = {"lora": "ember:0.5", "steps": 10, "model": "second"}
    said = await save(ada, "Moódy", prompt="{prompt} in the {rain|rain}", negative="sun", **values)
    assert said.startswith("Saved. Use **Moódy** as preset of </imagine:")
    # Fewer steps than the model takes: named at once, and nothing is kept.
    wrong = await save(ada, "wrong", steps=500)
    assert wrong.startswith("steps: 500 won't work.")

    other = playground.add_channel(f"other-{ada.id}")
    call = await ada.slash("preset use", channel=other, name="moody", prompt=CANARY, seed=7)
    used = await result(call)
    assert "**Second model** · ember 0.5 · 10 steps" in facts(used)
    stored = shared.home.requests()[-1]
    assert (stored["prompt"], stored["negative"]) == (f"{CANARY} in the rain", "sun")
    assert stored["preset"] is None
    # In direct messages as well, where there is no server to share with.
    direct = playground.dm(ada)
    again = await ada.slash("preset use", channel=direct, name="moody", prompt=CANARY, seed=7)
    assert facts(await result(again)) == facts(used)
    nobody = await ada.slash("preset share", channel=direct, name="moody")
    assert told(nobody) == "A preset can only be shared in a server."
    # What is typed counts for more, and another preset can be added.
    mixed = await painted(ada, **QUICK, preset="MOODY, misty", steps=12, lora="frost:0.4")
    assert "frost 0.4 · 12 steps" in facts(mixed)
    stored = shared.home.requests()[-1]
    assert stored["prompt"] == f"{CANARY} in the rain in thick fog"
    assert stored["negative"] == "sun, sun"

    assert "no LoRA called “embr”" in await save(ada, "wrong", lora="embr")

    # A preset that is changed later changes no earlier image.
    await save(ada, "moody", steps=4, replace=True)
    repeated = await result(await press(ada, used, "same"))
    assert "Identical to the original, byte for byte" in repeated.text
    assert "no preset called “mooody”. Did you mean moody" in told(
        await ada.slash("imagine", **QUICK, preset="mooody")
    )
    sheet = await ada.slash(
        "compare", **QUICK, axis="steps", values="2, 3", preset="misty", size="64x64"
    )
    assert "fog" in (await result(sheet)).text


async def test_one_is_saved_from_a_result_and_mistakes_can_be_mended(
    shared: Bot, playground: Playground, ada: User
) -> None:
    original = await painted(
        ada, prompt=f"{CANARY} {{a|a}} \\{{x\\}}", lora="ember:0.5", seed=7, steps=5, size="96x64"
    )
    bea = playground.user(f"bea-{ada.id}")
    form = await press(bea, original, "savepreset")
    assert form.modal is not None
    shown = {one["component"]["custom_id"]: one["component"] for one in form.modal["components"]}
    assert shown["prompt"]["value"] == f"{CANARY} {{a|a}} \\{{x\\}}"
    chosen = [o["value"] for o in shown["parts"]["options"] if o.get("default")]
    assert chosen == ["model", "loras", "negative", "size", "sampling", "hires"]

    bad = {"name": "Fast", "prompt": "{prompt}, dusk", "parts": ["loras", "size", "sampling"]}
    refused = await bea.submit(form, bad)
    assert "“Fast” is a preset of the models" in told(refused)
    assert refused.message is not None
    form = await bea.click(refused.message, "Open the form again")
    assert form.modal is not None
    kept = {one["component"]["custom_id"]: one["component"] for one in form.modal["components"]}
    assert kept["prompt"]["value"] == "{prompt}, dusk"
    assert [o["value"] for o in kept["parts"]["options"] if o.get("default")] == bad["parts"]
    assert told(await bea.submit(form, {"name": "Dusk"})).startswith("Saved. Use **Dusk**")

    taken = await bea.submit(form, {"name": "dusk", "parts": ["size"]})
    assert "already have a preset called “dusk”" in told(taken)
    assert taken.message is not None
    form = await bea.click(taken.message, "Open the form again")
    replaced = await bea.submit(form, {"replace": ["replace"], "parts": bad["parts"]})
    assert told(replaced).startswith("Saved. Use **dusk** as preset of </imagine:")

    used = await painted(bea, **QUICK, preset="dusk", lora="frost:0.4")
    stored = shared.home.requests()[-1]
    assert stored["prompt"] == f"{CANARY}, dusk"
    assert (stored["width"], stored["height"], stored["steps"]) == (96, 64, 5)
    assert "frost 0.4" in facts(used)
    assert "ember" not in facts(used)
    # It is Bea's alone.
    assert "no preset called “dusk”" in told(await ada.slash("imagine", **QUICK, preset="dusk"))
    assert "You have no preset called “dusk”." in told(
        await ada.slash("preset delete", name="dusk")
    )


async def test_who_may_share_and_delete(
    shared: Bot, playground: Playground, ada: User, manager: User
) -> None:
    name = f"club {ada.id}"
    for user in (ada, manager):
        await save(user, name, steps=5)
    refused = "you need the permission *Manage Server*"
    missing = f"This server has no preset called “{name}”."
    table = [
        (ada, "preset share", {}, refused),
        (ada, "preset delete", {"shared": True}, refused),
        (manager, "preset delete", {"shared": True}, missing),
        (manager, "preset share", {}, f"Everyone in this server can now use **{name}**."),
        (manager, "preset share", {}, "Set replace to replace it."),
        (manager, "preset share", {"replace": True}, "Everyone in this server"),
        (ada, "preset delete", {"shared": True}, refused),
        (ada, "preset delete", {}, f"**{name}** is deleted."),
        (manager, "preset delete", {}, f"**{name}** is deleted."),
        (manager, "preset share", {}, f"You have no preset called “{name}”."),
    ]
    for user, command, options, expected in table:
        said = told(await user.slash_options(command, {"name": name, **options}))
        assert expected in said, (user.name, command, options)
    # The server's own goes on without the one that it was made from.
    assert await offered(ada, "club") == [name]
    assert f"{name} · this server's" in await listed(ada, search="club")
    there = playground.add_channel("there", playground.add_guild(f"other {ada.id}"))
    assert await offered(ada, "club", channel=there) == []
    assert "no preset called" in told(
        await ada.slash("imagine", **QUICK, preset=name, channel=there)
    )
    said = told(await manager.slash("preset delete", name=name, shared=True))
    assert said == f"**{name}** is deleted."
    assert await offered(ada, "club") == []
    acts = shared.home.rows(f"SELECT kind, actor FROM acts WHERE subject = '{name}' ORDER BY id")
    kinds = ["preset_shared", "preset_shared", "preset_deleted"]
    assert acts == [(kind, f"discord:{manager.id}") for kind in kinds]


async def test_the_order_of_suggestions(playground: Playground, ada: User, manager: User) -> None:
    await save(manager, "misc shared", steps=5)
    await manager.slash("preset share", name="misc shared")
    await save(ada, "misc own", steps=5)
    assert await offered(ada) == ["draft", "fast", "misc own", "misc shared", "misty"]
    assert await offered(ada, "mis") == ["misc own", "misc shared", "misty"]
    assert await offered(ada, "misty, fa") == ["misty, fast"]
    # Of two with one name, the person's own.
    await save(ada, "MISTY", steps=5)
    assert await offered(ada, "misty") == ["MISTY"]
    text = await listed(ada, search="mis")
    assert [line for line in text.splitlines() if " · " in line] == [
        "misc own · yours",
        "MISTY · yours",
        "misc shared · this server's",
        "misty · style",
    ]
    assert "`steps: 5`" in text
    await manager.slash("preset delete", name="misc shared", shared=True)


async def test_what_is_for_adults_is_named_nowhere_else(playground: Playground, ada: User) -> None:
    den = playground.nsfw_channel
    call = await ada.slash("preset save", channel=den, name="silken", model="adults", steps=10)
    assert told(call).startswith("Saved.")
    assert {"silken", "velvet-room"} <= {*await offered(ada, channel=den)}
    inside = await listed(ada, channel=den)
    assert "silken" in inside
    assert "adults" in inside

    assert not {"silken", "velvet-room"} & {*await offered(ada)}
    outside = await listed(ada)
    for name in ("silken", "velvet", "Velvet", "adults", "For adults"):
        assert name not in outside
    for name in ("silken", "Velvet room"):
        said = told(await ada.slash("imagine", **QUICK, preset=name))
        assert said == f"The preset “{name}” can only be used in age-restricted channels."
    assert "silken" not in told(await ada.slash("imagine", **QUICK, preset="silke"))
    assert told(await ada.slash("preset delete", name="silken")).startswith("You have no preset")
    said = await save(ada, "hush", model="adults")
    assert "age-restricted" in said


async def test_who_is_blocked_here_keeps_and_shares_nothing(
    playground: Playground, ada: User, shared: Bot
) -> None:
    guild = playground.add_guild(f"strict {ada.id}")
    room = playground.add_channel("room", guild)
    boss, bad = playground.user(f"boss-{ada.id}"), playground.user(f"bad-{ada.id}")
    for user, grants in ((boss, ("manage_guild", "manage_messages")), (bad, ("manage_guild",))):
        playground.give_role(user, playground.add_role(user.name, *grants, guild=guild))
    await save(bad, "mine", model="second")
    await save(bad, "plain", steps=9)
    assert told(await bad.slash("preset share", name="mine", channel=room)).startswith("Everyone")
    call = await boss.slash(
        "settings set", level="server", name="block_models", value="second", channel=room
    )
    assert "second" in told(call)

    # What may not be used there is not named there, and can still be deleted.
    for user in (boss, bad):
        text = await listed(user, channel=room)
        assert "second" not in text
        assert "mine" not in text
    choices = await bad.autocomplete("preset share", "name", "", channel=room)
    assert [choice.value for choice in choices] == ["plain"]
    said = told(await bad.slash("preset share", name="mine", replace=True, channel=room))
    assert said == "You have no preset called “mine”."
    said = told(await boss.slash("preset delete", name="mine", shared=True, channel=room))
    assert said == "**mine** is deleted."

    await boss.slash("moderate block", user=bad, channel=room)
    table: tuple[tuple[str, dict[str, Any]], ...] = (
        ("preset save", {"name": "more", "steps": 5}),
        ("preset share", {"name": "plain"}),
        ("preset delete", {"name": "plain", "shared": True}),
        ("preset list", {}),
        ("preset use", {"name": "plain", "prompt": CANARY}),
    )
    for command, options in table:
        said = told(await bad.slash_options(command, options, channel=room))
        assert "blocked you" in said, command
    assert await bad.autocomplete("preset share", "name", "", channel=room) == []
    assert shared.home.rows(f"SELECT 1 FROM presets WHERE community = 'discord:{guild.id}'") == []


@pytest.mark.long
async def test_a_restart_keeps_presets_and_open_forms(home: Home) -> None:
    async with Playground() as playground, Bot(home, playground) as bot:
        ada = playground.user("ada")
        original: Message = await painted(ada, **QUICK, lora="ember:0.5")
        form = await press(ada, original, "savepreset")
        await save(ada, "before", model="second", lora="ember:0.5")
        await save(ada, "lasting", lora="ember:0.5")
        await bot.end(signal.SIGKILL)
        # What a preset names is gone by now.
        models = home.catalog_dir / "models.toml"
        models.write_text(models.read_text("utf-8").replace("[models.second]", "[models.third]"))
        await bot.start()
        assert told(await ada.submit(form, {"name": "open"})).startswith("Saved.")
        assert await offered(ada, "") == ["draft", "fast", "before", "lasting", "open", "misty"]
        said = told(await ada.slash("imagine", **QUICK, preset="before"))
        assert said == (
            "The preset “before” needs the model second, which isn't available here. "
            "Choose another one with model."
        )
        assert "ember 0.5" in facts(await painted(ada, **QUICK, preset="before", model="demo"))
        # The owner's styles are read again while the bot runs.
        folder = home.catalog_dir / "styles"
        folder.mkdir()
        (folder / "mine.csv").write_text('name,prompt\nHalo,"{prompt}, halo"\n', encoding="utf-8")
        await until(lambda: "Catalog reloaded" in bot.log)
        await painted(ada, **QUICK, preset="halo")
        assert home.requests()[-1]["prompt"] == f"{CANARY}, halo"
        assert CANARY not in bot.log
        assert "Traceback" not in bot.log
        assert playground.violations == []
