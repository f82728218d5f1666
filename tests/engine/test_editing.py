"""Prompts that change while an image is generated, against a loop of plain diffusers parts."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from bot.request import EmbeddingUse, GenerationRequest, Hires, InitImage
from catalog import SCHEDULERS, EmbeddingEntry, Embeddings
from tests.engine import factories
from tests.engine.factories import TINY, digests, kohya_lora, paint, picture, plain_pipeline
from tests.engine.test_encodings import learned
from tests.engine.test_pictures import CONFIG, KINDS
from tests.parameters import mostly_long

pytestmark = pytest.mark.long


FOX, CASTLE = "a fox in the snow", "a castle in the snow"
LONG = ", ".join(["castle"] * 60)
"""Four chunks of the tiny model's tokens."""


def request(*adapters: tuple[str, float], **fields: Any) -> GenerationRequest:
    return factories.request(*adapters, **{"edits": True, "steps": 5, **fields})


@pytest.fixture(scope="module")
def plain(models_dir: Path) -> Any:
    return plain_pipeline(models_dir / TINY)


def by_hand(plain: Any, scheduler: str, texts: list[str], negatives: list[str]) -> bytes:
    """The pixels of `request()` with these texts, one for each step."""
    import diffusers
    import torch

    kind, config = KINDS[scheduler]
    solver = getattr(diffusers, kind)(**CONFIG, **config)
    solver.set_timesteps(len(texts))
    chance = torch.Generator().manual_seed(11)
    side = 64 // plain.vae_scale_factor
    latents = torch.randn(1, 4, side, side, generator=chance) * solver.init_noise_sigma
    sizes = torch.tensor([[64.0, 64, 0, 0, 64, 64]] * 2)
    more = {"generator": chance} if scheduler in {"Euler a", "DPM++ 2M SDE", "DDIM"} else {}
    with torch.inference_mode():
        for number, time in enumerate(solver.timesteps):
            step = number // 2 if scheduler == "Heun" else number
            text, without, pooled, pooled_without = plain.encode_prompt(
                texts[step],
                negative_prompt=negatives[step] or None,  # whose encoding is zeros
                do_classifier_free_guidance=True,
            )
            seen = solver.scale_model_input(torch.cat([latents] * 2), time)
            noises = plain.unet(
                seen,
                time,
                encoder_hidden_states=torch.cat([without, text]),
                added_cond_kwargs={
                    "text_embeds": torch.cat([pooled_without, pooled]),
                    "time_ids": sizes,
                },
            ).sample
            away, towards = noises.chunk(2)
            latents = solver.step(away + 5.0 * (towards - away), time, latents, **more).prev_sample
        decoded = plain.vae.decode(latents / plain.vae.config.scaling_factor).sample
    image = plain.image_processor.postprocess(decoded)[0]
    pixels: bytes = image.tobytes()
    return pixels


@pytest.mark.long
@pytest.mark.parametrize(
    ("negative", "negatives"),
    [
        ("[noise|blur]", ["noise", "noise", "blur", "noise", "blur"]),
        ("[noise::0.4]", ["noise", "noise", "noise", "", ""]),
    ],
)
@pytest.mark.parametrize("scheduler", KINDS)
def test_paints_what_a_loop_with_changing_prompts_paints(
    engine: Engine, plain: Any, scheduler: str, negative: str, negatives: list[str]
) -> None:
    prompt = "a [fox:castle:0.4] in the snow"
    asked = request(scheduler=scheduler, prompt=prompt, negative=negative)
    painted = paint(engine, asked).images[0].image
    texts = [FOX, FOX, FOX, CASTLE, CASTLE]
    assert painted.tobytes() == by_hand(plain, scheduler, texts, negatives)


Watch = Callable[[GenerationRequest], str]


@pytest.fixture
def said(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Watch:
    """Paints, and says which text every evaluation of the UNet saw: a letter for each."""
    from bot.engine.denoise import denoise

    seen: list[bytes] = []

    def watched(unet: Any, *rest: Any) -> Any:
        def ask(*args: Any, **given: Any) -> Any:
            states, added = given["encoder_hidden_states"], given["added_cond_kwargs"]
            # What the tokens say, and what they say together: both have to change.
            both = (states[-1, :77], added["text_embeds"][-1])
            seen.append(b"".join(each.numpy().tobytes() for each in both))
            return unet(*args, **given)

        return denoise(ask, *rest)

    monkeypatch.setattr("bot.engine.passes.denoise", watched)
    letters: dict[bytes, str] = {}

    def ask(asked: GenerationRequest) -> str:
        if not letters:
            for letter, text in (("F", FOX), ("C", CASTLE)):
                paint(engine, request(prompt=text, steps=1))
                letters[seen.pop()] = letter
        seen.clear()
        paint(engine, asked)
        return "".join(letters.get(each, "?") for each in seen)

    return ask


EDITED = "a [fox:castle:0.4] in the snow"
LATER = "a [fox:castle:1.5] in the snow"
TURNING = "a [fox|castle] in the snow"


@pytest.mark.parametrize("scheduler", mostly_long(SCHEDULERS, usual=4))
def test_each_step_has_one_text_with_every_scheduler(said: Watch, scheduler: str) -> None:
    heun = scheduler == "Heun"
    texts = said(request(prompt=EDITED, scheduler=scheduler))
    assert texts == ("FFFFFFCCC" if heun else "FFFCC")
    texts = said(request(prompt=TURNING, scheduler=scheduler))
    assert texts == ("FFFFCCFFC" if heun else "FFCFC")


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [(EDITED, "FFFCC CCC"), (LATER, "FFFFF FFC"), (TURNING, "FFCFC FFC")],
)
def test_the_second_pass_goes_on_where_the_first_ended(
    said: Watch, prompt: str, expected: str
) -> None:
    second = Hires(scale=1.5, strength=0.5, steps=6)
    assert said(request(prompt=prompt, hires=second)) == expected.replace(" ", "")


