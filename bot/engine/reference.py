"""Reference images: IP-Adapters (arXiv 2308.06721) for denoisers that are UNets. Imports torch.

An image encoder turns the image into embeddings, once; then it leaves the device, and the
embeddings stay in RAM. Additional layers next to the UNet's cross-attention attend to them. These
are attached only while the UNet denoises a request with a reference; other requests take the same
path as if there were none.
"""

import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import PIL.Image
import torch
from diffusers.models.attention_processor import IPAdapterAttnProcessor2_0
from diffusers.models.embeddings import ImageProjection, MultiIPAdapterImageProjection
from transformers import CLIPImageProcessorPil, CLIPVisionConfig, CLIPVisionModelWithProjection

from bot.engine import networks
from bot.engine.building import BUILDING, without_weights
from bot.engine.configurations import CLIP_VISION, known
from bot.engine.environment import Place, is_the_devices
from bot.engine.sources import ReferenceFiles, Source
from bot.engine.subject import Subject
from bot.engine.weights import Formats, Part, PristineWeights, WeightCache
from bot.errors import ImagenError
from bot.progress import Stage
from catalog.weight_files import NotSafetensors, quantisation, read_header

log = logging.getLogger(__name__)

PICTURES_KEPT: Final = 64
"""How many images' embeddings stay in RAM: 1.3 MB each at most, in 16 bits."""

Shape = tuple[int, int]


class Layers(torch.nn.Module):
    """The layers that an IP-Adapter adds to a UNet.

    projection: from the encoder's embeddings to tokens. attentions: name of a processor in the
    UNet → the one that replaces it.
    """

    def __init__(
        self, projection: torch.nn.Module, attentions: Mapping[str, IPAdapterAttnProcessor2_0]
    ) -> None:
        super().__init__()
        self.projection = MultiIPAdapterImageProjection([projection])
        self.attentions = torch.nn.ModuleList(attentions.values())
        self.names = tuple(attentions)


@dataclass(frozen=True, slots=True)
class Guide:
    """One job's reference image.

    picture, nothing: the encoder's embeddings of it, and those for no image, each with a first
    axis for the batch and a second one for images. weight: of the attention to it.
    """

    picture: torch.Tensor
    nothing: torch.Tensor
    weight: float
    part: Part

    def embeddings(self, *, guided: bool) -> list[torch.Tensor]:
        """As the UNet takes them; with guidance, the embeddings for no image come first."""
        return [torch.cat([self.nothing, self.picture]) if guided else self.picture]

    @contextmanager
    def attached(self, unet: Any, check_stop: Callable[[], None]) -> Iterator[None]:
        """Attach the layers to `unet` within the block; afterwards it is as before."""
        self.part.wake(check_stop)
        layers: Any = self.part.module
        for attention in layers.attentions:
            attention.scale = [self.weight]
        own = dict(unet.attn_processors)
        added = dict(zip(layers.names, layers.attentions, strict=True))
        unet.set_attn_processor({**own, **added})
        unet.encoder_hid_proj = layers.projection
        unet.config.encoder_hid_dim_type = "ip_image_proj"
        try:
            yield
        finally:
            # First, because the processors of a Plus projection would count as the UNet's.
            unet.encoder_hid_proj = None
            unet.config.encoder_hid_dim_type = None
            unet.set_attn_processor(own)

    def park(self) -> None:
        """Free the device's memory of the layers."""
        self.part.park()


