"""What the pages say of memory and compiling is what the families' engines do."""

import re
from collections.abc import Iterator
from typing import Any, Final

import pytest

from bot.cli.check import GIB_NEEDED
from bot.engine.families import FAMILIES as ENGINES
from bot.engine.memory import COMPILING, GIB, MEGAPIXEL, SMALLEST, Profile, plan, room
from catalog.families import FAMILIES, Family
from tests.docs.pages import ROOT, text

CATALOG: Final = ROOT / "docs" / "catalog.md"
HARDWARE: Final = ROOT / "docs" / "hardware.md"
NAMES: Final = [family.name for family in FAMILIES.values()]
Table = dict[str, list[str]]


def tables(page: str) -> list[Table]:
    """Those with a column for each family: first cell → the others, in the order of FAMILIES."""
    found: list[Table] = []
    for block in re.findall(r"(?:^\|.*\|\n)+", page, re.MULTILINE):
        lines = block.splitlines()
        head, _, *rows = ([cell.strip() for cell in line[1:-1].split(" | ")] for line in lines)
        if head[1:] == NAMES:
            found.append({first: rest for first, *rest in rows})
    return found


def each(row: str) -> Iterator[tuple[Family, str]]:
    """The cells of a row of the table of families, each with its family."""
    [facts] = tables(text(CATALOG))
    yield from zip(FAMILIES.values(), facts[row], strict=True)


def test_every_family_has_a_column_in_the_order_of_all() -> None:
    assert [cell for _, cell in each("key")] == [f"`{key}`" for key in FAMILIES]


def test_of_a_model_that_is_too_large_the_page_says_what_is_on_the_card() -> None:
    for family, cell in each("16-bit weights"):
        assert ("on the card at once" in cell) == bool(ENGINES[family.key].too_large_on), cell


def test_which_cards_need_8_bits() -> None:
    cards = {"card of 8 GB": Profile.GB8, "card of 11 GB": Profile.GB11}
    cards["card of 16 GB and more"] = Profile.GB16
    for row, profile in cards.items():
        for family, cell in each(row):
            small = profile in ENGINES[family.key].too_large_on
            both = takes_turns(family, profile)
            assert cell.startswith("in 8 bits, or streamed") == (small and not both), (row, cell)
            assert cell.startswith("in 8 bits and streamed") == both, (row, cell)


def takes_turns(family: Family, profile: Profile) -> bool:
    """Whether one of its networks has too little room even in 8 bits."""
    left = room(profile, ENGINES[family.key].too_large_on)
    return left is not None and any(part.gib_in_8 * GIB > left for part in family.parts)


def cards() -> dict[str, Profile]:
    """Profiles as the page names them."""
    full, gb16, gb11 = (f"{SMALLEST[p]:g}" for p in (Profile.FULL, Profile.GB16, Profile.GB11))
    return {
        f"{full} GiB or more": Profile.FULL,
        f"{gb16} to {full} GiB": Profile.GB16,
        f"{gb11} to {gb16} GiB": Profile.GB11,
        f"less than {gb11} GiB": Profile.GB8,
    }


def leaving(family: Family, profile: Profile) -> str:
    engine: Any = ENGINES[family.key]
    encoders = "text encoder" if len(engine.text_encoders) == 1 else "text encoders"
    denoiser = "UNet" if engine.denoiser == "unet" else engine.denoiser
    away = [encoders] if profile in engine.leaving.text_encoders else []
    away += [denoiser] if profile in engine.leaving.denoiser else []
    told = (", ".join(away) or "nothing") + "; in 8 bits" * (profile in engine.too_large_on)
    return told + ", streamed" * takes_turns(family, profile)


def test_what_leaves_the_gpu() -> None:
    leaves, tiles = tables(text(HARDWARE))
    engines = [ENGINES[key] for key in FAMILIES]
    families = FAMILIES.values()
    assert leaves == {card: [leaving(each, p) for each in families] for card, p in cards().items()}
    assert tiles == {
        card: [f"{engine.whole[profile] / MEGAPIXEL:g}" for engine in engines]
        for card, profile in cards().items()
    }


def test_what_is_compiled() -> None:
    section = text(HARDWARE).partition("## Compiling")[2].partition("## ")[0]
    for key, family in FAMILIES.items():
        compiled = ENGINES[key].usual_tokens is not None
        assert (f"{family.name} is not compiled" in section) != compiled
    least = min(SMALLEST[profile] for profile in COMPILING)
    assert f"a card of at least {least:g} GiB" in section
    large = [family.name for key, family in FAMILIES.items() if compiled_on(key) == {Profile.FULL}]
    more = SMALLEST[Profile.FULL]
    assert f"and {' and '.join(large)} one of {more:g}" in section
    never = " and ".join(f.name for key, f in FAMILIES.items() if not ENGINES[key].usual_tokens)
    for file in ("docs/settings.md", ".env.example"):
        lines = text(ROOT / file).splitlines()
        told = next(line for line in lines if "compiles the network" in line)
        assert f"not for {never}, and not on cards of less than {least:g} GiB" in told
        assert f"{more:g} GiB for {' and '.join(large)}" in told


def compiled_on(key: str) -> set[Profile]:
    """The profiles on which models of a family are compiled, by the plan for an image."""
    engine = ENGINES[key]
    if not engine.usual_tokens:
        return set()
    return {
        profile
        for profile in Profile
        if plan(
            profile,
            engine.whole,
            *(1024, 1024),
            upcast=False,
            leaving=engine.leaving,
            room=room(profile, engine.too_large_on),
        ).compiling
    }


@pytest.mark.parametrize("profile", Profile)
def test_check_wants_as_much_as_the_largest_family_has_on_the_card_at_once(
    profile: Profile,
) -> None:
    """Beside half a GiB of CUDA's own."""
    for key, family in FAMILIES.items():
        engine = ENGINES[key]
        in_8 = profile in engine.too_large_on
        left = (room(profile, engine.too_large_on) or 2**40) / GIB
        sizes = [min(part.gib_in_8 if in_8 else part.gib, left) for part in family.parts]
        away = profile in engine.leaving.denoiser
        at_once = max(sizes[0], sum(sizes[1:])) if away else sum(sizes)
        assert GIB_NEEDED[profile] >= at_once + 0.5, (key, at_once)


def test_what_16_bits_take_where_nothing_is_streamed() -> None:
    """The text encoders come back beside the transformer, to encode the next prompt."""
    large = [
        family
        for key, family in FAMILIES.items()
        if Profile.FULL in ENGINES[key].too_large_on
        and Profile.FULL not in ENGINES[key].leaving.denoiser
    ]
    names = " and ".join(family.name for family in large)
    least = min(sum(part.gib for part in family.parts) for family in large)
    page = " ".join(text(HARDWARE).split())
    assert f"the weights of {names} are on the card at once, {least:.1f} GiB" in page
    assert f"for {names} on every card" in page
    for family, cell in each("16-bit weights"):
        assert (family in large) == (
            "all of it on the card at once where nothing is streamed" in cell
        )


def test_a_text_encoder_is_as_large_as_the_page_says() -> None:
    """Of the two families with the same one, each cut to what it reads."""
    sizes = (
        next(part.gib for part in FAMILIES[key].parts if part.name == "text_encoder")
        for key in ("flux2", "zimage")
    )
    assert "each keeps a text encoder of its own: {:.1f} and {:.1f} GiB".format(*sizes) in text(
        HARDWARE
    )
