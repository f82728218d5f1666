"""What one order needs: its request, and every file for it. Imports torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

from PIL.Image import Image

from bot.engine import pixels
from bot.engine.families import Family, family_of
from bot.engine.networks import ModelFiles
from bot.engine.sources import ReferenceFiles, Source, Sources
from bot.engine.subject import Subject, public
from bot.engine.training import training_of, with_moments
from bot.order import Order
from bot.progress import Progress
from bot.request import GenerationRequest
from catalog import DepthEntry, DetectorEntry, ModelEntry, PoseEntry
from catalog.weight_files.prediction import Training

EntryT = TypeVar("EntryT", DepthEntry, PoseEntry, DetectorEntry)
Report = Callable[[Progress], None]
CheckStop = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Shown:
    """What maps are made of for a request, and with what.

    pictures: input images by sha256. depth: what tells the depth of an image, if one of them needs
    it. pose: what tells how the people in it stand, likewise. detector: what finds them, and the
    parts of `request.detail`.
    """

    request: GenerationRequest
    pictures: Mapping[str, Image]
    depth: tuple[Source, Subject] | None = None
    pose: tuple[Source, Subject] | None = None
    detector: tuple[Source, Subject] | None = None

    @property
    def helping(self) -> tuple[tuple[Source, Subject], ...]:
        """The networks among them."""
        return tuple(filter(None, (self.depth, self.pose, self.detector)))


@dataclass(frozen=True, slots=True)
class Needed:
    """One request and the files that it needs, each with the subject to name in errors.

    reference: the IP-Adapter, if there is a reference image. controls: in the order of
    `request.controls`.
    """

    request: GenerationRequest
    entry: ModelEntry
    family: Family
    subject: Subject
    files: ModelFiles
    training: Training
    adapters: tuple[tuple[Path, Subject], ...]
    embeddings: tuple[tuple[Source, Subject], ...]
    reference: tuple[ReferenceFiles, Subject] | None
    shown: Shown
    controls: tuple[tuple[Source, Subject], ...] = ()


def locate(order: Order, sources: Sources, report: Report, check_stop: CheckStop) -> Needed:
    """Find every file, and download those that are missing."""
    if (entry := order.model) is None:
        raise ValueError("an order needs a model, unless it is to enlarge an image")
    subject = Subject("model", entry.key, report, check_stop)
    files, family = model_files(entry, sources, subject, order.lent), family_of(entry)
    training = training_of(files, family, entry, subject)
    adapters = []
    for adapter in order.adapters:
        adapter_subject = Subject("adapter", adapter.key, report, check_stop)
        adapters.append((sources.adapter(adapter, adapter_subject), adapter_subject))
    words = []
    for embedding in order.embeddings:
        named = Subject("embedding", embedding.key, report, check_stop)
        words.append((sources.embedding(embedding, named), named))
    reference = None
    if order.reference is not None:
        guide = Subject("reference", public(order.reference.path), report, check_stop)
        reference = (sources.reference(order.reference, guide), guide)
    controls = []
    for control in order.controls:
        named = Subject("control", control.key, report, check_stop)
        controls.append((sources.control(control, named), named))
    shown = locate_shown(order, sources, report, check_stop)
    return Needed(
        order.request,
        entry,
        family,
        subject,
        files,
        training,
        tuple(adapters),
        tuple(words),
        reference,
        shown,
        tuple(controls),
    )


def locate_shown(order: Order, sources: Sources, report: Report, check_stop: CheckStop) -> Shown:
    """The input images, and the files of what maps are made with."""
    pictures = {sha256: pixels.decoded(data) for sha256, data in order.pictures.items()}

    def named(
        kind: Literal["depth", "pose", "detector"],
        entry: EntryT | None,
        find: Callable[[EntryT, Subject], Source],
    ) -> tuple[Source, Subject] | None:
        if entry is None:
            return None
        subject = Subject(kind, public(entry.path), report, check_stop)
        return find(entry, subject), subject

    return Shown(
        order.request,
        pictures,
        depth=named("depth", order.depth, sources.depth),
        pose=named("pose", order.pose, sources.pose),
        detector=named("detector", order.detector, sources.detector),
    )


def model_files(
    entry: ModelEntry,
    sources: Sources,
    subject: Subject,
    apart: Mapping[str, str] | None = None,
) -> ModelFiles:
    """The files of a model, with those that complete it. apart: see `Order.lent`."""
    checkpoint, replaced = sources.checkpoint(entry, subject), sources.replacing(entry, subject)
    files = ModelFiles(checkpoint, replaced=replaced)
    if checkpoint.single:
        header = files.header_of(checkpoint.single, subject)
        lacking = family_of(entry).lacking(header)
        lent = [name for name in lacking if name not in replaced]
        usual = {} if entry.lent_by == entry.completed_by else dict.fromkeys(lent, entry.lent_by)
        places = {name: path for name, path in {**usual, **(apart or {})}.items() if name in lent}
        found = {n: sources.network(entry, n, path, subject) for n, path in places.items()}
        config = sources.config(entry, [n for n in lent if n not in found], subject)
        files = replace(files, config=config, lent=tuple(lent), apart=found)
    return with_moments(files, subject)
