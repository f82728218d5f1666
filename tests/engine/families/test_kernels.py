"""Which families are compiled, and on which cards; what is rehearsed is what is asked for later."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.engine.families import FAMILIES
from bot.engine.memory import Plan, Profile, plan, room
from catalog import FloatRange
from tests.engine.factories import catalog, digests, model, paint, request
from tests.engine.families.test_complete import TINY
from tests.engine.test_kernels import kernels_of, opened

COMPILED = {
    "sdxl": {Profile.FULL, Profile.GB16},
    "sd15": {Profile.FULL, Profile.GB16},
    "flux2": {Profile.FULL, Profile.GB16},
    "zimage": set[Profile](),
    "anima": {Profile.FULL, Profile.GB16},
    "chroma": set[Profile](),
    "flux1": {Profile.FULL},
    "krea2": {Profile.FULL},
}
"""As docs/hardware.md says, see tests/docs."""


@pytest.mark.parametrize("key", FAMILIES)
def test_where_a_family_is_compiled(key: str) -> None:
    family = FAMILIES[key]

    def planned(profile: Profile) -> Plan:
        streamed = room(profile, family.too_large_on)
        return plan(
            profile, family.whole, 64, 64, upcast=False, leaving=family.leaving, room=streamed
        )

    where = {each for each in Profile if planned(each).compiling}
    assert (where if family.usual_tokens is not None else set()) == COMPILED[key]


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Writes a tiny model of a family; every model counts as one of it from then on."""
    from bot.engine import needed, pipeline, sources

    with pytest.MonkeyPatch.context() as patch:

        def of(key: str) -> Path:
            TINY[key](tmp_path / "tiny")
            for module in (needed, pipeline, sources):
                patch.setattr(module, "family_of", lambda _: FAMILIES[key])
            return tmp_path

        yield of


@pytest.mark.long
@pytest.mark.parametrize("weights", ["auto", "int8"])
@pytest.mark.parametrize("key", FAMILIES)
def test_a_job_runs_what_was_compiled_before_it(
    tiny: Callable[[str], Path], key: str, weights: str
) -> None:
    """On a card of 16 GB, where the text encoder of a large model is away meanwhile, or on a larger
    one that alone has the room."""
    folder = tiny(key)
    profile = min(COMPILED[key], default=Profile.GB16)
    there = catalog([model("x", "tiny", guidance=FloatRange(min=1.0, default=1.0, max=5.0))])
    asked = request(model="x", guidance=1.0)
    with opened(folder, folder, profile.value, weights) as (engine, ran):
        first = paint(engine, asked, there)
        kernels_of(engine).wait()
        ran.clear()
        second = paint(engine, asked, there)
        compiled = bool(COMPILED[key])
        assert bool(ran) == compiled
        used: dict[str, Any] = second.recipe.environment
        assert used["kernels"] == ("compiled" if compiled else "eager")
        assert digests(second) == digests(first)


@pytest.mark.long
def test_nothing_is_compiled_on_a_card_without_the_room(tiny: Callable[[str], Path]) -> None:
    folder = tiny("flux2")
    there = catalog([model("x", "tiny")])
    with opened(folder, folder, "11gb") as (engine, _):
        paint(engine, request(model="x", guidance=1.0), there)
        assert kernels_of(engine)._thread is None
