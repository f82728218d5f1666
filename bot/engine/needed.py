"""What one order needs: its request, and every file for it. Imports torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

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
from catalog import ModelEntry
from catalog.weight_files.prediction import Training

Report = Callable[[Progress], None]
CheckStop = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Needed:
    """One request and the files that it needs, each with the subject to name in errors.

    reference: the IP-Adapter, if there is a reference image. controls: in the order of
    `request.controls`. depth: what tells the depth of an image, if one of them needs it.
    pose: what tells how the people in it stand, likewise. detector: what finds them, and the parts
    of `request.detail`. pictures: input images by sha256.
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
    pictures: Mapping[str, Image]
    controls: tuple[tuple[Source, Subject], ...] = ()
    depth: tuple[Source, Subject] | None = None
    detector: tuple[Source, Subject] | None = None
    pose: tuple[Source, Subject] | None = None


def locate(order: Order, sources: Sources, report: Report, check_stop: CheckStop) -> Needed:
    """Find every file, and download those that are missing."""
    if (entry := order.model) is None:
        raise ValueError("an order needs a model, unless it is to enlarge an image")
    subject = Subject("model", entry.key, report, check_stop)
    pictures = {sha256: pixels.decoded(data) for sha256, data in order.pictures.items()}
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
    depth = None
    if order.depth is not None:
        named = Subject("depth", public(order.depth.path), report, check_stop)
        depth = (sources.depth(order.depth, named), named)
    pose = None
    if order.pose is not None:
        named = Subject("pose", public(order.pose.path), report, check_stop)
        pose = (sources.pose(order.pose, named), named)
    detector = None
    if order.detector is not None:
        named = Subject("detector", public(order.detector.path), report, check_stop)
        detector = (sources.detector(order.detector, named), named)
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
        pictures,
        tuple(controls),
        depth,
        detector,
        pose,
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
