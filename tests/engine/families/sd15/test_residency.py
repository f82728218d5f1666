"""Models of SD 1.5 and of SDXL on one device, one after the other."""

import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from bot.errors import JobFailed, PaintStopped, StopReason
from bot.progress import Notice, Progress
from bot.request import AYS, GenerationRequest, Hires, InitImage
from catalog import Catalog
from tests.engine.factories import digests, kohya_lora, ordered, paint, picture, resident
from tests.engine.families.sd15.factories import catalog, model, request
from tests.engine.families.sd15.test_adapters import NAMES, lora
from tests.parameters import mostly_long

pytestmark = pytest.mark.long

MODEL = 22_000_000
"""Bytes that a tiny model needs at most."""


@pytest.fixture
def offered(sd15_dir: Path, tmp_path: Path) -> Catalog:
    """A LoRA of each family: `a` for SD 1.5, `xl` for SDXL."""
    return catalog(
        [model("velocity", "sd15", prediction="v_prediction", zero_terminal_snr=True)],
        a=lora(tmp_path / "a.safetensors", NAMES["kohya"]),
        xl=kohya_lora(tmp_path / "xl.safetensors"),
    )


ASKED = {
    "sd15": [request(("a", 0.7)), request(model="sd15-other", clip_skip=2)],
    "sdxl": [request(("xl", 0.7), model="demo"), request(model="other")],
}


@pytest.mark.long
def test_switching_between_the_families_gives_the_same_bytes(
    engine: Engine, fresh: Engine, offered: Catalog
) -> None:
    wanted = [each for pair in zip(*ASKED.values(), strict=True) for each in pair]
    expected = [digests(paint(fresh, each, offered)) for each in wanted]
    assert len({tuple(each) for each in expected}) == len(wanted)
    known_of = [*zip(wanted, expected, strict=True)]
    for each, known in (*known_of, *known_of[:2]):
        assert digests(paint(engine, each, offered)) == known
        networks = {"unet", "text_encoder", "vae"}
        xl = each.model in {"demo", "other"}
        assert {*resident(engine).parts} == (networks | {"text_encoder_2"} if xl else networks)


def test_a_lora_of_the_other_family_is_refused_and_forgotten(
    engine: Engine, offered: Catalog
) -> None:
    expected = digests(paint(engine, request(), offered))
    for use, key in (("xl", "sd15"), ("a", "demo")):
        with pytest.raises(JobFailed) as failure:
            paint(engine, request((use, 1.0), model=key), offered)
        assert failure.value.code.startswith("adapter.")
    assert digests(paint(engine, request(), offered)) == expected


def test_the_same_texts_for_both_are_encoded_for_each(engine: Engine, offered: Catalog) -> None:
    """What one family's text encoders said is not what the other's say."""
    first = [digests(paint(engine, request(model=key), offered)) for key in ("sd15", "demo")]
    again = [digests(paint(engine, request(model=key), offered)) for key in ("sd15", "demo")]
    assert again == first


@pytest.mark.parametrize("profile", mostly_long(["8gb", "11gb"], usual=0))
def test_a_small_card_paints_the_same_picture(
    engine: Engine, sd15_dir: Path, tmp_path: Path, offered: Catalog, profile: str
) -> None:
    """What is parked meanwhile costs time, but never changes a bit."""
    small = Engine(
        models_dir=sd15_dir,
        hashes_file=tmp_path / "h.json",
        memory=profile,
        model_cache=3 * MODEL,
    )
    over = InitImage(picture(), 0.5)
    for wanted in (
        request(("a", 0.7), count=2),
        request(model="demo"),
        request(init_image=over),
        request(("a", 0.7), hires=Hires(1.25, 0.5, 2)),
    ):
        assert digests(paint(small, wanted, offered)) == digests(paint(engine, wanted, offered))
        held = {name for name, part in resident(small).parts.items() if part.present}
        assert held == ({"unet", "vae"} if profile == "11gb" else {"vae"})
    small.close()


@pytest.mark.long
def test_resting_gives_the_memory_back(engine: Engine, offered: Catalog) -> None:
    before = digests(paint(engine, request(("a", 0.7)), offered))
    parts = resident(engine).parts
    engine.rest()
    assert not any(part.present for part in parts.values())
    assert digests(paint(engine, request(("a", 0.7)), offered)) == before


def test_a_stop_leaves_nothing_behind(engine: Engine, offered: Catalog) -> None:
    asked = request(("a", 0.7), steps=5)
    expected = digests(paint(engine, asked, offered))
    seen: list[Progress] = []

    def stop() -> None:
        if any(progress.step == 2 for progress in seen):
            raise PaintStopped(StopReason.CANCELLED)

    with pytest.raises(PaintStopped):
        paint(engine, asked, offered, seen.append, stop)
    assert digests(paint(engine, asked, offered)) == expected


