"""The buttons below a result, and the same in the menu of a message."""

import io
import json
from typing import Any

import pytest
from PIL import Image

from playground import Interaction, Message, Playground, User
from tests.e2e.conftest import CANARY
from tests.e2e.home import Bot
from tests.e2e.results import buttons, facts, gallery, job_of, lines
from tests.e2e.test_imagine import painted
from tests.e2e.test_life import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUICK: dict[str, Any] = {"prompt": CANARY, "seed": 7}


async def press(user: User, message: Message, action: str) -> Interaction:
    """Press the button, behind *More…* if it is there."""
    if action not in buttons(message):
        more = await user.click(message, buttons(message)["more"])
        assert more.message is not None
        message = more.message
    return await user.click(message, buttons(message)[action])


async def result(call: Interaction) -> Message:
    return await call.wait(lambda m: bool(m.attachments), timeout=60)


async def posted(
    playground: Playground,
    question: Message,
    original: Message | None,
    *,
    after: Message | None = None,
    stays: bool = False,
) -> Message:
    """The result of what was answered to a private question, which is gone, or stays.

    original: what it replies to. after: what was posted since that question was asked.
    """
    last, replied = (after or question).id, original.id if original else None
    made = await playground.wait_message(
        lambda m: m.id > last and m.reference == replied and bool(m.attachments), timeout=60
    )
    assert not made.ephemeral
    if stays:
        assert not question.deleted
    else:
        await until(lambda: question.deleted)
    return made


def said(call: Interaction) -> str:
    assert call.ephemeral
    assert call.message is not None
    return call.message.text


async def bytes_of(playground: Playground, message: Message) -> list[bytes]:
    return [await playground.download(attachment) for attachment in message.attachments]


def public(playground: Playground) -> list[Message]:
    return [m for m in playground.messages(playground.channel) if not m.ephemeral]


async def test_the_same_seed_and_a_new_one(playground: Playground, ada: User) -> None:
    original = await painted(ada, **QUICK, count=2)
    bea = playground.user("bea-presses")
    again = await result(await press(bea, original, "same"))
    assert again.reference == original.id
    assert again.mentions == {bea.id}
    assert lines(again)[0] == f"<@{bea.id}>"
    assert "Identical to the original, byte for byte" in again.text
    assert await bytes_of(playground, again) == await bytes_of(playground, original)
    other = await result(await press(ada, original, "new"))
    assert facts(other) != facts(original)
    assert other.reference == original.id


async def test_a_form_changes_one_thing_and_keeps_the_seed(
    shared: Bot, playground: Playground, ada: User
) -> None:
    original = await painted(ada, **QUICK, lora="ember:0.5")
    call = await press(ada, original, "edit")
    assert call.modal is not None
    shown = {
        label["component"]["custom_id"]: label["component"] for label in call.modal["components"]
    }
    assert shown["prompt"]["value"] == CANARY
    assert shown["loras"]["value"] == "ember:0.5"
    assert "seed: 7" in shown["more"]["value"]
    assert [o["value"] for o in shown["model"]["options"] if o.get("default")] == ["demo"]
    changed = await result(await ada.submit(call, {"loras": "ember:0.5, frost:0.2"}))
    assert "frost 0.2 · seed `7`" in facts(changed)
    fresh = await painted(ada, **QUICK, lora="ember:0.5, frost:0.2")
    assert await bytes_of(playground, changed) == await bytes_of(playground, fresh)

    call = await press(ada, changed, "edit")
    more = shown["more"]["value"].replace("seed: 7", "seed:").replace("steps: 4", "steps: 5")
    redrawn = await result(await ada.submit(call, {"more": more}))
    assert "5 steps" in facts(redrawn)
    assert "`7`" not in facts(redrawn)

    # Another model brings its own defaults, and keeps the seed.
    call = await press(ada, original, "edit")
    second = await result(await ada.submit(call, {"model": ["second"]}))
    assert facts(second).startswith("-# **Second model** · ember 0.5 · seed `7`")
    assert shared.home.requests()[-1]["steps"] == 30


@pytest.mark.long
async def test_a_mistake_is_named_and_the_form_opens_again_as_it_was(
    playground: Playground, ada: User
) -> None:
    original = await painted(ada, **QUICK)
    call = await press(ada, original, "edit")
    lines_of_text = "steps: many\nseed: 8\ncolour: red\nseed: 9"
    refused = await ada.submit(call, {"prompt": f"{CANARY} again", "more": lines_of_text})
    assert "steps: “many” isn't a number" in said(refused)
    assert "I don't understand the line “colour: red”" in said(refused)
    assert "“seed” is there twice" in said(refused)
    assert refused.message is not None
    again = await ada.click(refused.message, "Open the form again")
    assert again.modal is not None
    kept = {one["component"]["custom_id"]: one["component"] for one in again.modal["components"]}
    assert kept["prompt"]["value"] == f"{CANARY} again"
    assert kept["more"]["value"] == lines_of_text
    await ada.submit(again, {"more": "seed: 8"})
    done = await posted(playground, refused.message, original)
    assert "seed `8`" in facts(done)
    wrong = await ada.submit(await press(ada, done, "edit"), {"loras": "embr:0.5"})
    assert "no LoRA called “embr”" in said(wrong)


