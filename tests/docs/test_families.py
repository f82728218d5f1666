"""The tables of the model families say what the families' own facts are."""

import re
from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import Any, Final

import pytest

from bot.engine.families import FAMILIES as ENGINES
from bot.engine.memory import COMPILING, MEGAPIXEL, SMALLEST, Profile
from catalog.families import FAMILIES, Family
from catalog.families.family import Variant
from catalog.schedulers import SCHEDULERS
from tests.catalog.weight_files.headers import shapes_of
from tests.docs.pages import ROOT, text
from tests.engine.families.test_complete import HEADERS

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


[FACTS] = tables(text(CATALOG))


def numbers(cell: str) -> list[float]:
    return [float(number) for number in re.findall(r"(?<![\w.])\d+(?:\.\d+)?", cell)]


def each(row: str) -> Iterator[tuple[Family, str]]:
    """The cells of a row, each with its family; one that repeats the last one is that."""
    said = ""
    for family, cell in zip(FAMILIES.values(), FACTS[row], strict=True):
        said = said if cell == "the same" else cell
        yield family, said


def named(cell: str, variants: Sequence[Variant], chosen: Callable[[Variant], bool]) -> bool:
    """Whether a cell says of which `variants` something holds: "yes", "no", those of which it does,
    or "all but" those of which it does not."""
    holds = [chosen(variant) for variant in variants]
    if all(holds) or not any(holds):
        return cell == ("yes" if holds[0] else "no")
    without = cell.startswith("all but ")
    told = {name.casefold() for name in re.split(r",? and |, ", cell.removeprefix("all but "))}
    return told == {v.name for v, does in zip(variants, holds, strict=True) if does != without}


def test_every_family_has_a_column() -> None:
    assert [cell.strip("`") for cell in FACTS["key"]] == [*FAMILIES]


def test_usual_sizes() -> None:
    for family, cell in each("usual size"):
        assert cell == "{}×{}".format(*family.size)


def test_usual_steps() -> None:
    for family, cell in each("usual steps"):
        assert sorted(numbers(cell)) == sorted(v.steps.default for v in family.variants)


def test_guidance() -> None:
    for family, cell in each("guidance"):
        usual = [v.guidance.default for v in family.variants if v.guidance.default > 1]
        if len(family.variants) == 1:
            bounds = family.variants[0].guidance
            usual = [bounds.min, bounds.max, *usual]
        assert sorted(numbers(cell)) == sorted(usual)
        assert ("none" in cell) == any(v.guidance.max <= 1 for v in family.variants)


def test_clip_skip() -> None:
    for family, cell in each("clip skip"):
        layers = family.clip_skip
        assert numbers(cell) == ([layers.min, layers.max, layers.default] if layers else [])


def test_negative_prompts() -> None:
    for family, cell in each("negative prompts"):
        assert named(cell, family.variants, lambda variant: variant.takes_negative), cell


@pytest.mark.parametrize(
    ("row", "fact"),
    [
        ("weights in brackets", lambda family: family.takes_emphasis),
        ("second pass, image to start from", lambda family: family.takes_image),
        ("reference images", lambda family: family.takes_reference),
        ("`/edit`", lambda family: family.pictures_max > 0),
        ("embeddings", lambda family: bool(family.text_encoders)),
        ("clip skip", lambda family: family.clip_skip is not None),
    ],
)
def test_what_it_takes(row: str, fact: Callable[[Family], bool]) -> None:
    for family, cell in each(row):
        assert cell.startswith("no") != fact(family), cell


def test_how_many_images_are_edited() -> None:
    for family, cell in each("`/edit`"):
        assert numbers(cell) == ([family.pictures_max] if family.pictures_max else [])


def test_samplers() -> None:
    for family, cell in each("samplers"):
        names = cell.partition(";")[0]
        offered = SCHEDULERS if names == "all" else tuple(names.split(", "))
        assert offered == family.schedulers


