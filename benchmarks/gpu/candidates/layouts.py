"""Candidates that lay the denoiser's weights out differently."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as nn

from benchmarks.bench_model import Bench
from benchmarks.gpu.candidates.seams import Decode, decoding, replaced
from bot.engine.weights import Part


@contextmanager
def channels_last(bench: Bench) -> Iterator[None]:
    """Convolution weights with channels last, as cuDNN's tensor-core kernels want them.

    Without it cuDNN transposes around each. Costs a copy of those weights per pass here.
    https://docs.pytorch.org/tutorials/intermediate/memory_format_tutorial.html.
    """
    painter = bench.painter
    relaid: dict[int, tuple[Part, _Relaid]] = {}

    def refresh(module: Any) -> None:
        for part in bench.resident.parts.values():
            if part.module is module:
                known = relaid.setdefault(id(part), (part, _Relaid(part)))[1]
                known.refresh()
                return
        raise RuntimeError(f"{type(module).__name__} is not a part of the resident model")

    def change(decode: Decode) -> Decode:
        def decoded(family: Any, vae: Any, *args: Any, **kwargs: Any) -> Any:
            refresh(vae)
            return decode(family, vae, *args, **kwargs)

        return decoded

    kernels = _BeforeEachPass(painter._kernels, refresh)
    try:
        with replaced(painter, "_kernels", kernels), decoding(change):
            yield
    finally:
        for _, known in relaid.values():
            known.restore()


class _BeforeEachPass:
    """`Kernels` that call `before` with the denoiser when a pass begins."""

    def __init__(self, kernels: Any, before: Callable[[Any], None]) -> None:
        self._kernels = kernels
        self._before = before

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kernels, name)

    def choose(self, module: Any, asked: str | None) -> Any:
        """See `Kernels.choose`."""
        choice = self._kernels.choose(module, asked)
        before = self._before

        class Choice:
            @property
            def used(self) -> Any:
                return choice.used

            def of(self, shape: Any) -> Any:
                before(module)
                return choice.of(shape)

        return Choice()


class _Relaid:
    """Copies of a part's convolution weights, with channels last, always at the same addresses."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._copies: dict[str, torch.nn.Parameter] = {}

    @torch.inference_mode(mode=False)
    @torch.no_grad()
    def refresh(self) -> None:
        """Have the module use the copies, with what the part's buffer holds now."""
        part = self._part
        if part._buffer is None:
            return
        for place in part._places:
            name = place.name
            view = part.layout.view(part._buffer, name)
            if view.ndim == 4:
                if name not in self._copies:
                    like = torch.empty_like(view, memory_format=torch.channels_last)
                    self._copies[name] = torch.nn.Parameter(like, requires_grad=False)
                self._copies[name].copy_(view)
                place.holder[place.leaf] = self._copies[name]

    def restore(self) -> None:
        """Have the module use the part's buffer again."""
        part = self._part
        if part._awake is not None and part._buffer is not None:
            part._put(part._awake[1])


@contextmanager
def fused_projections(bench: Bench) -> Iterator[None]:
    """One product for queries, keys and values, whose weights lie side by side in the buffer.

    A view, so adapters and other checkpoints reach it. diffusers' `fuse_projections` copies.
    """
    painter = bench.painter
    attached: dict[int, tuple[Any, dict[str, Any]]] = {}

    def attach(module: Any) -> None:
        if id(module) not in attached:
            own = dict(module.attn_processors)
            attached[id(module)] = (module, own)
            usual = {n: each for n, each in own.items() if not isinstance(each, torch.nn.Module)}
            module.set_attn_processor({**own, **dict.fromkeys(usual, _Fused())})

    kernels = _BeforeChoosing(painter._kernels, attach)
    try:
        with replaced(painter, "_kernels", kernels):
            yield
    finally:
        for module, own in attached.values():
            module.set_attn_processor(own)


class _BeforeChoosing:
    """`Kernels` that call `before` with the denoiser when a job begins."""

    def __init__(self, kernels: Any, before: Callable[[Any], None]) -> None:
        self._kernels = kernels
        self._before = before

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kernels, name)

    def choose(self, module: Any, asked: str | None) -> Any:
        """See `Kernels.choose`."""
        self._before(module)
        return self._kernels.choose(module, asked)


class _Fused:
    """Attention as AttnProcessor2_0 computes it in SDXL's UNet, with fused projections."""

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        *_: Any,
        **__: Any,
    ) -> torch.Tensor:
        if encoder_hidden_states is None:
            query, key, value = _projected(hidden_states, attn.to_q, attn.to_k, attn.to_v)
        else:
            query = attn.to_q(hidden_states)
            key, value = _projected(encoder_hidden_states, attn.to_k, attn.to_v)
        query, key, value = (
            each.view(*each.shape[:2], attn.heads, -1).transpose(1, 2)
            for each in (query, key, value)
        )
        attended = nn.scaled_dot_product_attention(query, key, value, attn_mask=attention_mask)
        result: torch.Tensor = attn.to_out[0](attended.transpose(1, 2).flatten(2))
        return result


def _projected(states: torch.Tensor, *layers: Any) -> tuple[torch.Tensor, ...]:
    weights = [layer.weight for layer in layers]
    fused = side_by_side(weights)
    if fused is None or any(layer.bias is not None for layer in layers):
        return tuple(layer(states) for layer in layers)
    return nn.linear(states, fused).chunk(len(layers), dim=-1)


def side_by_side(weights: list[torch.Tensor]) -> torch.Tensor | None:
    """One matrix of all rows of `weights`, sharing their memory; None where there are gaps."""
    first = weights[0]
    end = first.data_ptr()
    for weight in weights:
        if weight.data_ptr() != end or weight.shape != first.shape or not weight.is_contiguous():
            return None
        end += weight.nbytes
    rows, columns = first.shape
    return first.as_strided((rows * len(weights), columns), (columns, 1))
