"""/models, /loras and /embeddings: pages, search, tags, pictures, and an image made from there."""

import io
import re
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image

from playground import ClientRefused, Interaction, Message, Playground, User
from playground.components import TEXT, walk
from playground.state import COMPONENT
from tests.e2e.conftest import CANARY
from tests.e2e.home import MODELS, Bot, Home
from tests.e2e.results import facts
from tests.e2e.test_actions import posted
from tests.e2e.test_life import until
from tests.e2e.test_rights import SMALL
from tests.parameters import mostly_long

pytestmark = pytest.mark.asyncio(loop_scope="session")

TAGGED = """
[loras.gilded]
name = "Gilded"
path = "loras/loha.safetensors"
tags = ["Gold", "style"]
licence = "CC BY 4.0"
trigger_words = ["gilded", "gold leaf"]
[loras.bare]
name = "Secretly bare"
path = "loras/lokr.safetensors"
tags = ["gold", "hush"]
nsfw = true
"""
LONG = "gilded " + "x" * 80


def read(message: Message | None) -> str:
    """The texts of a page."""
    assert message is not None
    return "\n".join(c["content"] for _, c in walk(message.components) if c["type"] == TEXT)


def listed(message: Message | None) -> list[str]:
    """The names of the entries on a page."""
    return re.findall(r"^### (.*)$", read(message), re.MULTILINE)


def select_of(message: Message | None, prefix: str) -> str:
    """The custom_id of the select of that kind."""
    assert message is not None
    ids = [str(c.get("custom_id")) for _, c in walk(message.components)]
    [found] = [custom_id for custom_id in ids if custom_id.startswith(f"{prefix}:")]
    return found


async def use(user: User, message: Message | None, key: str) -> Interaction:
    assert message is not None
    call = await user.select(message, select_of(message, "browseuse"), [key])
    assert call.modal is not None
    return call


def prefilled(call: Interaction) -> dict[str, Any]:
    """What a form shows, by field."""
    assert call.modal is not None
    shown = {}
    for label in call.modal["components"]:
        field = label["component"]
        chosen = [option["value"] for option in field.get("options", ()) if option.get("default")]
        shown[field["custom_id"]] = field.get("value") or "".join(chosen)
    return shown


async def test_models_are_shown_with_what_matters(playground: Playground, ada: User) -> None:
    call = await ada.slash("imagine", prompt=CANARY)
    await call.wait(lambda m: bool(m.attachments), timeout=60)
    call = await ada.slash("models")
    assert call.ephemeral
    assert call.message is not None
    assert listed(call.message) == ["Demo", "Second model", "Nothing black"]
    text = read(call.message)
    assert "`demo` · default · loaded now" in text
    assert "once by you" in text
    adults = await ada.slash("models", channel=playground.nsfw_channel)
    assert "For adults" in listed(adults.message)


async def test_loras_turn_pages(playground: Playground, ada: User) -> None:
    call = await ada.slash("loras")
    assert call.message is not None
    first = listed(call.message)
    assert len(first) == 5
    assert "`ember` · weight 0.75" in read(call.message)
    assert "Trigger words: `glowing embers`" in read(call.message)
    turned = await ada.click(call.message, "Next")
    assert set(listed(turned.message)).isdisjoint(first)
    assert turned.message is not None
    back = await ada.click(turned.message, "Previous")
    assert listed(back.message) == first


async def test_loras_of_a_model_and_of_an_unknown_one(playground: Playground, ada: User) -> None:
    call = await ada.slash("loras", model="second")
    assert "LoRAs for Second model" in read(call.message)
    refused = await ada.slash("loras", model="nonsense")
    assert refused.ephemeral
    assert "no model called “nonsense”" in refused.message.content  # type: ignore[union-attr]


