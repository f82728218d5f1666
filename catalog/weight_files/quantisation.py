"""Quantised weights: what a file's header says about how its numbers are to be read.

Plain 8-bit floats are numbers like any others. Scaled ones, as ComfyUI writes them, are multiplied
by a scale beside each weight. All other kinds would be taken for plain numbers, and are refused.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic_core import from_json

from catalog.lines import clean_line
from catalog.weight_files.gguf import BLOCKS, PACKINGS
from catalog.weight_files.header import AXES_LIMIT, Header

FLOATS: Final = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")
"""Types whose numbers are the weights themselves."""
FORMATS: Final = ("float8_e4m3fn", "float8_e5m2")
"""ComfyUI's names of the formats that are a scale times an 8-bit float."""
MARK: Final = ".comfy_quant"
"""Ends the name of a small JSON text that names the format of one layer."""
MARK_MAX: Final = 4096
"""Bytes of such a text; usual are 27 to 100."""
METADATA_MAX: Final = 4 * 1024 * 1024
"""Characters of `_quantization_metadata`; SDXL's 800 layers take 100,000."""

CONFIG: Final = "quantization_config"
"""Field of a network's `config.json` that says how its weights are quantised."""
_EIGHT: Final = ("F8_E4M3", "F8_E5M2")
SCALES: Final = (".scale_weight", ".weight_scale")
"""Ends of the names of scales: ComfyUI's first and second, the latter also ModelOpt's."""
_NO_WEIGHTS: Final = (".scale_input", ".input_scale", ".scaled_fp8", MARK)
"""Scales of what a layer is given, which matter to arithmetic in 8 bits alone, and markers."""
_LEAVES: Final = frozenset(
    ("weight", "bias", "in_proj_weight", "in_proj_bias", "text_projection", "positional_embedding")
)
_KINDS: Final = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        (
            "bitsandbytes (4 bits)",
            r"\.(?:nested_)?(?:absmax|quant_map)\n|\.quant_state\.bitsandbytes__",
        ),
        ("bitsandbytes (8 bits)", r"\.(?:SCB|weight_format)\n"),
        ("SVDQuant (Nunchaku)", r"\.(?:wscales|wcscales|wtscale|smooth(?:_factor)?(?:_orig)?)\n"),
        ("GPTQ or AWQ", r"\.(?:qweight|qzeros|g_idx)\n"),
        ("compressed-tensors", r"\.weight_(?:packed|shape|zero_point|global_scale)\n"),
        ("Quanto", r"\._(?:data|scale|shift|zeropoint)\n"),
        ("torchao", r"(?:\.|_|:)q_?data\n|\.(?:tensor_impl|layout_tensor)\.|:_?(?:int_)?data\n"),
        ("HQQ", r"\.W_q\n"),
        ("NVFP4", r"\.weight_scale_2\n"),
        ("FP8 in blocks", r"\.weight_scale_inv\n"),
        ("AQLM", r"\.codebooks\n"),
        ("W4A8", r"\.weight_(?:s_rel|s_channel|codebook)\n"),
        ("EETQ", r"\.weight_scales\n"),
        ("SDNQ", r"\.(?:zero_point|svd_(?:up|down))\n"),
    )
)
"""Patterns that identify a kind, for names that each end in a line break."""

_OF_BITSANDBYTES: Final = re.compile(r"\.quant_state\.bitsandbytes__\w+$")
"""Ends the name of a small JSON text about a weight in 4 bits (bitsandbytes 0.45,
`QuantState.as_dict`)."""
_OF_NVFP4: Final = ".weight_scale_2"


class UnknownQuantisation(Exception):
    """The weights are stored in a way that is not supported; the message says which."""


def scales_of(header: Header) -> dict[str, str]:
    """Name of each weight that must be multiplied → name of its scale.

    Raises UnknownQuantisation when the weights are stored in any other way than as plain numbers
    or 8-bit floats with one scale for all or for each row.
    """
    names = "\n".join(header.shapes) + "\n"
    for kind, pattern in _KINDS:
        if found := pattern.search(names):
            line = names[names.rfind("\n", 0, found.start()) + 1 :].partition("\n")[0]
            raise UnknownQuantisation(f"they are quantised with {kind} ({_shown(line)})")
    _check_metadata(header.metadata)
    _check_packings(header)
    scales: dict[str, str] = {}
    for name, dtype in header.dtypes.items():
        module, _, leaf = name.rpartition(".")
        if leaf in _LEAVES and dtype not in FLOATS and dtype not in BLOCKS:
            raise UnknownQuantisation(
                f"{_shown(name)} is of type {dtype}; known are {', '.join(FLOATS)}"
            )
        if name.endswith(SCALES):
            weight = f"{module}.weight"
            _check_scale(header, name, weight)
            if weight in scales:
                raise UnknownQuantisation(f"{_shown(weight)} has two scales")
            scales[weight] = name
        elif (
            leaf not in _LEAVES
            and not name.endswith(_NO_WEIGHTS)
            # Whatever belongs to a weight in 8 bits tells how to read it.
            and header.dtypes.get(f"{module}.weight") in _EIGHT
        ):
            raise UnknownQuantisation(f"{_shown(name)} is unknown beside a weight in 8 bits")
    return scales


def is_companion(name: str) -> bool:
    """Whether a tensor only tells how to read a weight, and is none itself."""
    return name.endswith((*SCALES, *_NO_WEIGHTS)) or name == "scaled_fp8"


def check_format(raw: bytes, where: str) -> None:
    """Check the JSON text that names the format of a layer. Raises UnknownQuantisation."""
    try:
        said = from_json(raw)
    except ValueError:
        raise UnknownQuantisation(f"{_shown(where)} is not JSON") from None
    _check_layer(said, where)


