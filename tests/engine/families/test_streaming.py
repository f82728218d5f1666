"""Networks that are too large for a card generate the same bytes there, a block at a time."""

from collections.abc import Callable
from typing import Any

import pytest

from bot.engine import Engine
from bot.engine.families import FAMILIES
from bot.engine.memory import GIB, ROOM, Profile
from bot.progress import Notice
from bot.request import GenerationRequest
from catalog import Catalog
from tests.engine.factories import digests, paint, request, resident
from tests.parameters import mostly_long

STAYING = ("distilled_guidance_layer.",)
"""Lists of layers that are small and run once for all blocks."""
LARGE = tuple(key for key, family in FAMILIES.items() if family.too_large_on)
Opened = Callable[..., Engine]


@pytest.fixture(scope="module", params=mostly_long(LARGE, usual=1))
def key(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def asked(key: str) -> tuple[GenerationRequest, ...]:
    return (
        request(model=key, guidance=1.0),
        request((key, 0.7), model=key, guidance=1.0),
        request((key, -0.4), model=key, guidance=4.0, negative="a dog", seed=3),
        request(model=key, guidance=1.0, prompt="another"),
    )


def outside(part: Any) -> int:
    """Bytes of the parameters that are in no block."""
    inside = tuple(f"{path}." for path in part._blocks)
    slots = part._stored.slots.items()
    return sum(slot.size for name, slot in slots if not name.startswith(inside))


@pytest.mark.parametrize(
    ("weights", "share", "cache"),
    mostly_long(
        [
            ("full", 0.85, 2**30),
            ("int8", 0.85, 2**30),
            ("full", 0.0, None),
            ("int8", 0.0, None),
        ],
        usual=2,
    ),
)
def test_the_same_bytes_a_block_at_a_time(
    opened: Opened,
    key: str,
    offered: Catalog,
    monkeypatch: pytest.MonkeyPatch,
    weights: str,
    share: float,
    cache: int | None,
) -> None:
    whole, requests = opened(memory="full", weights=weights), asked(key)
    expected = [digests(paint(whole, each, offered)) for each in requests]
    assert len({*map(str, expected)}) == len(requests)
    family = FAMILIES[key]
    sizes = {name: resident(whole).parts[name]._stored.size for name in family.blocks}
    part = resident(whole).parts[family.denoiser]
    room = int(share and outside(part) + share * (part._stored.size - outside(part)))
    for profile in family.too_large_on:
        monkeypatch.setitem(ROOM, profile, room)
        small = opened(memory=profile.value, weights=weights, model_cache=cache)
        assert [digests(paint(small, each, offered)) for each in requests] == expected
        small.rest()
        painting = paint(small, asked(key)[1], offered)
        assert digests(painting) == expected[1]
        told = [name for name in painting.recipe.environment if name.endswith("_dtype")]
        assert bool(told) == (weights == "int8")
        for name, size in sizes.items():
            part = resident(small).parts[name]
            turning, blocks = len(part._arrangement.by_turns), len(part._blocks)
            if share and (size <= room or name == family.denoiser):
                assert part._arrangement.layout.size <= room
                assert turning == 0 if size <= room else turning > 2
            else:
                assert part._arrangement.layout.size < size
                assert share or turning == blocks


def test_no_layer_of_a_large_network_is_left_out(
    opened: Opened, key: str, offered: Catalog
) -> None:
    import torch

    whole = opened(memory="full")
    paint(whole, asked(key)[0], offered)
    for name in FAMILIES[key].blocks:
        part = resident(whole).parts[name]
        layers = {
            f"{path}.{number}"
            for path, module in part.module.named_modules()
            if isinstance(module, torch.nn.ModuleList)
            and not path.startswith(tuple(f"{block}." for block in part._blocks))
            and not path.startswith(STAYING)
            for number in range(len(module))
        }
        assert layers
        assert layers == {*part._blocks}


def test_the_report_says_which_families(opened: Opened, key: str) -> None:
    small = opened(memory=Profile.GB8.value, weights="full").device_report()
    assert key in small.streamed
    assert small.in_eight_bits == ()
    assert opened(memory=Profile.FULL.value, weights="full").device_report().streamed == ()


@pytest.mark.parametrize("weights", ["auto", "int8"])
def test_in_8_bits_only_the_largest_have_no_room(opened: Opened, weights: str) -> None:
    reports = {each: opened(memory=each.value, weights=weights).device_report() for each in Profile}
    streamed = {each: report.streamed for each, report in reports.items() if report.streamed}
    assert streamed == {
        Profile.GB16: ("flux1", "krea2"),
        Profile.GB11: ("flux1", "chroma", "krea2"),
        Profile.GB8: ("zimage", "flux1", "chroma", "krea2"),
    }
    assert set(LARGE) <= {*reports[Profile.GB8].in_eight_bits}


def test_nothing_is_copied_from_ram_to_ram_unless_that_is_asked_for(
    opened: Opened, key: str, offered: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CPU has a profile by its RAM, and would have the blocks twice."""
    from bot.engine import environment

    monkeypatch.setattr(environment.Place, "capacity", 8 * GIB)
    monkeypatch.setitem(ROOM, Profile.GB8, 0)
    for memory, streams in (("auto", False), ("8gb", True)):
        engine = opened(memory=memory)
        report = engine.device_report()
        assert (report.memory, key in report.streamed) == ("8gb", streams)
        paint(engine, asked(key)[0], offered)
        parts = resident(engine).parts
        assert any(parts[name]._streaming for name in FAMILIES[key].blocks) is streams


@pytest.mark.parametrize("weights", mostly_long(["auto", "int8"], usual=1))
def test_when_memory_runs_out_it_is_tried_a_block_at_a_time(
    opened: Opened, key: str, offered: Catalog, monkeypatch: pytest.MonkeyPatch, weights: str
) -> None:
    """In the same bytes, as what is stored how goes by the card alone."""
    from bot.engine import denoise as module
    from bot.engine import passes

    before = {Profile.GB11: Profile.GB16, Profile.GB8: Profile.GB11}
    profile = max(FAMILIES[key].too_large_on, key=lambda each: each is Profile.GB11)
    if before[profile] in FAMILIES[key].too_large_on:
        weights = "int8"
    expected = digests(paint(opened(memory="full", weights=weights), asked(key)[1], offered))
    monkeypatch.setitem(ROOM, profile, 0)
    engine = opened(memory=before[profile].value, weights=weights)
    denoise = module.denoise
    failed: list[bool] = []

    def full(*args: Any) -> Any:
        if not failed:
            failed.append(True)
            raise MemoryError
        return denoise(*args)

    monkeypatch.setattr(passes, "denoise", full)
    painting = paint(engine, asked(key)[1], offered)
    assert painting.warnings == (Notice("memory.lowered", {"profile": profile.value}),)
    assert digests(painting) == expected
    denoiser = resident(engine).parts[FAMILIES[key].denoiser]
    assert denoiser._arrangement.by_turns
