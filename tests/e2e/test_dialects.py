"""Prompts of other programs through /imagine: what is painted, and what the result says."""

import pytest

from bot.files.metadata import read_png
from bot.request import GenerationRequest
from playground import Message, Playground, User
from tests.e2e.conftest import CANARY
from tests.e2e.results import facts, lines
from tests.e2e.test_actions import press, result
from tests.e2e.test_imagine import painted

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]


async def request_of(playground: Playground, message: Message) -> GenerationRequest:
    read = read_png(await playground.download(message.attachments[0]))
    assert read.recipe is not None
    return read.recipe.request


def notes(message: Message) -> str:
    """What stands below the prompt."""
    return "\n".join(lines(message)).partition("⚠️")[2]


async def test_a_pasted_result_is_painted_again(playground: Playground, ada: User) -> None:
    first = await painted(
        ada, prompt=f"(a {CANARY}:1.2)", model="second", lora="ember:0.5", negative="rain",
        steps=12, guidance=3.5, seed=42, size="64x96", scheduler="DPM++ 2M Karras",
    )  # fmt: skip
    data = await playground.download(first.attachments[0])
    text = read_png(data).parameters
    assert text is not None

    again = await painted(ada, prompt=text.replace("\n", " "))
    taken = "Taken from the text you pasted: Model, Negative prompt, LoRAs, Size, Sampler,"
    assert taken in notes(again)
    assert "couldn't" not in notes(again)
    one, two = [await request_of(playground, message) for message in (first, again)]
    assert two.painted_prompt == one.painted_prompt
    assert (two.negative, two.adapters) == (one.negative, one.adapters)
    assert facts(first) == facts(again)

    other = await painted(ada, prompt=text, seed=7, steps=10)
    assert (await request_of(playground, other)).seed == 7
    assert "You set this yourself, so I ignored it in the text you pasted: Steps, Seed" in (
        notes(other)
    )


async def test_another_programs_infotext(playground: Playground, ada: User) -> None:
    text = (
        f"{CANARY} <lora:ember:0.5> <lora:unheard-of:1> Negative prompt: rain "
        "Steps: 20, Sampler: Euler, Schedule type: Karras, CFG scale: 7, Seed: 42, "
        "Size: 40x60, ENSD: 31337, "
        f"{CANARY} size: 5, Version: v1.10.1"
    )
    message = await painted(ada, prompt=text, model="bright")
    request = await request_of(playground, message)
    assert (request.model, request.negative, request.scheduler) == ("bright", "rain", "Euler")
    assert (request.steps, request.seed) == (20, 42)
    assert request.width < request.height
    said = notes(message)
    for part in ("“Euler Karras”", "size 40x60", "LoRAs", "ENSD", CANARY):
        assert part in said


async def test_flags_of_midjourney_in_french(playground: Playground, ada: User) -> None:
    ada.locale = "fr"
    prompt = f"{CANARY} --ar 2:3 --no rain --seed 42 --q 2 --s 250"
    message = await painted(ada, prompt=prompt, model="bright")
    request = await request_of(playground, message)
    assert (request.prompt, request.negative, request.seed) == (CANARY, "rain", 42)
    assert request.width < request.height
    assert "--q" in notes(message)
    assert "Utilise plutôt `steps`" in notes(message)
    assert "--s\N{NO-BREAK SPACE}: rien n’y correspond ici" in notes(message)


async def test_opposite_edges_meet_and_still_do_with_something_changed(
    playground: Playground, ada: User
) -> None:
    first = await painted(ada, prompt=f"{CANARY} --tile", seed=7)
    assert "seamless edges" in facts(first)
    asked = await request_of(playground, first)
    assert (asked.prompt, asked.tile) == (CANARY, True)
    read = read_png(await playground.download(first.attachments[0]))
    assert "Tiling: True" in (read.parameters or "")
    form = await press(ada, first, "edit")
    again = await result(await ada.submit(form, {"more": "seed: 7\ntile: yes"}))
    one, two = [await playground.download(each.attachments[0]) for each in (first, again)]
    assert one == two
    form = await press(ada, first, "edit")
    plain = await result(await ada.submit(form, {"more": "seed: 7"}))
    assert "seamless" not in facts(plain)
    pasted = await painted(ada, prompt=read.parameters or "")
    assert (await request_of(playground, pasted)).tile


async def test_what_means_nothing_is_named(playground: Playground, ada: User) -> None:
    message = await painted(ada, prompt=f"{CANARY}::2 cat AND dog <hypernet:x:1>", seed=-1)
    assert (await request_of(playground, message)).prompt == f"{CANARY}::2 cat AND dog"
    said = notes(message)
    assert "Write (a:2) instead" in said
    assert "AND" in said
    assert "hypernet" in said
    assert "-1" not in facts(message)


async def test_a_flag_without_its_value_is_refused(ada: User) -> None:
    call = await ada.slash("imagine", prompt=f"{CANARY} --ar wide")
    assert call.ephemeral
    assert call.message is not None
    assert "--ar 3:2" in str(call.message.content or call.message.embeds)


async def test_a_sampler_of_comfyui_and_one_that_is_not_here(
    playground: Playground, ada: User
) -> None:
    message = await painted(ada, prompt=CANARY, scheduler="k_euler_ancestral")
    assert (await request_of(playground, message)).scheduler == "Euler a"
    call = await ada.slash("imagine", prompt=CANARY, scheduler="dpmpp_2m exponential")
    assert call.message is not None
    assert "DPM++ 2M Karras" in str(call.message.content or call.message.embeds)