def refusal(header: Header, file: Path | None = None) -> str | None:
    """Why the weights of a file with this header cannot be read; None if they can.

    The reason is a clause after "its weights cannot be read: …". file: the one with this header,
    in which layers may name their formats, as ComfyUI writes them. Raises OSError.
    """
    try:
        if file is not None:
            _check_marks(header, file)
        scales_of(header)
    except UnknownQuantisation as error:
        return str(error)
    return None


def unpacked_shapes(header: Header, file: Path) -> Mapping[str, tuple[int, ...]]:
    """The shapes of the tensors in a file, of weights that are packed as before that, as far as it
    says: two numbers of 4 bits are in a byte. By them, what is packed is told as what it is.

    Raises OSError.
    """
    unpacked: dict[str, tuple[int, ...]] = {}
    for name in header.starts:
        weight = f"{name.removesuffix(_OF_NVFP4)}.weight"
        shape = header.shapes.get(weight, ())
        if name.endswith(_OF_NVFP4) and header.dtypes.get(weight) == "U8" and len(shape) == 2:
            unpacked[weight] = (shape[0], 2 * shape[1])
    stating = [name for name in header.starts if _OF_BITSANDBYTES.search(name)]
    for name, raw in _texts(header, file, stating):
        if raw is not None and (shape := _stated_shape(raw)):
            unpacked[_OF_BITSANDBYTES.sub("", name)] = shape
    return {**header.shapes, **unpacked}


def _stated_shape(raw: bytes) -> tuple[int, ...]:
    """The shape that such a text of bitsandbytes names; empty if it names none."""
    try:
        said = from_json(raw)
    except ValueError:
        return ()
    shape = said.get("shape") if isinstance(said, dict) else None
    if not isinstance(shape, list) or len(shape) > AXES_LIMIT:
        return ()
    return tuple(shape) if all(type(side) is int and side > 0 for side in shape) else ()


def _check_marks(header: Header, file: Path) -> None:
    """Check the formats that layers name in texts beside them: types alone do not tell mxfp8, or
    int8 with convrot, from others."""
    marks = [name for name in header.starts if name.endswith(MARK)]
    for name, raw in _texts(header, file, marks):
        if raw is None:
            raise UnknownQuantisation(f"{_shown(name)} is larger than {MARK_MAX} bytes")
        check_format(raw, name)


def _texts(
    header: Header, file: Path, names: Collection[str]
) -> Iterator[tuple[str, bytes | None]]:
    """The texts that tensors of these names are, in the order of the file; None for one that is too
    large. Raises OSError."""
    if not names:
        return
    with file.open("rb") as opened:
        for name in sorted(names, key=header.starts.__getitem__):
            if header.sizes[name] > MARK_MAX:
                yield name, None
                continue
            opened.seek(header.data_start + header.starts[name])
            yield name, opened.read(header.sizes[name])


def config_refusal(config: Mapping[str, Any]) -> str | None:
    """The same of the weights that belong to a network's `config.json`."""
    said = config.get(CONFIG)
    if said is None:
        return None
    method = said.get("quant_method") if isinstance(said, dict) else None
    kind = clean_line(str(method or "an unnamed method"), 60)
    return f"they are quantised with {kind} ({CONFIG})"


def _check_packings(header: Header) -> None:
    """Check the types that only .gguf files have."""
    for name, dtype in header.dtypes.items():
        if dtype in _PACKED and dtype not in BLOCKS:
            raise UnknownQuantisation(
                f"{_shown(name)} is of type {dtype}; known are {', '.join(BLOCKS)}"
            )


_PACKED: Final = frozenset(packing.name for packing in PACKINGS.values() if packing.block > 1)


def _check_scale(header: Header, scale: str, weight: str) -> None:
    dtype, shape = header.dtypes.get(weight), header.shapes.get(weight, ())
    if dtype not in _EIGHT:
        raise UnknownQuantisation(f"{_shown(scale)} scales a weight of type {dtype or 'unknown'}")
    if header.dtypes[scale] not in FLOATS[:4]:
        raise UnknownQuantisation(f"{_shown(scale)} is of type {header.dtypes[scale]}")
    form = header.shapes[scale]
    rows = form[:1] == shape[:1] and len(form) <= len(shape) and set(form[1:]) <= {1}
    if not rows and set(form) - {1}:
        raise UnknownQuantisation(
            f"{_shown(scale)} has the shape {'×'.join(map(str, form))}; known are one number for"
            " all or for each row"
        )


def _check_metadata(metadata: Mapping[str, str]) -> None:
    if CONFIG in metadata:
        raise UnknownQuantisation(f"its metadata have a {CONFIG}")
    text = metadata.get("_quantization_metadata")
    if text is None:
        return
    try:
        layers = from_json(text)["layers"] if len(text) <= METADATA_MAX else None
    except (ValueError, TypeError, KeyError):
        layers = None
    if not isinstance(layers, dict):
        raise UnknownQuantisation("its _quantization_metadata do not list any layers")
    for name, said in layers.items():
        _check_layer(said, name)


def _check_layer(said: object, where: str) -> None:
    """One layer's format: its name, or a table with it."""
    table = {"format": said} if isinstance(said, str) else said
    kind = table.get("format") if isinstance(table, dict) else None
    rotated = isinstance(table, dict) and table.get("convrot")
    if kind not in FORMATS or rotated:
        shown = clean_line(str(kind), 60) + (" with convrot" if rotated else "")
        raise UnknownQuantisation(
            f"{_shown(where)} is in the format {shown}; known are {', '.join(FORMATS)}"
        )


def _shown(name: str) -> str:
    return clean_line(name, 100)
