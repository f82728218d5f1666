"""/models and /loras."""

from typing import Any

import pytest

from playground import Message, Playground, User

pytestmark = pytest.mark.asyncio(loop_scope="session")


def listed(message: Message) -> list[str]:
    return [field["name"] for field in message.embeds[0]["fields"]]


async def test_models_are_shown_with_what_matters(playground: Playground, ada: User) -> None:
    call = await ada.slash("imagine", prompt="canarybird")
    await call.wait(lambda m: bool(m.attachments), timeout=60)
    call = await ada.slash("models")
    assert call.ephemeral
    assert call.message is not None
    assert listed(call.message) == ["Demo", "Second model", "Nothing black"]
    text = call.message.embeds[0]["fields"][0]["value"]
    assert "`demo`" in text
    assert "default" in text
    assert "loaded now" in text
    adults = await ada.slash("models", channel=playground.nsfw_channel)
    assert "For adults" in listed(adults.message)  # type: ignore[arg-type]


async def test_loras_turn_pages(playground: Playground, ada: User) -> None:
    call = await ada.slash("loras")
    assert call.message is not None
    first = listed(call.message)
    text = call.message.embeds[0]["fields"][0]["value"]
    assert "`ember` · weight 0.75" in text
    assert "`glowing embers`" in text
    turned = await ada.click(call.message, "Next")
    assert turned.message is not None
    assert set(listed(turned.message)).isdisjoint(first)
    back = await ada.click(turned.message, "Previous")
    assert listed(back.message) == first  # type: ignore[arg-type]


async def test_loras_of_a_model_and_of_an_unknown_one(playground: Playground, ada: User) -> None:
    call = await ada.slash("loras", model="second")
    assert "Second model" in call.message.embeds[0]["title"]  # type: ignore[union-attr]
    refused = await ada.slash("loras", model="nonsense")
    assert refused.ephemeral
    assert "no model called “nonsense”" in refused.message.content  # type: ignore[union-attr]


async def test_everyone_is_answered_in_their_language(playground: Playground) -> None:
    kurt = playground.user("kurt", locale="de")
    refused = await kurt.slash("imagine", prompt="canarybird", model="dmo")
    assert "Ein Modell „dmo“ gibt es nicht. Meinst du demo oder second?" in refused.message.content  # type: ignore[union-attr]
    call = await kurt.slash("imagine", prompt="canarybird")
    message = await call.wait(lambda m: bool(m.attachments), timeout=60)
    assert "Variieren" in message.text
    [imagine] = [c for c in await kurt_sees(playground) if c["name"] == "imagine"]
    assert imagine["description_localizations"]["de"] == "Ein Bild aus einem Prompt generieren"


async def kurt_sees(playground: Playground) -> list[dict[str, Any]]:
    [put] = [r for r in playground.requests if r.method == "PUT" and r.path.endswith("/commands")]
    return list(put.body)