class References:
    """The IP-Adapter in use, and the images that were encoded for it."""

    def __init__(self, place: Place, cache: WeightCache) -> None:
        self._place = place
        self._cache = cache
        self._layers: tuple[Any, Part] | None = None
        self._embeddings: OrderedDict[Any, tuple[torch.Tensor, torch.Tensor]] = OrderedDict()

    def free(self) -> None:
        """Free the device's memory; the embeddings stay in RAM."""
        self._layers = None

    def guide(
        self,
        files: ReferenceFiles,
        digest: str,
        image: tuple[str, PIL.Image.Image],
        weight: float,
        unet: Any,
        subject: Subject,
    ) -> Guide:
        """Encode an image, unless its embeddings are known, and prepare the layers for `unet`.

        digest: of the adapter's file. image: its sha256 and the image.
        Raises JobFailed, or what `subject.check_stop` raises.
        """
        try:
            part = self._ready(files, digest, unet, subject)
            picture, nothing = (
                tensor.to(self._place.device)
                for tensor in self._encoded(files, image, part, subject)
            )
        except Exception as error:
            if isinstance(error, ImagenError | MemoryError) or is_the_devices(error):
                raise
            if isinstance(error, OSError) and error.errno is not None:
                raise subject.unread(files.adapter.root, error) from error
            log.warning("The reference %s cannot be used", subject.key, exc_info=True)
            raise subject.failed("reference.unreadable", reason=type(error).__name__) from error
        return Guide(picture, nothing, weight, part)

    def _ready(self, files: ReferenceFiles, digest: str, unet: Any, subject: Subject) -> Part:
        wanted = _attentions(unet)
        key = (files.adapter.fingerprint(), tuple(wanted.items()))
        if self._layers is None or self._layers[0] != key:
            self._layers = None
            subject.tick(Stage.LOADING, 0.0)
            part = self._read(files, digest, wanted, unet, subject)
            self._layers = (key, part)
        return self._layers[1]

    def _read(
        self,
        files: ReferenceFiles,
        digest: str,
        wanted: Mapping[str, Shape],
        unet: Any,
        subject: Subject,
    ) -> Part:
        stored = networks.stored(files.adapter.weights)
        check(stored, wanted, subject)
        image_proj = {
            name.removeprefix("image_proj."): tensor
            for name, tensor in stored.items()
            if name.startswith("image_proj.")
        }
        # Only by accident a method of the UNet; tensor names differ between kinds of IP-Adapter.
        convert = unet._convert_ip_adapter_image_proj_to_diffusers  # noqa: SLF001
        with without_weights():
            attentions = {
                name: IPAdapterAttnProcessor2_0(inner, context)
                for name, (inner, context) in wanted.items()
            }
        with BUILDING:
            projection = convert(image_proj, low_cpu_mem_usage=False)
        module = Layers(projection, attentions)
        tensors = {name: tensor.detach() for name, tensor in module.named_parameters()}
        for number in range(len(wanted)):
            for side in ("k", "v"):
                source = stored[f"ip_adapter.{_place(number)}.to_{side}_ip.weight"]
                tensors[f"attentions.{number}.to_{side}_ip.0.weight"] = source
        part = Part(module, Formats(self._place.dtype), self._place.device)
        part.park()
        part.hold(self._cache.take(digest, part.layout, lambda: tensors, subject.check_stop))
        return part

    def _encoded(
        self,
        files: ReferenceFiles,
        image: tuple[str, PIL.Image.Image],
        part: Part,
        subject: Subject,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        sha256, picture = image
        key = (sha256, files.adapter.fingerprint(), files.encoder.fingerprint())
        if key in self._embeddings:
            self._embeddings.move_to_end(key)
            return self._embeddings[key]
        subject.tick(Stage.LOADING, 0.0)
        projection = part.module.projection.image_projection_layers[0]
        encoded = self._encode(files.encoder, picture, projection, subject)
        self._embeddings[key] = encoded
        while len(self._embeddings) > PICTURES_KEPT:
            self._embeddings.popitem(last=False)
        return encoded

    def _encode(
        self, files: Source, picture: PIL.Image.Image, projection: Any, subject: Subject
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings in RAM of `picture` and of no image, computed as in diffusers' pipelines."""
        text = (files.root / "config.json").read_text(encoding="utf-8")
        config = CLIPVisionConfig.from_dict(
            known("image_encoder", json.loads(text), CLIP_VISION, subject)
        )
        with without_weights():
            module = CLIPVisionModelWithProjection(config)
        part = Part(module, Formats(self._place.dtype), self._place.device)
        tensors = networks.fitting(
            "image_encoder", networks.stored(files.weights), part.layout, subject
        )
        # Not cached: it is used only once per image.
        part.hold(PristineWeights("", part.layout, None, tensors))
        pooled = isinstance(projection, ImageProjection)
        width = config.projection_dim if pooled else config.hidden_size
        if width != (expected := _width(projection)):
            raise subject.failed("reference.encoder", found=width, expected=expected)
        part.wake(subject.check_stop)
        size = config.image_size
        processor = CLIPImageProcessorPil(size=size, crop_size=size)
        pixels = processor(picture, return_tensors="pt").pixel_values
        pixels = pixels.to(self._place.device, self._place.dtype)
        if pooled:
            found = part.module(pixels).image_embeds
            nothing = torch.zeros_like(found)
        else:
            found, nothing = (
                part.module(seen, output_hidden_states=True).hidden_states[-2]
                for seen in (pixels, torch.zeros_like(pixels))
            )
        encoded = found[None].cpu(), nothing[None].cpu()
        part.park()
        self._place.empty_cache()
        return encoded


def check_headers(files: ReferenceFiles, subject: Subject) -> None:
    """Raise JobFailed when a file is not a valid .safetensors file, or is quantised."""
    for path in (*files.adapter.weights, *files.encoder.weights):
        try:
            header = read_header(path)
        except NotSafetensors as error:
            raise subject.failed(
                "reference.not_safetensors", file=path.name, reason=str(error)
            ) from None
        reason = quantisation.refusal(header)
        if reason or any(map(quantisation.is_companion, header.shapes)):
            said = reason or "its weights are scaled 8-bit floats"
            raise subject.failed("reference.unreadable", reason=said)


_KINDS: Final = ("proj.weight", "proj.3.weight", "latents")
"""Tensors that identify IP-Adapters for CLIP's embeddings: plain, full face, Plus."""
_FACE_ID: Final = "perceiver_resampler."
"""Tensors of those for a face recogniser's embeddings, which come with LoRAs."""


def check(stored: networks.Tensors, wanted: Mapping[str, Shape], subject: Subject) -> None:
    """Raise JobFailed unless `stored` is an IP-Adapter for a UNet with the attentions `wanted`."""
    sides = [name.removeprefix("image_proj.") for name in stored if name.startswith("image_proj.")]
    face = any(name.startswith(_FACE_ID) for name in sides)
    if face or not any(kind in sides for kind in _KINDS):
        raise subject.failed("reference.foreign")
    for number, shape in enumerate(wanted.values()):
        for side in ("k", "v"):
            tensor = stored.get(f"ip_adapter.{_place(number)}.to_{side}_ip.weight")
            if tensor is None or tuple(tensor.shape) != shape:
                raise subject.failed("reference.foreign")


def _place(number: int) -> int:
    """The file's number for cross-attention `number`; it counts self-attentions too."""
    return 2 * number + 1


def _attentions(unet: Any) -> dict[str, Shape]:
    """The processors of the UNet's cross-attentions, in its order, and the shapes of their keys."""
    shapes: dict[str, Shape] = {}
    for name in unet.attn_processors:
        if name.endswith("attn2.processor"):
            attention = unet.get_submodule(name.removesuffix(".processor"))
            inner, context = attention.to_k.weight.shape
            shapes[name] = (inner, context)
    return shapes


def _width(projection: Any) -> int:
    """The width of the embeddings that a projection takes."""
    if isinstance(projection, ImageProjection):
        return int(projection.image_embeds.in_features)
    first = getattr(projection, "proj_in", None) or projection.ff.net[0].proj
    return int(first.in_features)
