"""Order: everything an engine needs to generate one request, looked up beforehand.

It is not part of bot.engine, because the queue's consumer builds it without torch. It could be sent
to an engine on another machine as JSON and bytes, since it refers to no catalog and no folder.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bot.errors import JobFailed
from bot.request import GenerationRequest, describe_styles
from catalog import (
    AdapterEntry,
    Catalog,
    ControlNetEntry,
    DepthEntry,
    DescriberEntry,
    DetectorEntry,
    EmbeddingEntry,
    ModelEntry,
    PoseEntry,
    ReferenceEntry,
    UpscalerEntry,
)
from catalog.disk import is_absent, may_pass, reason_of


@dataclass(frozen=True, slots=True)
class Order:
    """One request and the entries that its keys refer to.

    model: the entry of `request.model`; None if it needs none.
    adapters: those of `request.adapters`, in that order.
    reference: the IP-Adapter; None if the request has no reference image.
    pictures: the PNG file for each sha256 in `request.inputs`.
    embeddings: those of `request.embedding_keys`, in that order.
    upscaler: the one of `request.upscale`.
    controls: those of `request.control_keys`, in that order. depth: what tells the depth of an
        image; None if none of them needs that. pose: what tells how the people in it stand,
        likewise. detector: what finds the parts of `request.detail`, and these people; None if
        neither is needed, or if there is none for the people.
    describer: what writes what is in the image of `request.describe`.
    lent: network → folder of its weights, or hub id of a pipeline with them, see
        `bot.distributed.localising`. An engine here finds them itself. Their configuration is
        that which completes the model, wherever they are.
    name: which attempt at which job it is for, such as `a1b2:1`; "" if it is for none. An engine
        elsewhere tells its orders apart by it.
    """

    request: GenerationRequest
    model: ModelEntry | None
    adapters: tuple[AdapterEntry, ...] = ()
    reference: ReferenceEntry | None = None
    pictures: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    embeddings: tuple[EmbeddingEntry, ...] = ()
    upscaler: UpscalerEntry | None = None
    lent: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    controls: tuple[ControlNetEntry, ...] = ()
    depth: DepthEntry | None = None
    detector: DetectorEntry | None = None
    pose: PoseEntry | None = None
    describer: DescriberEntry | None = None


def _none_kept(sha256: str) -> bytes:
    raise FileNotFoundError(sha256)


def knows(catalog: Catalog, request: GenerationRequest) -> bool:
    """Whether the catalog has everything that `request` names."""
    return all(
        (not each.model or each.model in catalog.models)
        and (each.upscale is None or each.upscale.upscaler in catalog.upscalers.entries)
        and all(use.key in catalog.adapters for use in each.adapters)
        and all(key in catalog.controlnets.entries for key in each.control_keys)
        and all(key in catalog.embeddings.entries for key in each.embedding_keys)
        for each in request.each
    )


def order_of(
    request: GenerationRequest,
    catalog: Catalog,
    picture: Callable[[str], bytes] = _none_kept,
) -> Order:
    """Look up what `request` names.

    picture: reads the file stored under a sha256; may block on disk. Raises OSError if there is
        none, ValueError if the argument is not a sha256. By default, there are no files.

    Raises JobFailed: model.gone, picture.gone, adapter.gone, embedding.gone, upscaler.gone,
    control.gone, control.no_depth, control.no_pose, detail.no_detector, describe.gone,
    describe.no_tags, reference.none, job.files; and OSError if a picture may be read later, see
    `catalog.disk.may_pass`.
    """
    # The same image has the same recipe, whoever put a word into it, and wherever it was wanted.
    request = request.bare()
    if request.model and request.model not in catalog.models:
        raise JobFailed("model.gone", model=request.model)
    try:
        pictures = {sha256: picture(sha256) for sha256 in request.inputs}
    except ValueError:
        raise JobFailed("picture.gone") from None
    except OSError as error:
        if may_pass(error):
            raise
        if is_absent(error):
            raise JobFailed("picture.gone") from None
        raise JobFailed("job.files", reason=reason_of(error)) from error
    for use in request.adapters:
        if use.key not in catalog.adapters:
            raise JobFailed("adapter.gone", adapter=use.key)
    for key in request.embedding_keys:
        if key not in catalog.embeddings.entries:
            raise JobFailed("embedding.gone", embedding=key)
    upscaler = None
    if request.upscale is not None:
        upscaler = catalog.upscalers.entries.get(request.upscale.upscaler)
        if upscaler is None:
            raise JobFailed("upscaler.gone", upscaler=request.upscale.upscaler)
    for key in request.control_keys:
        if key not in catalog.controlnets.entries:
            raise JobFailed("control.gone", control=key)
    depth = catalog.controlnets.depth if request.needs_depth else None
    if request.needs_depth and depth is None:
        raise JobFailed("control.no_depth")
    pose = catalog.controlnets.pose if request.needs_pose else None
    if request.needs_pose and pose is None:
        raise JobFailed("control.no_pose")
    detector = catalog.detector if request.detail or request.needs_pose else None
    if request.detail and detector is None:
        raise JobFailed("detail.no_detector")
    describer = catalog.describer if request.describe else None
    if request.describe is not None:
        if describer is None:
            raise JobFailed("describe.gone")
        if request.describe.style not in describe_styles(catalog):
            raise JobFailed("describe.no_tags")
    reference = catalog.reference_for(request.model) if request.reference else None
    if request.reference is not None and reference is None:
        family = catalog.family_of(request.model)
        raise JobFailed("reference.none", family=family.name, key=family.key)
    return Order(
        request=request,
        model=catalog.models[request.model] if request.model else None,
        adapters=tuple(catalog.adapters[use.key] for use in request.adapters),
        reference=reference,
        pictures=pictures,
        embeddings=tuple(catalog.embeddings.entries[key] for key in request.embedding_keys),
        upscaler=upscaler,
        controls=tuple(catalog.controlnets.entries[key] for key in request.control_keys),
        depth=depth,
        detector=detector,
        pose=pose,
        describer=describer,
    )
