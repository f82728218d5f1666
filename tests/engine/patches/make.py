"""Adapter files of every algorithm, for modules of the tiny model, of true SDXL, or made up.

make.file(path, "LoKr", make.demo_modules("kohya"))
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from tests.engine.factories import SHAPES, TEXT_WIDTHS, save, text_shapes

Shape: TypeAlias = tuple[int, ...]
Tensors: TypeAlias = dict[str, Any]
"""Torch tensors by the last part of their names."""

NORM = "down_blocks.1.resnets.0.norm1"
NORM_SHAPE = (32,)


def demo_modules(*, text: bool = True) -> dict[str, Shape]:
    """kohya's names of some Linears and a Conv2d of the tiny model → their weights' shapes."""
    modules: dict[str, Shape] = {_kohya("unet", path): shape for path, shape in SHAPES.items()}
    for encoder, width in TEXT_WIDTHS.items() if text else ():
        for path, shape in text_shapes(width).items():
            modules[_kohya(encoder, path)] = shape
    return modules


def usual_modules(known: Mapping[str, Any], *, convolutions: bool = False) -> dict[str, Shape]:
    """kohya's names of the modules that its trainer changes in SDXL: 722 + 264 Linears.

    known: from `Family.targets`, of a family with a UNet. convolutions: those of the resnets and
    samplers too, and the Linears of the time embedding in them, as in LoCon.
    """
    inside = ("attentions", "encoder.layers", *(("resnets", "samplers") if convolutions else ()))
    modules: dict[str, tuple[str, Shape]] = {}
    for name, target in known.items():
        changed = len(target.shape) > 1 and any(word in target.path for word in inside)
        if changed and name.startswith(("lora_unet_", "lora_te1_", "lora_te2_")):
            modules.setdefault(f"{target.part}.{target.path}", (name, target.shape))
    return dict(modules.values())


def sd15_modules() -> dict[str, Shape]:
    """kohya's names of the modules that its trainer changes in SD 1.5: 72 + 192."""
    modules: dict[str, Shape] = {}
    for layer in range(12):
        inside = f"lora_te_text_model_encoder_layers_{layer}"
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            modules[f"{inside}_self_attn_{name}"] = (768, 768)
        modules |= {f"{inside}_mlp_fc1": (3072, 768), f"{inside}_mlp_fc2": (768, 3072)}
    blocks = {"mid_block_attentions_0": 1280}
    for number, width in enumerate((320, 640, 1280)):
        blocks |= {f"down_blocks_{number}_attentions_{n}": width for n in range(2)}
        blocks |= {f"up_blocks_{3 - number}_attentions_{n}": width for n in range(3)}
    for block, width in blocks.items():
        inside = f"lora_unet_{block}_transformer_blocks_0"
        for name in ("proj_in", "proj_out"):
            modules[f"lora_unet_{block}_{name}"] = (width, width, 1, 1)
        for name in ("attn1_to_q", "attn1_to_k", "attn1_to_v", "attn1_to_out_0"):
            modules[f"{inside}_{name}"] = (width, width)
        for name in ("attn2_to_q", "attn2_to_out_0"):
            modules[f"{inside}_{name}"] = (width, width)
        for name in ("attn2_to_k", "attn2_to_v"):
            modules[f"{inside}_{name}"] = (width, 768)
        modules[f"{inside}_ff_net_0_proj"] = (8 * width, width)
        modules[f"{inside}_ff_net_2"] = (width, 4 * width)
    return modules


def demo_norms() -> dict[str, Shape]:
    """kohya's name of a GroupNorm of the tiny model's UNet."""
    return {_kohya("unet", NORM): NORM_SHAPE}


def _kohya(part: str, path: str) -> str:
    return f"lora_{part}_{path.replace('.', '_')}"


def file(
    path: Path,
    algorithm: str,
    modules: Mapping[str, Shape],
    *,
    rank: int = 4,
    alpha: float | None = 2.0,
    seed: int = 0,
    dtype: Any = None,
    metadata: dict[str, str] | None = None,
) -> Path:
    """Write an adapter of `algorithm`, a key of ALGORITHMS.

    modules: name in the file → shape.
    dtype: of all tensors but scalars; float32 when None. Every module gets different numbers; the
    same arguments give the same file.
    """
    tensors: dict[str, Any] = {}
    for number, (name, shape) in enumerate(modules.items()):
        made = module(algorithm, shape, rank=rank, alpha=alpha, seed=seed + number, dtype=dtype)
        tensors |= {f"{name}.{part}": tensor for part, tensor in made.items()}
    return save(path, tensors, metadata)


