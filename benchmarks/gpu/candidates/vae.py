"""Candidates for decoding: the VAE in 16 bits, and pixels that become bytes on the device."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import PIL.Image
import torch

from benchmarks.bench_model import Bench
from benchmarks.gpu.candidates.seams import Decode, decoding, replaced
from bot.engine import pixels
from bot.engine.families import VAE

SCALE: Final = 2.0**-4
"""Of the decoder's activations in fp16; SDXL's exceed fp16 by less than this."""


@contextmanager
def in_bf16(bench: Bench) -> Iterator[None]:
    """Decode in bf16, which has fp32's range and uses the tensor cores.

    https://huggingface.co/madebyollin/sdxl-vae-fp16-fix compares it with fp32.
    """
    with _converted(bench, lambda vae: vae.to(torch.bfloat16)):
        yield


@contextmanager
def in_scaled_fp16(bench: Bench) -> Iterator[None]:
    """Decode in fp16 with activations scaled by SCALE, a power of two, so that they fit.

    sdxl-vae-fp16-fix was trained to have smaller ones; `scale_decoder` needs no training, because
    a GroupNorm follows wherever the scale would matter.
    """

    def convert(vae: Any) -> Any:
        scale_decoder(vae.decoder, SCALE)
        return vae.to(torch.float16)

    with _converted(bench, convert):
        yield


@contextmanager
def _converted(bench: Bench, convert: Callable[[Any], Any]) -> Iterator[None]:
    """Decode with a converted copy of the VAE, made once per VAE's weights."""
    made: list[tuple[Any, Any]] = []

    def of(vae: Any) -> Any:
        where = bench.resident.parts[VAE].digest
        if not made or made[0][0] != where:
            made.clear()
            other = convert(copy.deepcopy(vae))
            decode = other.decode

            def in_fp32(*args: Any, **kwargs: Any) -> tuple[torch.Tensor]:
                # 8 bits of mantissa are too few for what follows.
                return (decode(*args, **kwargs)[0].float(),)

            other.decode = in_fp32
            made.append((where, other))
        return made[0][1]

    def change(decode: Decode) -> Decode:
        def decoded(family: Any, vae: Any, *args: Any, **kwargs: Any) -> Any:
            return decode(family, of(vae), *args, **kwargs)

        return decoded

    with decoding(change):
        yield


@torch.no_grad()
def scale_decoder(decoder: Any, scale: float) -> None:
    """Scale the activations between the norms of a VAE's decoder; its result stays the same.

    decoder: of a diffusers AutoencoderKL. scale: a power of two, so that nothing is rounded in
    weights that do not underflow.
    """
    _shrink(decoder.conv_in, scale)
    resnets, upsamplers = list(decoder.mid_block.resnets), list[Any]()
    attentions = [each for each in decoder.mid_block.attentions if each is not None]
    for block in decoder.up_blocks:
        resnets += block.resnets
        upsamplers += block.upsamplers or ()
    for resnet in resnets:
        # norm → conv → norm → conv, added to what came in.
        for norm in (resnet.norm1, resnet.norm2):
            norm.eps *= scale**2
        _shrink(resnet.conv1, scale)
        _shrink(resnet.conv2, scale)
        if resnet.conv_shortcut is not None:
            _shrink_bias(resnet.conv_shortcut, scale)
    for attention in attentions:
        attention.group_norm.eps *= scale**2
        _shrink(attention.to_out[0], scale)
    for upsampler in upsamplers:
        _shrink_bias(upsampler.conv, scale)
    decoder.conv_norm_out.eps *= scale**2


def _shrink(layer: Any, scale: float) -> None:
    layer.weight.mul_(scale)
    _shrink_bias(layer, scale)


def _shrink_bias(layer: Any, scale: float) -> None:
    if layer.bias is not None:
        layer.bias.mul_(scale)


@contextmanager
def bytes_on_device(bench: Bench) -> Iterator[None]:
    """Round pixels to bytes on the device: a quarter of the copy, and no work in NumPy.

    The same bytes as diffusers' VaeImageProcessor, which does the same operations in this order.
    """
    original = pixels._processor

    def processor(family: Any) -> Any:
        return _OnDevice(original(family))

    with replaced(pixels, "_processor", processor):
        yield


class _OnDevice:
    """A VaeImageProcessor whose images become bytes on the device."""

    def __init__(self, processor: Any) -> None:
        self.preprocess = processor.preprocess
        self._denormalize = processor.denormalize

    def postprocess(self, images: torch.Tensor, output_type: str) -> list[PIL.Image.Image]:
        """As VaeImageProcessor's. output_type: "pil"."""
        del output_type
        return [
            PIL.Image.fromarray(each.cpu().numpy()) for each in as_bytes(self._denormalize(images))
        ]


def as_bytes(images: torch.Tensor) -> torch.Tensor:
    """images: 0.0–1.0 and finite, (n, 3, height, width) → uint8, (n, height, width, 3).

    Both NumPy and torch round halves to even.
    """
    return (images.float() * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
