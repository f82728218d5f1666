"""ComfyUI's graphs: nodes whose inputs are values, or links to the outputs of other nodes.

There are two forms of the same: `prompt`, which was executed, and `workflow`, as it is drawn, where
values have no names. Anyone can write one: it may have circles, and links to nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from bot.files.image_info import values

NODES_MAX: Final = 5_000
STEPS_MAX: Final = 20_000

Link: TypeAlias = tuple[str, int]
"""A node's id and the number of its output."""

_WIDGETS: Final[Mapping[str, tuple[str, ...]]] = {
    "KSampler": ("seed", "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSamplerAdvanced": (
        *("add_noise", "noise_seed", "steps", "cfg", "sampler_name", "scheduler"),
        *("start_at_step", "end_at_step", "return_with_leftover_noise"),
    ),
    "SamplerCustom": ("add_noise", "noise_seed", "cfg"),
    "KSamplerSelect": ("sampler_name",),
    "BasicScheduler": ("scheduler", "steps", "denoise"),
    "RandomNoise": ("noise_seed",),
    "CFGGuider": ("cfg",),
    "FluxGuidance": ("guidance",),
    "CheckpointLoaderSimple": ("ckpt_name",),
    "UNETLoader": ("unet_name", "weight_dtype"),
    "LoraLoader": ("lora_name", "strength_model", "strength_clip"),
    "LoraLoaderModelOnly": ("lora_name", "strength_model"),
    "CLIPSetLastLayer": ("stop_at_clip_layer",),
    "CLIPTextEncode": ("text",),
    "CLIPTextEncodeSDXL": (
        *("width", "height", "crop_w", "crop_h", "target_width", "target_height"),
        *("text_g", "text_l"),
    ),
    "CLIPTextEncodeFlux": ("clip_l", "t5xxl", "guidance"),
    "EmptyLatentImage": ("width", "height", "batch_size"),
    "EmptySD3LatentImage": ("width", "height", "batch_size"),
    "LatentUpscale": ("upscale_method", "width", "height", "crop"),
    "LatentUpscaleBy": ("upscale_method", "scale_by"),
    "VAELoader": ("vae_name",),
    "PrimitiveNode": ("value",),
    "PrimitiveInt": ("value",),
    "PrimitiveFloat": ("value",),
    "PrimitiveString": ("value",),
    "PrimitiveStringMultiline": ("value",),
}
"""The names of the values of a node in a workflow, in order, for ComfyUI's own nodes."""
_AFTER_SEEDS: Final = ("fixed", "increment", "decrement", "randomize")
"""What a seed does next: a value of the drawing alone."""
_MUTED, _BYPASSED = 2, 4
_LINK_PARTS: Final = 5


@dataclass(frozen=True, slots=True)
class Node:
    """kind: its class. inputs: values of JSON by name. links: by the name of the input."""

    id: str
    kind: str
    inputs: Mapping[str, Any]
    links: Mapping[str, Link]


Graph: TypeAlias = Mapping[str, Node]


def of_prompt(data: Mapping[str, Any]) -> Graph:
    """The graph of a `prompt`; without the nodes that cannot be read."""
    found = {}
    for key, value in list(data.items())[:NODES_MAX]:
        node = values.mapping(value)
        inputs = values.mapping(node.get("inputs"))
        if kind := values.text(node.get("class_type")):
            links = {name: link for name, each in inputs.items() if (link := _link(each))}
            plain = {name: each for name, each in inputs.items() if name not in links}
            found[key] = Node(key, kind, plain, links)
    return found


def of_workflow(data: Mapping[str, Any]) -> Graph:
    """The graph of a `workflow`. Nodes inside subgraphs are not looked at."""
    sources: dict[str, Link] = {}
    for each in values.sequence(data.get("links"))[: 10 * NODES_MAX]:
        parts = values.sequence(each)
        if len(parts) >= _LINK_PARTS and (link := _link(parts[1:3])):
            sources[str(values.whole(parts[0]))] = link
    found = {}
    for each in values.sequence(data.get("nodes"))[:NODES_MAX]:
        node = values.mapping(each)
        key, kind = node.get("id"), values.text(node.get("type"))
        mode = node.get("mode")
        if not kind or not isinstance(key, int | str) or mode == _MUTED:
            continue
        wired = map(values.mapping, values.sequence(node.get("inputs")))
        links = {
            values.text(slot.get("name")): sources[number]
            for slot in wired
            if (number := str(values.whole(slot.get("link")))) in sources
        }
        plain = {} if mode == _BYPASSED else _named(kind, node.get("widgets_values"))
        plain = {name: value for name, value in plain.items() if name not in links}
        found[str(key)] = Node(str(key), kind, plain, links)
    return found


def before(
    graph: Graph, links: Iterator[Link] | list[Link], most: int = STEPS_MAX
) -> Iterator[Node]:
    """Every node from which these links come, directly or not, the nearest first, each once.

    most: links that are followed in all.
    """
    pending = list(links)
    seen: set[str] = set()
    for key, _ in pending:
        if len(seen) >= NODES_MAX or len(pending) > most:
            return
        if key in seen or key not in graph:
            continue
        seen.add(key)
        yield graph[key]
        pending += graph[key].links.values()


def _link(value: object) -> Link | None:
    """A node's id, in later versions also with those of its subgraphs, and a number."""
    parts = values.sequence(value)
    if len(parts) != 2 or not isinstance(parts[0], str | int) or isinstance(parts[0], bool):
        return None
    slot = values.whole(parts[1])
    if slot is None or isinstance(parts[1], str):
        return None
    return (str(parts[0]), slot) if isinstance(parts[0], str) or values.whole(parts[0]) else None


def _named(kind: str, given: object) -> Mapping[str, Any]:
    """The values of a node by their names, as far as these are known."""
    if isinstance(given, dict):
        return given
    listed = list(values.sequence(given))
    named: dict[str, Any] = {}
    for name in _WIDGETS.get(kind, ()):
        if not listed:
            break
        named[name] = listed.pop(0)
        if name.endswith("seed") and listed and listed[0] in _AFTER_SEEDS:
            listed.pop(0)
    if kind not in _WIDGETS:  # those of rgthree's LoRA loader are objects
        named |= {f"lora_{n}": each for n, each in enumerate(listed) if isinstance(each, dict)}
    return named