def test_an_initial_image_counts_the_steps_that_run(said: Watch) -> None:
    over = InitImage(picture(), strength=0.8)
    assert said(request(prompt=EDITED, init_image=over)) == "FFFC"


def test_requests_of_earlier_versions_have_words_in_brackets(said: Watch) -> None:
    asked = request(prompt=EDITED, edits=False)
    assert said(asked) == "?????"
    assert "edits" not in asked.to_dict()


@pytest.mark.parametrize(
    ("edited", "same"),
    [
        ("a [fox:fox:0.5] in the snow", FOX),
        ("a [fox:castle:0] in the snow", CASTLE),
        ("a [fox:castle:1.0] in the snow", FOX),
        (f"[{LONG}:{FOX}:0]", FOX),
    ],
)
def test_a_text_that_never_changes_is_that_text(engine: Engine, edited: str, same: str) -> None:
    plainly = digests(paint(engine, request(prompt=same, edits=False)))
    assert digests(paint(engine, request(prompt=edited))) == plainly


def test_the_same_bytes_again_elsewhere_and_alone(engine: Engine, fresh: Engine) -> None:
    asked = request(prompt=f"[{LONG}|fox] in [the (snow:1.3):0.5]", negative="[x:2]", count=2)
    first = digests(paint(engine, asked))
    paint(engine, request(prompt=TURNING, model="other"))
    assert digests(paint(engine, asked)) == first
    assert digests(paint(fresh, asked)) == first
    alone = [request(prompt=asked.prompt, negative="[x:2]", seed=11 + n) for n in range(2)]
    assert [digests(paint(engine, each))[0] for each in alone] == first


def test_the_first_pass_is_that_of_an_image_without_a_second(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the texts of the second pass are."""
    from bot.engine.passes import Pass

    decoded: list[bytes] = []

    def noted(self: Any, latents: Any, real: Any = Pass.decoded) -> Any:
        image = real(self, latents)
        decoded.append(image.tobytes())
        return image

    monkeypatch.setattr(Pass, "decoded", noted)
    second = Hires(scale=1.5, strength=0.5, steps=4)
    paint(engine, request(prompt=f"[fox:{LONG}:1.0]", hires=second))
    paint(engine, request(prompt="fox", edits=False))
    assert decoded[0] == decoded[2]


def test_loras_and_embeddings_count_in_each_text(engine: Engine, tmp_path: Path) -> None:
    words = {}
    for number, key in enumerate(("wort", "kraut")):
        path = str(learned(tmp_path / f"{key}.safetensors", number))
        words[key] = EmbeddingEntry(key=key, name=key, path=path)
    offered = replace(
        factories.catalog(a=kohya_lora(tmp_path / "a.safetensors")), embeddings=Embeddings(words)
    )
    uses = tuple(EmbeddingUse(key, key) for key in words)
    found = []
    for prompt, embeddings, loras in (
        ("[wort:kraut:0.4]", uses, [("a", 1.0)]),
        ("[wort:kraut:0.4]", uses, []),
        ("[wort:kraut:0.4]", uses[:1], []),
        ("[wort:kraut:0.4]", uses[1:], []),
    ):
        asked = request(*loras, prompt=prompt, embeddings=embeddings)
        found += digests(paint(engine, asked, offered))
    assert len(set(found)) == len(found)


@pytest.mark.long
def test_it_costs_an_encoding_for_each_text_and_no_evaluation(
    fresh: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.engine.families.unet import text
    from bot.engine.families.unet.conditioning import Conditioning

    read: list[object] = []
    evaluated: list[tuple[int, ...]] = []

    def reading(encoder: Any, *rest: Any, real: Any = text.run) -> Any:
        read.append(encoder)
        return real(encoder, *rest)

    def predicting(
        self: Any, unet: Any, latents: Any, *rest: Any, real: Any = Conditioning.predict
    ) -> Any:
        evaluated.append(tuple(self.prompt.shape))
        return real(self, unet, latents, *rest)

    monkeypatch.setattr(text, "run", reading)
    monkeypatch.setattr(Conditioning, "predict", predicting)
    second = Hires(scale=1.5, strength=0.5, steps=4)
    edited = request(prompt=TURNING, negative="noise", count=2, hires=second)
    paint(fresh, edited)
    assert len(read) == 2 * len([FOX, CASTLE, "noise"])
    assert len(evaluated) == 2 * (5 + 2)
    paint(fresh, edited)
    paint(fresh, request(prompt=CASTLE, negative="noise"))
    assert len(read) == 2 * 3
    evaluated.clear()
    paint(fresh, request(prompt=f"[fox:{LONG}:0.4]"))
    assert set(evaluated) == {(2, 4 * 77, 80)}
