"""What is measured: of each family, the models that its users paint with most."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from benchmarks.gpu.families import stock
from bot.engine.families import FAMILIES
from bot.request import GenerationRequest
from catalog.families import FAMILIES as FACTS
from catalog.families import Family, Variant
from tools.untrained import anima, chroma, flux1, flux2, krea2, sd15, zimage


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model of a family.

    facts: the family. variant: by its name there; steps and guidance are its defaults.
    untrained: the module of `tools.untrained` that makes it. stock, paint: see `stock`.
    swelling: a regular expression for parameters of the denoiser. Scaled up, they let what the
        network adds up grow until it is beyond float16, where that is held within; "" where
        nothing holds it.
    """

    facts: Family
    variant: str
    untrained: ModuleType
    stock: Callable[[Path, Any], Any]
    paint: Callable[[Any, GenerationRequest], Any]
    swelling: str = ""

    @property
    def key(self) -> str:
        return self.facts.key

    @property
    def family(self) -> Any:
        """The engine's half."""
        return FAMILIES[self.key]

    @property
    def usual(self) -> Variant:
        return next(each for each in self.facts.variants if each.name == self.variant)


MODELS: Final = (
    Model(
        facts=FACTS["flux2"],
        variant="distilled",
        untrained=flux2,
        stock=stock.klein,
        paint=stock.paint_klein,
        # What the blocks' sums are multiplied with: of the text's tokens, and of all.
        swelling=r"(?:double_stream_modulation_txt|single_stream_modulation)\.linear\.weight",
    ),
    Model(
        facts=FACTS["zimage"],
        variant="turbo",
        untrained=zimage,
        stock=stock.z_image,
        paint=stock.paint_z_image,
        swelling=r"layers\.\d+\.feed_forward\.w[13]\.weight",
    ),
    Model(
        facts=FACTS["anima"],
        variant="base",
        untrained=anima,
        stock=stock.anima,
        paint=stock.paint_anima,
        swelling=r"transformer_blocks\.\d+\.norm[123]\.linear_2\.weight",
    ),
    Model(
        facts=FACTS["sd15"],
        variant="base",
        untrained=sd15,
        stock=stock.stable_diffusion,
        paint=stock.paint_stable_diffusion,
    ),
    Model(
        facts=FACTS["chroma"],
        variant="hd",
        untrained=chroma,
        stock=stock.chroma,
        paint=stock.paint_chroma,
        # What all blocks' sums are multiplied with.
        swelling=r"distilled_guidance_layer\.out_proj\.weight",
    ),
    Model(
        facts=FACTS["flux1"],
        variant="dev",
        untrained=flux1,
        stock=stock.flux,
        paint=stock.paint_flux,
        # What the blocks of two streams add to what they read.
        swelling=r"transformer_blocks\.\d+\.ff(?:_context)?\.net\.2\.weight",
    ),
    Model(
        facts=FACTS["krea2"],
        variant="turbo",
        untrained=krea2,
        stock=stock.krea2,
        paint=stock.paint_krea2,
        swelling=r"transformer_blocks\.\d+\.ff\.(?:gate|up)\.weight",
    ),
)
"""In the order of their worth: of those that are usual, the first two are too large for small
cards."""
BY_KEY: Final = {model.key: model for model in MODELS}