async def test_a_list_is_searched_by_option_and_by_form(playground: Playground, ada: User) -> None:
    call = await ada.slash("loras", search="style 49")
    assert call.message is not None
    assert listed(call.message)[:2] == ["Style 49", "Style 490"]
    form = await ada.click(call.message, "Search")
    assert prefilled(form) == {"words": "style 49"}
    found = await ada.submit(form, {"words": "embr"})
    assert listed(found.message) == ["Ember glow"]
    none = await ada.submit(await ada.click(found.message, "Search"), {"words": "qqqq"})  # type: ignore[arg-type]
    assert "Nothing here matches that." in read(none.message)
    every = await ada.click(none.message, "Show all")  # type: ignore[arg-type]
    assert len(listed(every.message)) == 5


async def test_an_image_is_made_from_a_list(playground: Playground, ada: User) -> None:
    call = await ada.slash("loras", search="ember")
    form = await use(ada, call.message, "ember")
    shown = prefilled(form)
    assert shown["prompt"].strip() == "glowing embers,"
    assert (shown["model"], shown["loras"], shown["negative"]) == ("demo", "ember:0.75", "blurry")
    wrong = await ada.submit(form, {"prompt": f"glowing embers, {CANARY}", "more": "steps: many"})
    assert wrong.ephemeral
    again = await ada.click(wrong.message, "✏️")  # type: ignore[arg-type]
    assert prefilled(again)["prompt"] == f"glowing embers, {CANARY}"
    assert wrong.message is not None
    await ada.submit(again, {"more": "steps: 2"})
    message = await posted(playground, wrong.message, None)
    assert "ember 0.75" in facts(message)
    assert f"<@{ada.id}>" in message.text
    # The list stays, so that one can go on with it.
    assert call.message is not None
    await ada.submit(await use(ada, call.message, "ember"), {"more": "steps: 3"})
    message = await posted(playground, call.message, None, after=message, stays=True)
    assert "3 steps" in facts(message)


async def test_what_is_used_is_offered_first(playground: Playground) -> None:
    eve = playground.user("eve-who-uses-one")
    before = [choice.value for choice in await eve.autocomplete("imagine", "lora", "style-49")]
    assert before[0] == "style-049"
    call = await eve.slash("imagine", prompt=CANARY, lora="frost", steps=10)
    await call.wait(lambda m: bool(m.attachments), timeout=60)
    assert (await eve.autocomplete("imagine", "lora", ""))[0].value == "frost"
    # What matches better comes first all the same.
    assert (await eve.autocomplete("imagine", "lora", "ember"))[0].value == "ember"


async def test_everyone_is_answered_in_their_language(playground: Playground) -> None:
    kurt = playground.user("kurt", locale="de")
    refused = await kurt.slash("imagine", prompt=CANARY, model="dmo")
    assert "Ein Modell „dmo“ gibt es nicht. Meinst du demo oder second?" in refused.message.content  # type: ignore[union-attr]
    call = await kurt.slash("imagine", prompt=CANARY)
    message = await call.wait(lambda m: bool(m.attachments), timeout=60)
    assert "Neuer Seed" in message.text
    [imagine] = [c for c in await kurt_sees(playground) if c["name"] == "imagine"]
    assert imagine["description_localizations"]["de"] == "Ein Bild aus einem Prompt generieren"