def out_of_memory(*_: Any, **__: Any) -> Any:
    import torch

    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


@pytest.mark.parametrize(
    "place",
    mostly_long(["bot.engine.passes.denoise", "bot.engine.families.unet.text.run"], usual=1),
)
def test_out_of_memory_is_said_and_forgotten(
    engine: Engine, offered: Catalog, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    expected = digests(paint(engine, request(), offered))
    engine.rest()
    with monkeypatch.context() as patch:
        patch.setattr(place, out_of_memory)
        with pytest.raises(JobFailed) as failure:
            paint(engine, request(prompt=f"a castle, {place}"), offered)
    assert failure.value.code == "memory.out"
    assert engine.loaded is None
    assert digests(paint(engine, request(), offered)) == expected


def test_out_of_memory_is_tried_once_with_less(
    engine: Engine, offered: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.engine import pixels
    from bot.engine.families.sd15.memory import WHOLE
    from bot.engine.memory import Profile

    paint(engine, request(), offered)
    real, tried = pixels.decode, []

    def needs_tiles(*args: Any, tiled: bool, **more: Any) -> Any:
        tried.append(tiled)
        return real(*args, tiled=tiled, **more) if tiled else out_of_memory()

    monkeypatch.setattr(pixels, "decode", needs_tiles)
    monkeypatch.setitem(WHOLE, Profile.GB11, 0)
    painting = paint(engine, request(), offered)
    assert tried == [False, True]
    assert painting.warnings == (Notice("memory.lowered", {"profile": "11gb"}),)


@pytest.mark.parametrize(
    ("profile", "size", "tiled"),
    [
        ("full", (2048, 2048), False),
        ("full", (2048, 2112), True),
        ("16gb", (1536, 1536), False),
        ("16gb", (2048, 2048), True),
        ("11gb", (1024, 1536), False),
        ("11gb", (1536, 1536), True),
        ("8gb", (1024, 1024), False),
        ("8gb", (1280, 1024), True),
    ],
)
def test_what_is_decoded_in_tiles(profile: str, size: tuple[int, int], tiled: bool) -> None:
    from bot.engine.families import FAMILIES
    from bot.engine.memory import Profile, plan

    whole = FAMILIES["sd15"].whole
    assert plan(Profile(profile), whole, *size, upcast=False).tiled is tiled


def any_request(chance: random.Random, pictures: list[str]) -> GenerationRequest:
    """One of so few that a sequence repeats itself."""
    key = chance.choice(["sd15", "sd15", "sd15-other", "velocity", "demo", "other"])
    use = "xl" if key in {"demo", "other"} else "a"
    adapters = chance.choice([(), ((use, 1.0),), ((use, 0.4),)])
    spacing = chance.choice([None, None, AYS])
    over = InitImage(chance.choice(pictures), chance.choice([0.4, 1.0]))
    return request(
        *adapters,
        model=key,
        scheduler=chance.choice(["Euler", "DPM++ 2M SDE"] if spacing else ["Euler a", "UniPC"]),
        spacing=spacing,
        clip_skip=chance.choice([None, 2]),
        init_image=chance.choice([None, None, over]),
        hires=chance.choice([None, None, Hires(1.25, 0.5, 2)]),
        guidance=chance.choice([1.0, 5.0]),
        prompt=chance.choice(["a fox", "a (castle:1.3) at night"]),
        steps=chance.choice([2, 3]),
    )


def outcome(engine: Engine, wanted: GenerationRequest, offered: Catalog, stop_after: int) -> Any:
    checks = 0

    def check_stop() -> None:
        nonlocal checks
        checks += 1
        if checks > stop_after:
            raise PaintStopped(StopReason.CANCELLED)

    try:
        return digests(engine.paint(ordered(wanted, offered), lambda _: None, check_stop))
    except JobFailed as failure:
        return failure.code


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_history_leaves_no_trace(
    engine: Engine, sd15_dir: Path, offered: Catalog, tmp_path: Path, seed: int
) -> None:
    pictures = [picture(seed=seed) for seed in (0, 1)]
    chance = random.Random(seed)
    history = []
    for _ in range(6):
        wanted = any_request(chance, pictures)
        if chance.random() < 0.4:
            with suppress(PaintStopped):
                outcome(engine, any_request(chance, pictures), offered, chance.randrange(30))
        history.append((wanted, outcome(engine, wanted, offered, 10_000)))
    chance.shuffle(history)
    for wanted, got in history[:2]:
        new = Engine(models_dir=sd15_dir, hashes_file=tmp_path / "h.json", memory="full")
        assert outcome(new, wanted, offered, 10_000) == got, wanted
        new.close()
    for wanted, got in history:
        assert outcome(engine, wanted, offered, 10_000) == got, wanted