def test_what_the_weights_take() -> None:
    for family, cell in each("16-bit weights"):
        sizes = SIZES[family.key]()
        large = ENGINES[family.key].too_large_on
        expected = [gib(sum(sizes)), *([gib(sizes[0])] if large else [])]
        # The whole is the sum of what its parts are rounded to.
        assert numbers(cell) == pytest.approx(expected, abs=0.1), (cell, expected)


def test_which_cards_need_8_bits() -> None:
    cards = {"card of 8 GB": Profile.GB8, "card of 11 GB": Profile.GB11}
    cards["card of 16 GB and more"] = Profile.GB16
    for row, profile in cards.items():
        for family, cell in each(row):
            small = profile in ENGINES[family.key].too_large_on
            assert cell.startswith("in 8 bits, or streamed") == small, (row, cell)


def cards() -> dict[str, Profile]:
    """Profiles as the page names them."""
    full, gb16, gb11 = (f"{SMALLEST[p]:g}" for p in (Profile.FULL, Profile.GB16, Profile.GB11))
    return {
        f"{full} GiB or more": Profile.FULL,
        f"{gb16} to {full} GiB": Profile.GB16,
        f"{gb11} to {gb16} GiB": Profile.GB11,
        f"less than {gb11} GiB": Profile.GB8,
    }


def leaving(engine: Any, profile: Profile) -> str:
    encoders = "text encoder" if len(engine.text_encoders) == 1 else "text encoders"
    denoiser = "UNet" if engine.denoiser == "unet" else engine.denoiser
    away = [encoders] if profile in engine.leaving.text_encoders else []
    away += [denoiser] if profile in engine.leaving.denoiser else []
    return (", ".join(away) or "nothing") + "; in 8 bits" * (profile in engine.too_large_on)


def test_what_leaves_the_gpu() -> None:
    leaves, tiles = tables(text(HARDWARE))
    engines = [ENGINES[key] for key in FAMILIES]
    assert leaves == {card: [leaving(e, p) for e in engines] for card, p in cards().items()}
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
    for file in ("docs/settings.md", ".env.example"):
        lines = text(ROOT / file).splitlines()
        told = next(line for line in lines if "compiles the network" in line)
        assert f"not for Z-Image, and not on cards of less than {least:g} GiB" in told


def gib(parameters: int) -> float:
    return parameters * 2 / 2**30


def denoiser(key: str) -> int:
    return sum(map(prod, shapes_of(HEADERS[key]).values()))


def qwen3(width: int, inner: int, heads: int, layers: int) -> int:
    """Parameters of a Qwen3 with 8 heads of keys, each head 128 wide; norms are left out."""
    attention = 2 * width * 128 * (heads + 8)
    return 151_936 * width + layers * (attention + 3 * width * inner)


def clips(key: str) -> list[int]:
    from tests.engine.families.unet import true_models

    networks = {"sdxl": true_models.sdxl, "sd15": true_models.sd15}[key]()
    return [sum(p.numel() for p in module.parameters()) for module in networks.values()]


VAES: Final = 84_000_000
"""Parameters of a VAE, about: that of FLUX.2 has as many as that of SD 1.5. Anima's is larger."""
SIZES: Final[dict[str, Callable[[], list[int]]]] = {
    "sdxl": lambda: [*clips("sdxl"), VAES],
    "sd15": lambda: [*clips("sd15"), VAES],
    "flux2": lambda: [denoiser("flux2"), qwen3(2560, 9728, 32, 27), VAES],
    "zimage": lambda: [denoiser("zimage"), qwen3(2560, 9728, 32, 35), VAES],
    "anima": lambda: [denoiser("anima"), qwen3(1024, 3072, 16, 28), 127_000_000],
}
"""Parameters of each network, the denoiser's first."""


def test_a_text_encoder_is_as_large_as_the_page_says() -> None:
    """Of the two families with the same one, each cut to what it reads."""
    sizes = [gib(SIZES[key]()[1]) for key in ("flux2", "zimage")]
    assert "each keeps a text encoder of its own: {:.1f} and {:.1f} GiB".format(*sizes) in text(
        HARDWARE
    )
