"""Small networks of the architectures that upscalers have, with random weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from bot.engine.upscaling.library import library


def compact(scale: int = 2, features: int = 4) -> Any:
    from spandrel.architectures.Compact import Compact

    return Compact(num_feat=features, num_conv=1, upscale=scale)


def esrgan(scale: int = 4) -> Any:
    from spandrel.architectures.ESRGAN import ESRGAN

    return ESRGAN(num_filters=8, num_blocks=1, scale=scale)


def hat() -> Any:
    from spandrel.architectures.HAT import HAT

    return HAT(
        embed_dim=12,
        depths=(1,),
        num_heads=(2,),
        window_size=8,
        upscale=2,
        num_feat=64,
        squeeze_factor=4,
    )


def swin_ir() -> Any:
    from spandrel.architectures.SwinIR import SwinIR

    return SwinIR(
        embed_dim=12, depths=[1], num_heads=[2], window_size=8, upscale=2, upsampler="pixelshuffle"
    )


def omni_sr() -> Any:
    from spandrel.architectures.OmniSR import OmniSR

    return OmniSR(num_feat=16, up_scale=2)


def dat() -> Any:
    from spandrel.architectures.DAT import DAT

    return DAT(embed_dim=16, split_size=[4, 4], depth=[1], num_heads=[2], upscale=2)


def span() -> Any:
    from spandrel.architectures.SPAN import SPAN

    return SPAN(num_in_ch=3, num_out_ch=3, feature_channels=8, upscale=2)


def drct() -> Any:
    from spandrel.architectures.DRCT import DRCT

    return DRCT(
        embed_dim=16,
        depths=(1,),
        num_heads=(2,),
        window_size=8,
        upscale=2,
        upsampler="pixelshuffle",
        gc=8,
    )


def plksr() -> Any:
    from spandrel.architectures.PLKSR import PLKSR

    return PLKSR(dim=8, n_blocks=1, upscaling_factor=2)


def real_plksr() -> Any:
    from spandrel.architectures.PLKSR import RealPLKSR

    return RealPLKSR(dim=8, n_blocks=1, upscaling_factor=2)


def rcan() -> Any:
    from spandrel.architectures.RCAN import RCAN

    return RCAN(scale=2, n_resgroups=1, n_resblocks=1, n_feats=16, reduction=4)


EVERY: dict[str, tuple[str, Callable[[], Any]]] = {
    "Compact": ("Compact", compact),
    "ESRGAN": ("ESRGAN", esrgan),
    "HAT": ("HAT", hat),
    "SwinIR": ("SwinIR", swin_ir),
    "OmniSR": ("OmniSR", omni_sr),
    "DAT": ("DAT", dat),
    "SPAN": ("SPAN", span),
    "DRCT": ("DRCT", drct),
    "PLKSR": ("PLKSR", plksr),
    "RealPLKSR": ("PLKSR", real_plksr),
    "RCAN": ("RCAN", rcan),
}
"""Name → spandrel's id of the architecture, and what builds a network of it."""


def written(path: Path, build: Callable[[], Any], seed: int = 1) -> Path:
    """A file of a network with random weights; returns its path."""
    library()
    torch.manual_seed(seed)
    state = {name: tensor.contiguous().clone() for name, tensor in build().state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, path)
    return path