async def kurt_sees(playground: Playground) -> list[dict[str, Any]]:
    [put] = [r for r in playground.requests if r.method == "PUT" and r.path.endswith("/commands")]
    return list(put.body)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def own(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> AsyncIterator[Bot]:
    """A bot that is restarted, with tags and pictures."""
    folder = tmp_path_factory.mktemp("browsing")
    models = copytree(models_dir / "loras", folder / "models/loras").parent
    Image.new("RGB", (300, 200), "red").save(models / "loras/loha.preview.png")
    Image.new("RGB", (300, 200), "blue").save(models / "loras/lokr.png")
    (models / "loras/frost.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    home = Home(folder / "home", models)
    default, demo, models_after = MODELS.replace("nsfw = true", SMALL).partition("[models.demo]")
    before, adults, last = models_after.partition("[models.adults]")
    adults, pony, last = f"{adults}{last}".partition("[models.pony")
    # Previews are painted in this order.
    text = f"{default}{adults}{demo}{before}{pony}{last}"
    (home.catalog_dir / "models.toml").write_text(text, encoding="utf-8")
    with (home.catalog_dir / "loras.toml").open("a", encoding="utf-8") as file:
        file.write(TAGGED)
    async with Playground() as playground:
        tess = playground.user("tess")
        playground.give_role(tess, playground.add_role("boss", "administrator"))
        playground.core.world.owner = tess  # of the application
        admin = {"IMAGEN_ADMIN_SERVERS": str(playground.guild.id)}
        async with Bot(home, playground, **admin) as bot:
            yield bot
            assert playground.violations == []
            assert CANARY not in bot.log


@pytest.mark.long
async def test_pages_with_pictures_and_tags_outlast_a_restart(own: Bot) -> None:
    ada = own.playground.user("ada")
    call = await ada.slash("loras", search=LONG)
    assert listed(call.message) == []
    narrow = await ada.slash("loras", tag="GOLD")
    kept = await ada.slash("loras")
    await own.end()
    await own.start()
    assert listed(narrow.message) == ["Gilded"]
    assert "CC BY 4.0" in read(narrow.message)
    assert "`gilded, gold leaf`" in read(narrow.message)
    assert colours(narrow.message) == ["red"]
    # The words were too long for an id, and are in the database.
    form = await ada.click(call.message, "Search")  # type: ignore[arg-type]
    assert prefilled(form) == {"words": LONG}
    every = await ada.select(kept.message, select_of(kept.message, "browsetag"), ["style"])  # type: ignore[arg-type]
    assert listed(every.message) == ["Gilded"]
    form = await use(ada, narrow.message, "gilded")
    assert prefilled(form)["prompt"].strip() == "gilded, gold leaf,"
    asked = await ada.submit(form, {"prompt": f"gilded, gold leaf, {CANARY}", "more": "steps: 2"})
    await asked.wait(lambda m: bool(m.attachments), timeout=60)
    stranger = own.playground.user("eve")
    with pytest.raises(ClientRefused):
        await stranger.click(call.message, "Search")  # type: ignore[arg-type]
    assert own.log.count("frost.png: this preview cannot be shown") == 1


def colours(message: Message | None) -> list[str]:
    """The colours of the pictures on a page."""
    assert message is not None
    found = []
    for file in message.attachments:
        with Image.open(io.BytesIO(file.data)) as image:
            red, _, blue = image.convert("RGB").getpixel((5, 5))  # type: ignore[misc]
        found.append("red" if red > blue else "blue")
    return found


@pytest.mark.long
async def test_what_is_for_age_restricted_channels_appears_nowhere_else(own: Bot) -> None:
    playground = own.playground
    ada = playground.user("ada")
    seen = [await ada.slash("loras"), await ada.slash("loras", search="bare")]
    seen += [await ada.slash("loras", tag=tag) for tag in ("gold", "hush")]
    for call in seen:
        assert call.message is not None
        said = str(call.message.components).casefold()
        # What was typed is repeated: as the words searched for, in ids, and as the tag.
        for typed in ("search: bare", "//bare", "'label': 'hush'", "'value': 'hush'", "/hush"):
            said = said.replace(typed, "")
        assert "bare" not in said
        assert "hush" not in said
        assert "blue" not in colours(call.message)
    assert [c.value for c in await ada.autocomplete("loras", "tag", "")] == ["gold", "style"]
    there = await ada.slash("loras", tag="gold", channel=playground.nsfw_channel)
    assert "Secretly bare" in listed(there.message)
    assert sorted(colours(there.message)) == ["blue", "red"]


@pytest.mark.long
async def test_previews_are_painted_also_after_a_crash(own: Bot) -> None:
    tess = own.playground.user("tess")
    folder = own.home.data_dir / "previews"

    async def admin(command: str) -> str:
        call = await tess.slash(f"admin previews {command}")
        assert call.ephemeral
        return call.message.content  # type: ignore[union-attr]

    await own.playground.wait_commands("admin")
    assert "No previews are being painted." in await admin("status")
    assert "goes on after a restart" in await admin("start")
    await until(lambda: any((folder / "models").glob("adults@*.webp")))
    await own.end(signal.SIGKILL)
    await own.start()
    await until(lambda: any((folder / "loras").glob("ember@*.webp")))
    shown = await tess.slash("loras", search="ember")
    [picture] = shown.message.attachments  # type: ignore[union-attr]
    with Image.open(io.BytesIO(picture.data)) as image:
        assert (image.format, image.size) == ("WEBP", (64, 64))
    assert re.search("Painting previews|No previews", await admin("status"))
    assert "Those that are there stay" in await admin("stop")
    acts = own.home.rows("SELECT actor, details FROM acts WHERE kind = 'previews' ORDER BY id")
    assert [actor for actor, _ in acts] == [f"discord:{tess.id}"] * 2
    assert not any((folder / "loras").glob("gilded@*"))  # its owner's own picture shows it
    # Nothing else of them is kept, and people are not told of them.
    await until(lambda: not any(file.name.startswith("demo-1") for file in images(own)))
    stranger = await own.playground.user("eve").slash("queue")
    assert "fox" not in stranger.message.text  # type: ignore[union-attr]


def images(own: Bot) -> list[Path]:
    return [*(own.home.data_dir / "images").rglob("*.png")]


@pytest.mark.parametrize(
    ("custom_id", "value", "told"),
    mostly_long(
        [
            ("browseuse:loras:0:", "bare", "only available in age-restricted channels"),
            ("browseuse:models:0:", "adults", "only available in age-restricted channels"),
            ("browseuse:loras:0:", "nobody", "no LoRA called “nobody”"),
            ("browseuse:embeddings:0:", "nobody", "Nothing here matches that."),
            ("browsetag:loras:0:~gone", "style", "This list is too old."),
            ("browsetag:loras:0:a/b/c/d", "style", "no longer works"),
        ],
        usual=2,
    ),
)
async def test_forged_choices_are_refused(own: Bot, custom_id: str, value: str, told: str) -> None:
    ada, core = own.playground.user("ada"), own.playground.core
    page = await ada.slash("loras")
    data = {"custom_id": custom_id, "component_type": 3, "values": [value], "id": 2}
    row = {"type": 1, "id": 1, "components": [{"type": 3, "options": [], **data}]}
    source = replace(page.message, components=[row])  # type: ignore[type-var]
    call = Interaction(core, COMPONENT, ada, own.playground.channel, data, source=source)
    await call.start()
    assert call.modal is None
    assert call.ephemeral
    assert told in call.message.content  # type: ignore[union-attr]
    assert "Secretly" not in call.message.content  # type: ignore[union-attr]


async def test_the_form_shows_what_is_painted(
    shared: Bot, playground: Playground, ada: User
) -> None:
    for name, value in (("loras", "frost"), ("negative", "a crowd"), ("steps", "3")):
        await ada.slash("settings set", level="me", name=name, value=value)
    call = await ada.slash("models", search="demo")
    form = await use(ada, call.message, "demo")
    shown = prefilled(form)
    assert (shown["loras"], shown["negative"], shown["more"]) == ("frost", "a crowd", "steps: 3")
    # What is taken out there is not put in again.
    assert call.message is not None
    await ada.submit(form, {"prompt": CANARY, "loras": "", "negative": "blurry"})
    await posted(playground, call.message, None, stays=True)
    stored = shared.home.requests()[-1]
    assert (stored["adapters"], stored["negative"], stored["steps"]) == ([], "blurry", 3)
