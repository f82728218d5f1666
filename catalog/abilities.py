"""What a model does with what people ask for, as every list of models says it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from catalog.families import Family
from catalog.locate import Location
from catalog.schema import ModelEntry
from catalog.schema.model import Speed
from catalog.snapshot import Catalog


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What is known of a model beside the numbers of its entry.

    variant: of its family, None for the plain one. speed: of an image with its defaults.
    negative, guidance, brackets, image, reference, control, tile: whether it takes a negative
    prompt, a guidance, weights in brackets, an image to start from, one to be guided by, which
    needs an IP-Adapter that is set up here, and one to follow, which needs a ControlNet that is
    here; whether opposite edges can be made to meet.
    edits: how many images it edits at once; 0: it does not. bases: names of the base models whose
    LoRAs fit, as the files of LoRAs say it; none for a demo model, whose LoRAs name it.
    """

    variant: str | None
    speed: Speed
    negative: bool
    guidance: bool
    brackets: bool
    image: bool
    reference: bool
    control: bool
    tile: bool
    edits: int
    bases: tuple[str, ...]

    @property
    def taken(self) -> dict[str, bool]:
        """The options that only some models have, as people type them, and whether it does."""
        return {
            "negative": self.negative,
            "guidance": self.guidance,
            "image": self.image,
            "reference": self.reference,
            "control": self.control,
            "tile": self.tile,
        }


def surely(bases: Iterable[str]) -> tuple[str, ...]:
    """Those that people know: a LoRA's shapes may leave open of two which it is for, `SD 1.5/2`."""
    return tuple(base for base in bases if "/" not in base)


def sure_family(model: ModelEntry, catalog: Catalog, place: Location) -> Family | None:
    """The family that it is certainly of; None where its file is of another, or of none, or where
    there is none that could say so.

    place: where the files are. What is downloaded at first use is of the usual family until then.
    """
    if why := catalog.unfit_models.get(model.key):
        return why.family
    lost = place.kind in {"missing", "unreadable"}
    return None if lost and not model.says_family else model.family


def abilities(model: ModelEntry, catalog: Catalog, *, nsfw: bool) -> Abilities | None:
    """None for one whose files cannot be used: they may be of no family.

    nsfw: whether what is only for age-restricted channels counts, such as a ControlNet.
    """
    variant = model.told_variant
    if variant is None or model.key in catalog.unfit_models:
        return None
    return Abilities(
        variant=None if variant.plain else variant.name,
        speed=model.speed,
        negative=model.takes_negative,
        guidance=model.takes_guidance,
        brackets=model.family.takes_emphasis,
        image=model.family.takes_image,
        reference=model.family.takes_reference and catalog.reference_for(model.key) is not None,
        control=bool(catalog.controlnets.offered(nsfw=nsfw, model=model)),
        tile=model.family.takes_tile,
        edits=model.pictures_max,
        bases=() if model.demo else model.family.adapter_bases,
    )


def as_json(known: Abilities | None, names: Mapping[str, str] | None = None) -> dict[str, Any]:
    """As JSON types, all None where nothing is known. names: instead of the options' own."""
    if known is None:
        return dict.fromkeys(("variant", "speed", "takes", "edits", "bases"))
    taken = {(names or {}).get(name, name): takes for name, takes in known.taken.items()}
    return {
        "variant": known.variant,
        "speed": known.speed,
        "takes": {**taken, "brackets": known.brackets},
        "edits": known.edits,
        "bases": list(known.bases),
    }