def module(
    algorithm: str,
    shape: Shape,
    *,
    rank: int = 4,
    alpha: float | None = 2.0,
    seed: int = 0,
    dtype: Any = None,
) -> Tensors:
    """The tensors in a file of `algorithm` for one module, by the last part of their names.

    The changes are strong: as large as the tiny model's weights.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)

    def some(*sides: int, size: float = 0.3) -> Any:
        return torch.randn(*sides, generator=generator) * size

    made = ALGORITHMS[algorithm](some, shape, rank)
    if dtype is not None:
        made = {name: tensor.to(dtype) if tensor.ndim else tensor for name, tensor in made.items()}
    if alpha is not None and algorithm in WITH_ALPHA:
        made["alpha"] = torch.tensor(alpha)
    return made


Some: TypeAlias = Callable[..., Any]


def _ones(shape: Shape) -> list[int]:
    return [1 for _ in shape[2:]]


def _lora(some: Some, shape: Shape, rank: int) -> Tensors:
    return {
        "lora_down.weight": some(rank, *shape[1:]),
        "lora_up.weight": some(shape[0], rank, *_ones(shape)),
    }


def _tucker_lora(some: Some, shape: Shape, rank: int) -> Tensors:
    return {
        "lora_down.weight": some(rank, shape[1], *_ones(shape)),
        "lora_mid.weight": some(rank, rank, *shape[2:]),
        "lora_up.weight": some(shape[0], rank, *_ones(shape)),
    }


def _rows(some: Some, shape: Shape) -> Tensors:
    return {"dora_scale": some(shape[0], 1, *_ones(shape)).abs() + 0.5}


def _columns(some: Some, shape: Shape) -> Tensors:
    return {"dora_scale": some(1, shape[1], *_ones(shape)).abs() + 0.5}


def _loha(some: Some, shape: Shape, rank: int) -> Tensors:
    columns = 1
    for side in shape[1:]:
        columns *= side
    return {
        f"hada_w{number}_{side}": some(*sides, size=0.6)
        for number in "12"
        for side, sides in (("a", (shape[0], rank)), ("b", (rank, columns)))
    }


def _tucker_loha(some: Some, shape: Shape, rank: int) -> Tensors:
    tensors: Tensors = {}
    for number in "12":
        tensors[f"hada_w{number}_a"] = some(rank, shape[0], size=0.6)
        tensors[f"hada_w{number}_b"] = some(rank, shape[1], size=0.6)
        tensors[f"hada_t{number}"] = some(rank, rank, *shape[2:], size=0.6)
    return tensors


def _lokr(first: str, second: str) -> Callable[[Some, Shape, int], Tensors]:
    """first, second: "full", "factored" or, for the second, "tucker". w1 is (4, 2)."""

    def make(some: Some, shape: Shape, rank: int) -> Tensors:
        a, c, b, d = 4, 2, shape[0] // 4, shape[1] // 2
        columns = d
        for side in shape[2:]:
            columns *= side
        tensors: Tensors = {}
        if first == "full":
            tensors["lokr_w1"] = some(a, c)
        else:
            tensors |= {"lokr_w1_a": some(a, rank), "lokr_w1_b": some(rank, c)}
        if second == "full":
            tensors["lokr_w2"] = some(b, d, *shape[2:])
        elif second == "factored":
            tensors |= {"lokr_w2_a": some(b, rank), "lokr_w2_b": some(rank, columns)}
        else:
            tensors |= {"lokr_w2_a": some(rank, b), "lokr_w2_b": some(rank, d)}
            tensors["lokr_t2"] = some(rank, rank, *shape[2:])
        return tensors

    return make


def _glora(some: Some, shape: Shape, rank: int) -> Tensors:
    return {
        "a1.weight": some(shape[1], rank, *_ones(shape)),
        "a2.weight": some(rank, shape[1], *_ones(shape)),
        "b1.weight": some(shape[0], rank, *_ones(shape)),
        "b2.weight": some(rank, *shape[1:]),
    }


def _tucker_glora(some: Some, shape: Shape, rank: int) -> Tensors:
    return _glora(some, (*shape[:2], *_ones(shape)), rank) | {
        "bm.weight": some(rank, rank, *shape[2:])
    }


def _old_glora(some: Some, shape: Shape, rank: int) -> Tensors:
    new = _glora(some, shape, rank)
    names = {"a1": "a2", "a2": "a1", "b1": "b2", "b2": "b1"}
    return {f"{names[name[:2]]}.weight": tensor for name, tensor in new.items()}


def _oft(some: Some, shape: Shape, rank: int) -> Tensors:
    return {"oft_blocks": some(shape[0] // 8, 8, 8)}


def _boft(some: Some, shape: Shape, rank: int) -> Tensors:
    return {"oft_blocks": some(4, 8, shape[0] // 8, shape[0] // 8, size=0.2)}


def _rescale(some: Some, shape: Shape) -> Tensors:
    return {"rescale": 1.0 + some(shape[0], 1, *_ones(shape))}


def _ia3(on_input: bool) -> Callable[[Some, Shape, int], Tensors]:
    def make(some: Some, shape: Shape, rank: int) -> Tensors:
        import torch

        number = shape[1] if on_input else shape[0]
        sides = (1, number, *_ones(shape)) if len(shape) > 2 else (number,)
        return {"weight": some(*sides), "on_input": torch.tensor(int(on_input))}

    return make


def _full(some: Some, shape: Shape, rank: int) -> Tensors:
    return {"diff": some(*shape)}


def _norm(some: Some, shape: Shape, rank: int) -> Tensors:
    return {"w_norm": some(*shape), "b_norm": some(*shape)}


def _with(
    make: Callable[[Some, Shape, int], Tensors], more: Callable[[Some, Shape], Tensors]
) -> Callable[[Some, Shape, int], Tensors]:
    return lambda some, shape, rank: make(some, shape, rank) | more(some, shape)


def _bias(some: Some, shape: Shape) -> Tensors:
    return {"diff_b": some(shape[0])}


ALGORITHMS: dict[str, Callable[[Some, Shape, int], Tensors]] = {
    "LoRA": _lora,
    "LoRA, Tucker": _tucker_lora,
    "LoRA, bias": _with(_lora, _bias),
    "DoRA": _with(_lora, _rows),
    "DoRA, columns": _with(_lora, _columns),
    "DoRA, Tucker": _with(_tucker_lora, _rows),
    "LoHa": _loha,
    "LoHa, Tucker": _tucker_loha,
    "LoHa, DoRA": _with(_loha, _rows),
    "LoKr": _lokr("full", "factored"),
    "LoKr, full": _lokr("full", "full"),
    "LoKr, both factored": _lokr("factored", "factored"),
    "LoKr, first factored": _lokr("factored", "full"),
    "LoKr, Tucker": _lokr("full", "tucker"),
    "LoKr, DoRA": _with(_lokr("full", "factored"), _columns),
    "GLoRA": _glora,
    "GLoRA, Tucker": _tucker_glora,
    "GLoRA, old": _old_glora,
    "Diag-OFT": _oft,
    "Diag-OFT, bounded": _oft,
    "Diag-OFT, rescaled": _with(_oft, _rescale),
    "BOFT": _boft,
    "BOFT, bounded": _with(_boft, _rescale),
    "(IA)³, input": _ia3(on_input=True),
    "(IA)³, output": _ia3(on_input=False),
    "full": _full,
    "full, bias": _with(_full, _bias),
    "norm": _norm,
}
"""Everything but "norm" is for Linear and Conv2d; the Tucker forms are for Conv2d only."""

WITH_ALPHA = {
    name for name in ALGORITHMS if name.startswith(("LoRA", "DoRA", "LoHa", "LoKr", "GLoRA"))
} | {"Diag-OFT, bounded", "BOFT, bounded"}


def fitting(shape: Shape) -> Iterable[str]:
    """The algorithms for a weight of `shape`."""
    if len(shape) == 1:
        return ("norm",)
    return tuple(
        name for name in ALGORITHMS if name != "norm" and (len(shape) > 2 or "Tucker" not in name)
    )