async def test_an_image_is_used_as_the_start_of_another(
    shared: Bot, playground: Playground, ada: User
) -> None:
    original = await painted(ada, **QUICK, count=2)
    asked = await press(ada, original, "use")
    assert asked.message is not None
    form = await ada.select(asked.message, f"useas:{job_of(original)}", ["Paint over image 2"])
    assert form.modal is not None
    [more] = [
        label["component"]
        for label in form.modal["components"]
        if label["component"]["custom_id"] == "more"
    ]
    assert more["value"].endswith("\nstrength: 0.6")
    mistaken = await ada.submit(form, {"more": "seed: 3\nstrength: 9"})
    assert "strength: 9.0 won't work" in said(mistaken)  # before its image is read
    assert mistaken.message is not None
    form = await ada.click(mistaken.message, "Open the form again")
    await ada.submit(form, {"more": "seed: 3\nstrength: 0.4"})
    used = await posted(playground, mistaken.message, original)
    assert "from an image, strength 0.4" in facts(used)
    sha256 = shared.home.requests()[-1]["init_image"]["sha256"]
    with Image.open(shared.home.data_dir / "inputs" / f"{sha256}.png") as kept:
        second = Image.open(io.BytesIO((await bytes_of(playground, original))[1]))
        assert kept.tobytes() == second.convert("RGB").tobytes()


async def test_the_details_are_private_and_whole(
    shared: Bot, playground: Playground, ada: User
) -> None:
    original = await painted(ada, **QUICK, lora="ember:0.5")
    shown = await (await press(playground.user("bea-looks"), original, "details")).wait(
        lambda m: bool(m.embeds)
    )
    assert shown.ephemeral
    assert shown.content.startswith(f"```\n/imagine prompt:{CANARY} model:demo lora:ember:0.5")
    assert "Yes: the same files and the same versions." in shown.text
    [file] = shown.attachments
    recipe = json.loads(file.data)
    assert recipe["job"] == job_of(original)
    assert recipe["recipe"]["adapters"][0]["sha256"] in file.data.decode()
    lora = shared.home.models_dir / "loras/ember.safetensors"
    lora.touch()
    later = await (await press(ada, original, "details")).wait(lambda m: bool(m.embeds))
    assert "I can't tell yet: ember changed on disk" in later.text


async def test_a_deleted_result_is_gone_everywhere(
    shared: Bot, playground: Playground, ada: User
) -> None:
    original = await painted(ada, **QUICK)
    job_id = job_of(original)
    [(path,)] = shared.home.rows(f"SELECT path FROM images WHERE job_id = '{job_id}'")
    stranger = await press(playground.user("eve-deletes"), original, "delete")
    assert "Only <@" in said(stranger)
    asked = await press(ada, original, "delete")
    assert asked.message is not None
    await ada.click(asked.message, "Delete for good")
    await asked.wait(lambda m: m.content == "Deleted.")
    assert original.deleted
    assert not (shared.home.data_dir / "images" / path).exists()
    assert shared.home.rows(f"SELECT * FROM images WHERE job_id = '{job_id}'") == []
    [(state, deleted_at)] = shared.home.rows(
        f"SELECT state, deleted_at FROM jobs WHERE id = '{job_id}'"
    )
    assert (state, bool(deleted_at)) == ("delivered", True)


async def test_a_report_reaches_the_owner(playground: Playground, ada: User) -> None:
    original = await painted(ada, **QUICK)
    bea = playground.user("bea-reports")
    form = await press(bea, original, "report")
    sent = await bea.submit(form, {"reason": "that is my @everyone face"})
    told = await sent.wait(lambda m: "report has been sent" in m.content)
    assert told.ephemeral
    report = await playground.wait_message(
        lambda m: job_of(original) in m.content and "reported" in m.content
    )
    assert report.channel.recipient is playground.core.world.owner
    assert report.mentions == set()
    again = await bea.submit(await press(bea, original, "report"), {"reason": "again"})
    assert "already reported" in said(again)


async def test_a_hidden_result_is_published_once(playground: Playground, ada: User) -> None:
    before = public(playground)
    call = await ada.slash("imagine", **QUICK, hidden=True, spoiler=True)
    hidden = await result(call)
    assert hidden.ephemeral
    assert [item["spoiler"] for item in gallery(hidden)] == [True]
    again = await result(await press(ada, hidden, "same"))
    assert again.ephemeral
    assert public(playground) == before
    done = await press(ada, hidden, "publish")
    await done.wait(lambda m: m.content == "Everyone here can see it now.")
    shown = public(playground)[-1]
    assert job_of(shown) == job_of(hidden)
    assert await bytes_of(playground, shown) == await bytes_of(playground, hidden)
    twice = await press(ada, hidden, "publish")
    assert "can see this already" in said(twice)


async def test_the_menu_of_a_message_does_the_same(playground: Playground, ada: User) -> None:
    original = await painted(ada, **QUICK)
    again = await result(await ada.context_menu("Again", original))
    assert "Identical" in again.text
    form = await ada.context_menu("Edit", original)
    assert form.modal is not None
    asked = await ada.context_menu("Use as image", original)
    assert "Paint over this image" in said(asked)
    asked = await ada.context_menu("Delete", original)
    assert "Delete this image for good?" in said(asked)
    talk = await ada.say(playground.channel, "hello")
    assert "doesn't show an image of mine" in said(await ada.context_menu("Again", talk))
