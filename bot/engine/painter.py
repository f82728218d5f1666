"""One job from request to pictures. Imports torch; runs in the engine thread only."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import PIL
import PIL.Image
import torch
from PIL.Image import Image

from bot.engine import patches, pixels, prompt, sampling
from bot.engine.environment import Place, is_out_of_memory
from bot.engine.hashing import HashBook
from bot.engine.hub import Hub
from bot.engine.kernels import Kernels, Shape, rehearse
from bot.engine.memory import Plan, Profile, plan
from bot.engine.networks import NETWORKS, TEXT, ModelFiles
from bot.engine.owner import Owner, public
from bot.engine.passes import Job, paint_image
from bot.engine.patches import AdapterFile
from bot.engine.prompt import CHUNK, SDXL_LAYER, Encoded
from bot.engine.reference import References, check_headers
from bot.engine.residency import Residency, Resident
from bot.engine.results import Painting
from bot.engine.sources import ReferenceFiles, Source, Sources
from bot.engine.weights import Shelf
from bot.errors import JobFailed
from bot.inputs import picture_path
from bot.progress import Notice, Progress, Stage
from bot.recipe import Recipe, Weights
from bot.request import GenerationRequest
from catalog import Catalog, ModelEntry

Report = Callable[[Progress], None]
CheckStop = Callable[[], None]


class Painter:
    """Paints one request after another with one resident model.

    inputs_dir: the pictures that requests refer to.
    profile: how much of the model may stay on the device.
    shelf: checkpoints in RAM. adapters_limit: bytes of parsed adapters to keep in RAM.
    kernels: the ways to run the UNet.
    """

    def __init__(
        self,
        models_dir: Path,
        hashes_file: Path,
        place: Place,
        hub: Hub,
        *,
        inputs_dir: Path | None,
        profile: Profile,
        shelf: Shelf,
        adapters_limit: int,
        kernels: Kernels,
    ) -> None:
        self._place = place
        self._sources = Sources(models_dir, hub, half=place.dtype == torch.float16)
        self._hashes = HashBook(hashes_file)
        self._residency = Residency(place, shelf, self._hashes)
        self._references = References(place, shelf)
        self._inputs_dir = inputs_dir
        self._library = patches.Library(adapters_limit)
        self._data_starts: dict[tuple[str, int, int], int] = {}
        self._kernels = kernels
        self.profile = profile

    @property
    def loaded(self) -> str | None:
        resident = self._residency.resident
        return resident.key if resident else None

    @staticmethod
    def out_of_memory(error: BaseException) -> bool:
        """Whether `error` says that no memory was left."""
        return is_out_of_memory(error)

    def free(self) -> None:
        """Let go of the model altogether; what is kept in RAM stays there."""
        self._references.free()
        self._kernels.forget()
        self._residency.free()

    def rest(self) -> None:
        """Give the device's memory back; what is compiled and what is kept in RAM stays."""
        self._references.free()
        self._residency.rest()

    def paint(
        self,
        request: GenerationRequest,
        catalog: Catalog,
        report: Report,
        check_stop: CheckStop,
        profile: Profile,
    ) -> Painting:
        """See `Engine.paint`. After an unexpected exception call `free`."""
        self._place.demand()
        check_stop()
        model = Owner("model", request.model, report, check_stop)
        if request.model not in catalog.models:
            raise JobFailed("model.gone", model=request.model)
        entry = catalog.models[request.model]
        pictures = {sha256: self._picture(sha256) for sha256 in request.inputs}
        files = self._files(entry, model)
        worn = self._adapters(request, catalog, report, check_stop)
        guiding = self._guiding(request, catalog, report, check_stop)
        checkpoint_weights, vae_weights = self._weigh(files, entry.vae_path, model)
        adapter_weights = tuple(self._weigh_adapter(path, owner) for path, owner in worn)
        reference_weights = self._weigh_reference(*guiding) if guiding else ()

        chosen = plan(profile, *request.final_size)
        if chosen.park_unet and self._residency.resident:
            # An earlier job that failed may have left it.
            self._residency.resident.park("unet")
        at_once = TEXT if chosen.park_unet else NETWORKS
        resident = self._residency.bring(files, model, at_once)
        read = self._read(worn, resident)
        self._put_on(request, resident, read, chosen, check_stop)
        check_stop()
        images = []
        with torch.inference_mode():
            encoded = self._encode(request, resident)
            if chosen.park_text_encoders:
                resident.park(*TEXT)
            guide = None
            if guiding and request.reference:
                image = (request.reference.sha256, pictures[request.reference.sha256])
                guide = self._references.guide(
                    guiding[0],
                    reference_weights[0].sha256,
                    image,
                    request.reference.weight,
                    resident.unet,
                    guiding[1],
                )
            begun = None
            if request.init_image:
                picture = pictures[request.init_image.sha256]
                resident.wake(check_stop, "vae")
                begun = pixels.distribution(
                    resident.vae,
                    pixels.fitted(picture, request.width, request.height),
                    tiled=chosen.tiled,
                )
            job = Job(
                request,
                entry,
                resident,
                chosen,
                self._place.device,
                encoded,
                begun,
                guide,
                self._kernels,
                set(),
                report,
                check_stop,
            )
            for number in range(request.count):
                image_, scheduler = paint_image(job, number)
                images.append(image_)
        recipe = Recipe(
            request=request,
            checkpoint=checkpoint_weights,
            vae=vae_weights,
            adapters=adapter_weights,
            reference=reference_weights,
            scheduler=sampling.describe(scheduler),
            environment={**self._place.describe(), **_described(profile, job)},
        )
        self._prepare(entry, resident)
        return Painting(tuple(images), recipe, _notices(worn, read))

    def preload(self, catalog: Catalog, check_stop: CheckStop) -> None:
        """Bring the default model before anybody asks for it, unless it must be downloaded."""
        entry = catalog.models.get(catalog.default)
        if not entry or not self._place.present or not self._sources.here(entry):
            return
        owner = Owner("model", entry.key, lambda _: None, check_stop)
        files = self._files(entry, owner)
        self._weigh(files, entry.vae_path, owner)
        self._prepare(entry, self._residency.bring(files, owner, NETWORKS))

    def _prepare(self, entry: ModelEntry, resident: Resident) -> None:
        """Have the UNet compiled for the pictures that most people want of this model."""
        shape = Shape(2, CHUNK, *entry.size)
        projection = resident.text_encoder_2.config.projection_dim
        run = partial(rehearse, shape, projection, self._place)
        self._kernels.prepare(resident.unet, shape, run)

    def prefetch(self, request: GenerationRequest, catalog: Catalog) -> None:
        """Read the adapters of a waiting job from disk; from any thread.

        Nothing is downloaded, and nothing happens before the first model told its names. Raises
        JobFailed where the job itself would.
        """
        known = self._residency.targets
        for use in request.adapters if known else ():
            entry = catalog.adapters.get(use.key)
            path = self._sources.adapter_here(entry) if entry else None
            if path:
                owner = Owner("adapter", use.key, lambda _: None, lambda: None)
                self._library.get(path, known, owner)

    def _files(self, entry: ModelEntry, owner: Owner) -> ModelFiles:
        checkpoint = self._sources.checkpoint(entry, owner)
        return ModelFiles(
            checkpoint,
            self._sources.vae(entry, owner),
            self._sources.config(entry, owner) if checkpoint.single else None,
        )

    def _adapters(
        self, request: GenerationRequest, catalog: Catalog, report: Report, check_stop: CheckStop
    ) -> list[tuple[Path, Owner]]:
        found = []
        for use in request.adapters:
            if use.key not in catalog.adapters:
                raise JobFailed("adapter.gone", adapter=use.key)
            owner = Owner("adapter", use.key, report, check_stop)
            found.append((self._sources.adapter(catalog.adapters[use.key], owner), owner))
        return found

    def _guiding(
        self, request: GenerationRequest, catalog: Catalog, report: Report, check_stop: CheckStop
    ) -> tuple[ReferenceFiles, Owner] | None:
        """The IP-Adapter that the request needs, if it does."""
        if request.reference is None:
            return None
        if catalog.reference is None:
            raise JobFailed("reference.none")
        owner = Owner("reference", public(catalog.reference.path), report, check_stop)
        return self._sources.reference(catalog.reference, owner), owner

    def _weigh(
        self, files: ModelFiles, vae_path: str | None, owner: Owner
    ) -> tuple[Weights, Weights | None]:
        checkpoint = self._digest(files.checkpoint, owner)
        vae = self._digest(files.vae, owner) if files.vae else None
        return (
            Weights(owner.key, checkpoint, checkpoint[:10]),
            Weights(public(str(vae_path)), vae, vae[:10]) if vae else None,
        )

    def _digest(self, source: Source, owner: Owner) -> str:
        def tick(fraction: float) -> None:
            owner.tick(Stage.LOADING, fraction)

        if source.single:
            return self._hashes.of_file(source.single, tick)
        return self._hashes.of_files(source.root, source.files, tick)

    def _weigh_adapter(self, path: Path, owner: Owner) -> Weights:
        def tick(fraction: float) -> None:
            owner.tick(Stage.ADAPTERS, fraction)

        stat = path.stat()
        stamp = (str(path), stat.st_size, stat.st_mtime_ns)
        if stamp not in self._data_starts:  # a header of 3,000 tensors takes 20 ms to check
            self._data_starts[stamp] = patches.check_header(path, owner).data_start
        whole = self._hashes.of_file(path, tick)
        data = self._hashes.of_data(path, self._data_starts[stamp], tick)
        return Weights(owner.key, whole, data[:12])

    def _weigh_reference(self, files: ReferenceFiles, owner: Owner) -> tuple[Weights, ...]:
        def tick(fraction: float) -> None:
            owner.tick(Stage.LOADING, fraction)

        check_headers(files, owner)
        adapter = self._hashes.of_file(files.adapter.files[0], tick)
        encoder = self._hashes.of_files(files.encoder.root, files.encoder.files, tick)
        return (
            Weights(files.adapter.files[0].name, adapter, adapter[:10]),
            Weights(files.encoder.root.name, encoder, encoder[:10]),
        )

    def _picture(self, sha256: str) -> Image:
        """A picture that a person gave; JobFailed when it is no longer kept."""
        try:
            if self._inputs_dir is None:
                raise FileNotFoundError
            with PIL.Image.open(picture_path(self._inputs_dir, sha256), formats=("PNG",)) as file:
                return file.convert("RGB")
        except (OSError, ValueError):
            raise JobFailed("picture.gone") from None

    def _read(
        self, worn: Sequence[tuple[Path, Owner]], resident: Resident
    ) -> tuple[AdapterFile, ...]:
        read = []
        for path, owner in worn:
            owner.tick(Stage.ADAPTERS, 0.0)
            read.append(self._library.get(path, resident.targets, owner))
        return tuple(read)

    def _put_on(
        self,
        request: GenerationRequest,
        resident: Resident,
        read: Sequence[AdapterFile],
        chosen: Plan,
        check_stop: CheckStop,
    ) -> None:
        """Make these adapters, in this order, the ones on the model."""
        sets = [
            (use.weight, use.weight if use.text_weight is None else use.text_weight, file.changes)
            for use, file in zip(request.adapters, read, strict=True)
        ]
        resident.wear(sets)
        resident.wake(check_stop, *TEXT)
        if not chosen.park_unet:
            resident.wake(check_stop, "unet")

    def _encode(self, request: GenerationRequest, resident: Resident) -> Encoded:
        depth = prompt.deepest_clip_skip(resident)
        if (request.clip_skip or SDXL_LAYER) > depth:
            raise JobFailed("model.clip_skip", model=resident.key, max=depth)
        # Guidance 1.0 is the prompt alone: the negative one would never be looked at.
        negative = request.negative if request.guidance > 1.0 else None
        return prompt.encode(resident, request.painted_prompt, negative, request.clip_skip)


def _notices(worn: Sequence[tuple[Path, Owner]], read: Sequence[AdapterFile]) -> tuple[Notice, ...]:
    return tuple(
        Notice(
            "adapter.partial",
            {"adapter": owner.key, "matched": file.matched, "total": file.total},
        )
        for file, (_, owner) in zip(read, worn, strict=True)
        if file.matched < file.total
    )


def _described(profile: Profile, job: Job) -> dict[str, str]:
    """What the bits depend on besides the request and the place."""
    facts = {
        "memory": profile.value,
        "decoding": "tiled" if job.plan.tiled else "whole",
        "kernels": "compiled" if "compiled" in job.used else "eager",
    }
    if job.entry.guidance_rescale:
        facts["guidance_rescale"] = f"{job.entry.guidance_rescale:g}"
    if job.request.inputs or job.request.hires:
        facts["pillow"] = PIL.__version__  # which scales the pictures
    return facts
