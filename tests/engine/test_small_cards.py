"""Cards of 8 to 16 GB: what is parked and tiled, and that images stay the same."""

from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from bot.errors import PaintStopped, StopReason
from bot.progress import Progress
from bot.request import Hires, InitImage
from tests.engine.factories import catalog, digests, kohya_lora, paint, picture, request, resident
from tests.engine.inside import MODEL, NETWORKS
from tests.parameters import mostly_long


@pytest.mark.parametrize("profile", mostly_long(["8gb", "11gb"], usual=1))
def test_a_small_card_paints_the_same_picture(
    keeping: Any, engine: Engine, tmp_path: Path, profile: str
) -> None:
    """What is parked meanwhile costs time, but never changes a bit."""
    offered = catalog(a=kohya_lora(tmp_path / "a.safetensors"))
    small = keeping(3 * MODEL, memory=profile)
    over = InitImage(picture(), 0.5)
    for wanted in (
        request(("a", 0.7), count=2),
        request(),
        request(("a", 0.7), model="other"),
        request(init_image=over, count=2),
        request(("a", 0.7), hires=Hires(1.25, 0.5, 2)),
        request(init_image=over, hires=Hires(1.25, 0.5, 2), model="other"),
    ):
        expected = paint(engine, wanted, offered)
        assert digests(paint(small, wanted, offered)) == digests(expected)
        held = {name: resident(small).parts[name].present for name in NETWORKS}
        assert held == {
            "unet": profile == "11gb", "text_encoder": False, "text_encoder_2": False, "vae": True
        }  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("profile", ["full", "11gb"])
def test_what_the_job_before_wore_is_not_put_on_again(
    keeping: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, profile: str
) -> None:
    from bot.engine.patches.changes import WeightChange

    offered = catalog(a=kohya_lora(tmp_path / "a.safetensors"))
    small = keeping(3 * MODEL, memory=profile)
    applied: list[Any] = []
    real = WeightChange.add_to

    def add_to(change: Any, *given: Any) -> None:
        applied.append(change)
        real(change, *given)

    monkeypatch.setattr(WeightChange, "add_to", add_to)
    paint(small, request(("a", 1.0)), offered)
    assert applied
    small.rest()
    applied.clear()
    paint(small, request(), offered)
    assert not applied


@pytest.mark.long
def test_a_stopped_job_leaves_no_room_taken_on_the_smallest_card(
    keeping: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.engine.families.sdxl import text

    small = keeping(3 * MODEL, memory="8gb")
    seen: list[Progress] = []

    def stop() -> None:
        if any(p.step for p in seen):
            raise PaintStopped(StopReason.CANCELLED)

    with pytest.raises(PaintStopped):
        paint(small, request(), report=seen.append, check_stop=stop)
    assert resident(small).parts["unet"].present
    real = text.encode

    def encode(*args: Any, **more: Any) -> Any:
        assert not resident(small).parts["unet"].present
        return real(*args, **more)

    monkeypatch.setattr(text, "encode", encode)
    paint(small, request())


@pytest.mark.parametrize(
    ("profile", "size", "upcast", "parked", "tiled"),
    [
        ("full", (1024, 1024), False, (False, False, False), False),
        ("full", (1536, 1536), False, (False, False, False), False),
        ("full", (2048, 2048), False, (False, False, False), True),
        ("full", (1024, 1024), True, (False, False, False), False),
        ("full", (1536, 1536), True, (False, False, False), True),
        ("16gb", (1264, 1264), False, (False, False, False), False),
        ("16gb", (1536, 1536), False, (False, False, False), True),
        ("16gb", (1024, 1024), True, (False, False, False), True),
        ("11gb", (1024, 1024), False, (True, False, True), False),
        ("11gb", (1024, 1024), True, (True, False, True), True),
        ("11gb", (1216, 832), False, (True, False, True), False),
        ("11gb", (1536, 1536), False, (True, False, True), True),
        ("8gb", (1024, 1024), False, (True, True, True), False),
        ("8gb", (1280, 1280), False, (True, True, True), True),
    ],
)
def test_what_is_parked_and_tiled(
    profile: str,
    size: tuple[int, int],
    upcast: bool,
    parked: tuple[bool, bool, bool],
    tiled: bool,
) -> None:
    from bot.engine.families.sdxl.memory import WHOLE
    from bot.engine.memory import Plan, Profile, plan

    text, unet, reference = parked
    assert plan(Profile(profile), WHOLE, *size, upcast=upcast) == Plan(
        park_text_encoders=text,
        park_denoiser=unet,
        park_reference=reference,
        tiled=tiled,
        compiling=not text,
        controls_stay={"full": 2, "16gb": 1}.get(profile, 0),
    )
