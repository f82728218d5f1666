"""Autocomplete over a catalog of 500 LoRAs."""

import pytest

from playground import Playground, User
from tests.e2e.results import facts

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_at_most_25_and_the_best_first(playground: Playground, ada: User) -> None:
    everything = await ada.autocomplete("imagine", "lora", "")
    assert len(everything) == 25
    found = await ada.autocomplete("imagine", "lora", "style-49")
    assert [choice.value for choice in found][:3] == ["style-049", "style-490", "style-491"]
    assert (await ada.autocomplete("imagine", "lora", "Ember gl"))[0].value == "ember"


async def test_the_last_one_is_completed_and_the_earlier_kept(
    playground: Playground, ada: User
) -> None:
    found = await ada.autocomplete("imagine", "lora", "ember:0.6, style-123:0.8, fro")
    assert found[0].value == "ember:0.6, style-123:0.8, frost"
    weighted = await ada.autocomplete("imagine", "lora", "ember, fro:0.3")
    assert weighted[0].value == "ember, frost:0.3"
    again = await ada.autocomplete("imagine", "lora", "ember:0.6, emb")
    assert not any(str(choice.value).endswith(", ember") for choice in again)


async def test_what_is_chosen_is_understood(playground: Playground, ada: User) -> None:
    choice = (await ada.autocomplete("imagine", "lora", "ember:0.5, fro"))[0]
    call = await ada.slash("imagine", prompt="canarybird", lora=str(choice.value))
    message = await call.wait(lambda m: bool(m.attachments), timeout=60)
    assert "ember 0.5 · frost 1" in facts(message)


async def test_models_by_key_and_name_and_sizes(playground: Playground, ada: User) -> None:
    assert (await ada.autocomplete("imagine", "model", "sec"))[0].value == "second"
    assert (await ada.autocomplete("imagine", "model", "Second mo"))[0].value == "second"
    values = [c.value for c in await ada.autocomplete("imagine", "model", "")]
    assert values == ["demo", "second", "bright"]
    sizes = await ada.autocomplete("imagine", "size", "16:9", model="demo")
    assert sizes[0].value == "88x48"


async def test_presets_and_the_samplers_of_one(playground: Playground, ada: User) -> None:
    presets = [c.value for c in await ada.autocomplete("imagine", "preset", "", model="demo")]
    assert "draft" in presets
    found = await ada.autocomplete("imagine", "scheduler", "", model="demo", preset="draft")
    assert [choice.value for choice in found] == ["DPM++ 2M", "DPM++ 2M SDE", "Euler"]
