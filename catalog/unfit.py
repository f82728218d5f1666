"""Unfit: a model whose files cannot be used, and what they are."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from catalog.alternatives import alternatives
from catalog.families import Family, Variant
from catalog.weight_files import Refusal, with_article


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why a model cannot be used: its file, and what that is.

    file: name of the file or folder. undecided: the family that it is certainly of, if only which
    of its variants it is has to be said; else None. variants: those that it may be, as in
    `ModelEntry.variant`; none if that is not the question. vae_for: the family of the model, if
    only the VAE that its entry names is none of it, or cannot be read; the file is then that VAE's.
    encoder_for: the same for its text encoder. quantised: the family that it is certainly of, if
    only its own weights cannot be read.
    """

    file: str
    refusal: Refusal
    undecided: Family | None = None
    variants: tuple[str, ...] = ()
    vae_for: Family | None = None
    encoder_for: Family | None = None
    quantised: Family | None = None

    @property
    def what(self) -> str:
        """What the file is, a noun phrase without an article."""
        return self.refusal.what

    @property
    def unread(self) -> str:
        """Why the weights in the file cannot be read, a clause; "" if they can."""
        return self.refusal.unread

    @property
    def family(self) -> Family | None:
        """The family that the model is certainly of; None where its file may be of none."""
        return self.undecided or self.vae_for or self.encoder_for or self.quantised

    @property
    def lines(self) -> tuple[str, ...]:
        """What the owner may write in its entry, one of them."""
        return tuple(f'variant = "{name}"' for name in self.variants)

    @property
    def verdict(self) -> str:
        """A sentence with the file's name and what it is."""
        return f"{self.file} is {with_article(self.what)}"

    def __str__(self) -> str:
        """The verdict, and what the owner can do."""
        return "; ".join(filter(None, (self.verdict, self.refusal.advice)))


def undecided(file: str, family: Family, possible: Iterable[Variant], heading: str) -> Unfit:
    """A model of `family` of which neither its files nor its names tell the variant.

    possible: those that its denoiser can be; of a single one, what is said of it denies that.
    heading: of its entry.
    """
    names = tuple(each.name for each in possible)
    unfit = Unfit(file, Refusal(f"{family.name} model"), family, names)
    what = f"but neither its files nor its name says whether it is {alternatives(names)}"
    advice = f"write {alternatives(unfit.lines)} in its entry {heading} in models.toml"
    if len(names) == 1:
        what = f"by its tensors {names[0]}, but by what is said of it another, or not distilled"
        advice += ", and with it the steps and the guidance that its authors recommend"
    return replace(unfit, refusal=Refusal(f"{family.name} model, {what}", advice))
