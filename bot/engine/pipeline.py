"""One job from request to images. Imports torch; runs in the engine thread only."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from bot.engine import embeddings, notices, patches, sampling
from bot.engine.controls import Controls, alone
from bot.engine.controls import check_headers as check_control
from bot.engine.denoise import Guidance
from bot.engine.describer import Describer
from bot.engine.detector import Detector
from bot.engine.encodings import Encodings, patches_of
from bot.engine.environment import Place, is_device_lost, is_out_of_memory
from bot.engine.families import FAMILIES, VAE, Family, family_of
from bot.engine.hashing import HashCache
from bot.engine.hub import Hub
from bot.engine.kernels import Kernels, shapes_of
from bot.engine.learned import Learned
from bot.engine.memory import TOGETHER, Plan, Profile, in_eight_bits, plan, room
from bot.engine.needed import CheckStop, Needed, Report, locate, locate_shown, model_files
from bot.engine.networks import ModelFiles
from bot.engine.passes import Prepared, described, encoded_images, paint_image
from bot.engine.patches import AdapterFile
from bot.engine.preview import Preview
from bot.engine.recipes import (
    adapters_of,
    controls_of,
    digest_of,
    recipe_of,
    reference_of,
    with_helping,
)
from bot.engine.reference import References, check_headers
from bot.engine.regions import Region
from bot.engine.repainting import canvas, repaint
from bot.engine.residency import Residency, Resident
from bot.engine.sources import NotHere, Sources
from bot.engine.starting import started
from bot.engine.subject import Subject
from bot.engine.upscaling import Upscaling, make_room
from bot.engine.weights import WeightCache, formats
from bot.errors import JobFailed
from bot.order import Order
from bot.painting import OnPainted, PaintedImage, Painting
from bot.progress import Stage
from bot.recipe import Found, Recipe, formats_in
from catalog import AdapterEntry, ModelEntry


class Pipeline:
    """Runs one request after another with one resident model.

    profile: how much of the model may stay on the device. weights: as the Engine's; what it means
    goes by this profile, even for a job that is tried again with another.
    streams: whether blocks of networks that have no room may take turns on the device.
    cache: checkpoints in RAM. adapters_limit: bytes of parsed adapters to keep in RAM.
    kernels: the ways to run the denoiser.
    new_preview: makes the previews of a job; returns None when they are off.
    """

    def __init__(
        self,
        models_dir: Path,
        hashes_file: Path,
        place: Place,
        hub: Hub,
        *,
        profile: Profile,
        weights: str,
        streams: bool,
        cache: WeightCache,
        adapters_limit: int,
        kernels: Kernels,
        new_preview: Callable[[], Preview | None],
    ) -> None:
        self._place = place
        self._sources = Sources(models_dir, hub, half=place.dtype == torch.float16)
        self._hashes = HashCache(hashes_file)
        self._weights = weights
        self._streams = streams
        self._residency = Residency(
            place, cache, self._hashes, self._in_eight_bits, lambda old: self._kernels.forget(old)
        )
        self._references = References(place, cache)
        self._detector = Detector(place)
        self._controls = Controls(place, cache, self._detector)
        self._adapters = patches.AdapterCache(adapters_limit, self._hashes)
        self._upscaling = Upscaling(place, self._sources)
        self._describer = Describer(place, self._sources, self._hashes)
        self._encodings = Encodings()
        self._kernels = kernels
        self._new_preview = new_preview
        self.profile = profile

    @property
    def loaded(self) -> str | None:
        resident = self._residency.resident
        return resident.key if resident else None

    @staticmethod
    def out_of_memory(error: BaseException) -> bool:
        """See `is_out_of_memory`."""
        return is_out_of_memory(error)

    @staticmethod
    def device_lost(error: BaseException) -> bool:
        """See `is_device_lost`."""
        return is_device_lost(error)

    def free(self) -> None:
        """Free the model entirely; the caches in RAM stay."""
        self._references.free()
        self._controls.free()
        self._upscaling.free()
        self._residency.free()

    def rest(self) -> None:
        """Free the device's memory; compiled code and the caches in RAM stay."""
        self._references.free()
        self._controls.free()
        self._residency.rest()

    def paint(
        self, order: Order, report: Report, check_stop: CheckStop, profile: Profile, each: OnPainted
    ) -> Painting:
        """See `Engine.paint`. After an unexpected exception call `free`."""
        self._place.demand()
        check_stop()
        request = order.request
        alike = order.controls and order.model and order.model.key == self.loaded
        if not alike or profile in TOGETHER:
            self._controls.park()  # those of the last job would be in the way
        if order.request.only_map is not None:
            shown = locate_shown(order, self._sources, report, check_stop)
            make_room(self._residency.resident, profile)
            return alone.painting(shown, self._controls, self._hashes, self._place, each)
        # No name for the resident model here: another family's is freed before this one is loaded.
        words = self._describer.described(
            order, profile, self._residency.resident, report, check_stop
        )
        if words:
            return words
        enlarged = self._upscaling.enlarged(
            order, profile, self._residency.resident, report, check_stop
        )
        if enlarged and order.model is None:
            return enlarged.painting(request, self._place.describe(), each)
        needed = locate(order, self._sources, report, check_stop)
        recipe = self._recipe(needed)
        over = canvas(enlarged.image, needed.entry) if enlarged else None
        size = over.tile if over else request.painted_size
        chosen = self._plan(profile, size, needed.files, needed.family)
        resident = self._load(needed, chosen)
        applied = self._apply_adapters(needed, resident, chosen)
        read = [f.called(own.word) for f, own in zip(applied, order.adapters, strict=True)]
        recipe = replace(recipe, adapters=adapters_of(needed, read))
        encoders = {name: resident.network(name) for name in needed.family.text_encoders}
        files = embeddings.read_all(needed.embeddings, request.all_embeddings, encoders)
        recipe = replace(recipe, embeddings=embeddings.weights_of(needed.embeddings, files))
        learned = [file.learned for file in files]
        told = (
            *notices.of_adapters(needed.adapters, read, encoders),
            *notices.of_embeddings(needed.embeddings, learned),
        )
        learned += [
            each for file in read for each in file.embeddings.values() if each.fits(encoders)
        ]
        check_stop()
        images: list[PaintedImage] = []
        found: list[Found] = []
        with torch.inference_mode():
            prepared = self._prepare(needed, resident, chosen, recipe, read, learned)
            for number in range(request.count):
                if over:
                    image, scheduler = repaint(prepared, over)
                else:
                    image, scheduler, parts = paint_image(prepared, number)
                    found += parts
                images.append(image)
                each(image)
        recipe = replace(
            recipe,
            scheduler=sampling.describe(scheduler),
            environment={
                **self._place.describe(),
                **described(profile, prepared, self._place.dtype),
            },
        )
        if enlarged:
            recipe = enlarged.noted(recipe)
        recipe = replace(recipe, found=tuple(found))
        told += notices.of_found(request, found)
        self._compile(needed.entry, resident, chosen)
        return Painting(tuple(images), recipe, told)

    def preload(self, entry: ModelEntry, check_stop: CheckStop) -> None:
        """See `Engine.preload`. Nothing is downloaded."""
        if not (self._place.present and self._place.supported):
            return
        subject = Subject("model", entry.key, lambda _: None, check_stop)
        self._controls.park()
        try:
            files = model_files(entry, self._sources.without_downloads(), subject)
        except NotHere:
            return
        family = family_of(entry)
        for source in files.sources:
            digest_of(source, subject, self._hashes)  # which the first job would wait for
        chosen = self._plan(self.profile, entry.size, files, family)
        at_once = _at_once(family, chosen)
        resident = self._residency.load(files, family, subject, at_once, chosen.room)
        self._compile(entry, resident, chosen)

    def formats(self) -> dict[str, dict[str, str]]:
        """How networks of each family are stored here; see `bot.recipe.Environment`."""
        return {
            key: formats_in(
                formats.told(
                    {
                        name: family.formats(
                            name,
                            # Only a VAE's goes by its configuration, and that is left out.
                            family.dtype_of(name, {}, self._place),
                            in_eight_bits=self._in_eight_bits(family),
                        )
                        for name in family.networks
                    },
                    self._place.dtype,
                )
            )
            for key, family in FAMILIES.items()
        }

    def _plan(
        self, profile: Profile, size: tuple[int, int], files: ModelFiles, family: Family
    ) -> Plan:
        try:
            decoding = family.dtype_of(VAE, files.config_of(VAE), self._place)
            upcast = decoding.itemsize > self._place.dtype.itemsize
        except (OSError, ValueError):
            upcast = True  # the error is reported when the model is loaded
        return plan(
            profile,
            family.whole,
            *size,
            upcast=upcast,
            leaving=family.leaving,
            room=room(profile, family.too_large_on) if self._streams else None,
            together=TOGETHER.get(profile) if self._streams else None,
        )

    def _in_eight_bits(self, family: Family) -> bool:
        return in_eight_bits(self._weights, self.profile, family.too_large_on)

    def _compile(self, entry: ModelEntry, resident: Resident, chosen: Plan) -> None:
        """Start compiling the denoiser for this model's usual images."""
        usual = resident.family.usual_tokens
        if chosen.compiling and usual is not None:
            run = partial(resident.family.rehearse, resident, self._place)
            shapes = shapes_of(entry, entry.sampled_as.tokens or usual)
            self._kernels.prepare(resident.denoiser, shapes, run)

    def prefetch(self, adapters: Sequence[AdapterEntry]) -> None:
        """Read and hash the adapters of a waiting job; from any thread.

        Downloads nothing, and does nothing before the first model is loaded. Raises JobFailed where
        the job itself would.
        """
        known, bases = self._residency.targets, self._residency.adapter_bases
        for entry in adapters if known else ():
            if path := self._sources.adapter_here(entry):
                subject = Subject("adapter", entry.key, lambda _: None, lambda: None)
                self._adapters.get(path, known, bases, subject)

    def _recipe(self, needed: Needed) -> Recipe:
        """The recipe as far as it is known before anything is loaded: without the adapters and
        embeddings, whose headers are checked."""
        recipe = recipe_of(needed, self._hashes)
        if not self._are_next(needed):
            for path, subject in needed.adapters:
                self._adapters.check(path, subject)
        for source, subject in needed.embeddings:
            embeddings.check_headers(source, subject)
        if needed.reference:
            check_headers(*needed.reference)
        for source, subject in (*needed.controls, *needed.shown.helping):
            check_control(source, subject)
        recipe = replace(
            recipe,
            reference=reference_of(needed, self._hashes),
            controls=controls_of(needed, self._hashes),
        )
        return with_helping(recipe, needed.shown, self._hashes)

    def _are_next(self, needed: Needed) -> bool:
        """Whether a request's adapters are the next files that can be at fault.

        If not, the headers of all are checked first, so that which error a request gets does not
        depend on the model that happens to be there, and none is loaded in vain.
        """
        here = self._residency.resident
        if here is None or here.files != needed.files.fingerprint():
            return False
        others = (needed.embeddings, needed.reference, needed.controls, needed.shown.detector)
        return not any(others)

    def _load(self, needed: Needed, chosen: Plan) -> Resident:
        """Load the model, with the networks on the device that are needed first."""
        if chosen.park_denoiser:
            self._residency.park_denoiser()  # a stopped job may have left it there
        family, at_once = needed.family, _at_once(needed.family, chosen)
        if chosen.park_text_encoders:  # which may not be needed at all
            at_once = tuple(name for name in at_once if name not in family.text_encoders)
        return self._residency.load(needed.files, family, needed.subject, at_once, chosen.room)

    def _apply_adapters(
        self, needed: Needed, resident: Resident, chosen: Plan
    ) -> tuple[AdapterFile, ...]:
        """Apply exactly these adapters to the model, in this order."""
        read = []
        bases = self._residency.adapter_bases
        for number, (path, subject) in enumerate(needed.adapters):
            subject.tick(Stage.ADAPTERS, 0.0)
            try:
                read.append(self._adapters.get(path, resident.targets, bases, subject))
            except JobFailed:
                # See `_are_next`: what is wrong with a header is said first.
                for each in needed.adapters[number:]:
                    self._adapters.check(*each)
                raise
        resident.set_adapters(
            [
                (use.weight, use.weight if use.text_weight is None else use.text_weight, f.changes)
                for use, f in zip(needed.request.adapters, read, strict=True)
            ]
        )
        if not chosen.park_denoiser:
            resident.wake(needed.subject.check_stop, needed.family.denoiser)
        return tuple(read)

    def _prepare(
        self,
        needed: Needed,
        resident: Resident,
        chosen: Plan,
        recipe: Recipe,
        read: Sequence[AdapterFile],
        learned: Sequence[Learned],
    ) -> Prepared:
        """Encode the prompts, and the input images that all images of a request share."""
        request, family, check_stop = needed.request, needed.family, needed.subject.check_stop
        guided = needed.entry.is_guided(request.guidance)
        guidance = Guidance(
            scale=request.guidance if guided else 1.0,
            rescale=needed.entry.guidance_rescale,
            combine=family.guided,
        )
        on_text = patches_of(family, zip(request.adapters, read, recipe.adapters, strict=True))
        recall = self._encodings.recall(resident, on_text, self._place.device, check_stop)
        encoded = encoded_images(resident, request, learned, recall, guided=guided)
        if chosen.park_text_encoders:
            resident.park(*family.text_encoders)
        guide = None
        if needed.reference and request.reference:
            files, subject = needed.reference
            sha256, weight = request.reference.sha256, request.reference.weight
            image = (sha256, needed.shown.pictures[sha256])
            adapter, _ = recipe.reference
            guide = self._references.guide(
                files, adapter.sha256, image, weight, resident.denoiser, subject
            )
        controls = self._controls.following(needed, recipe, resident, chosen.together)
        start = started(needed, resident, chosen, controls)
        references = None
        if request.pictures:
            pictures = [needed.shown.pictures[sha256] for sha256 in request.pictures]
            resident.wake(check_stop, VAE)
            references = family.references(resident.vae, pictures, tiled=chosen.tiled)
        # Nothing was compiled for what a reference image attaches, for ControlNets, for images to
        # edit, for blocks that take turns, or for what wraps around.
        plain = guide or start.controls or references is not None or chosen.room is not None
        plain = plain or request.tile
        finding = needed.shown.detector if request.detail else None
        kernels = self._kernels.choose(resident.denoiser, "eager" if plain else request.kernels)
        return Prepared(
            request=request,
            training=needed.training,
            resident=resident,
            plan=chosen,
            device=self._place.device,
            dtype=family.latents_dtype(resident.parts[family.denoiser].layout.dtype),
            encoded=encoded,
            guidance=guidance,
            begun=start.begun,
            kept=start.kept,
            guide=guide,
            controls=start.controls,
            finder=finding and self._detector.ready(*finding),
            references=references,
            kernels=kernels,
            # What is unfinished would be seen of the part alone, in place of the image.
            preview=None if isinstance(start.kept, Region) else self._new_preview(),
            report=needed.subject.report,
            check_stop=check_stop,
        )


def _at_once(family: Family, chosen: Plan) -> tuple[str, ...]:
    """The networks that a job needs first."""
    return family.text_encoders if chosen.park_denoiser else family.networks
