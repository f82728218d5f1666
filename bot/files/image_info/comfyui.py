"""ComfyUI: what a graph does, read from its sampler backwards."""

from collections.abc import Iterable, Mapping
from typing import Final

from bot.files.image_info import values
from bot.files.image_info.graph import Graph, Link, Node, before, of_prompt, of_workflow
from bot.files.image_info.infotext import model_of, prompt_and_loras
from bot.files.image_info.model import ImageInfo, NamedFile, NamedLora

NAME: Final = "ComfyUI"

_FOLLOWED_MAX: Final = 200
"""Links that lead to one value."""
_SAMPLERS_MAX: Final = 16
_PARTS: Final = ("guider", "noise", "sampler", "sigmas")
"""Inputs of a sampler that is made of parts: SamplerCustomAdvanced."""
_OUTPUTS: Final = ("Save", "Preview")
_LATENTS: Final = ("latent_image", "latent", "samples", "optional_latent")
_TEXTS: Final = ("text", "text_g", "text_l", "t5xxl", "clip_l", "prompt", "positive_prompt")
_STRINGS: Final = ("value", "string", "text", "string_a", "string_b", "text_a", "text_b", "prompt")
_NOT_TO_TEXTS: Final = (
    *("clip", "model", "vae", "image", "pixels", "control_net", "style_model", "mask", "latent"),
    *("clip_vision", "clip_vision_output", "samples"),
)
_MODELS: Final = ("ckpt_name", "unet_name", "model_name", "gguf_name")
_PLAIN: Final = (
    *("CheckpointLoader", "UNETLoader", "CLIPLoader", "DualCLIPLoader", "VAE", "CLIPText"),
    *("KSampler", "SamplerCustom", "EmptyLatent", "EmptySD3", "LoraLoader", "CLIPSetLastLayer"),
    *("LatentUpscale", "Reroute", "Primitive", "RandomNoise", "BasicScheduler", "BasicGuider"),
    *("CFGGuider", "FluxGuidance", "LoadImage", "ConditioningZeroOut", "Note", "MarkdownNote"),
    *("Save", "Preview", "Power Lora Loader"),
)
"""What the names of the nodes begin with whose part in the image is told by other values."""


def from_comfyui(texts: Mapping[str, str]) -> ImageInfo | None:
    graph = of_prompt(values.json_object(texts.get("prompt")))
    graph = graph or of_workflow(values.json_object(texts.get("workflow")))
    if not graph:
        return None
    used = {node.id for node in before(graph, [(key, 0) for key in _ends(graph)])}
    samplers = [node for node in graph.values() if _samples(node) and (node.id in used or not used)]
    del samplers[_SAMPLERS_MAX:]
    passes = sorted(samplers, key=lambda node: len(_earlier(graph, node, samplers)))
    others = sorted({node.kind for node in graph.values() if not node.kind.startswith(_PLAIN)})
    rest = values.rest({"Nodes": ", ".join(others)}, ())
    if not passes:
        prompt = next((t for node in graph.values() if (t := _own_text(graph, node))), "")
        return ImageInfo(program=NAME, prompt=prompt, rest=rest)
    first, *later = passes
    after = next((node for node in later if first in _earlier(graph, node, samplers)), None)
    return _described(graph, first, after, rest)


def _described(graph: Graph, first: Node, after: Node | None, rest: dict[str, str]) -> ImageInfo:
    parts = _parts(graph, first)
    positive, distilled = _conditioning(graph, _wire(parts, "positive", "conditioning"))
    negative, _ = _conditioning(graph, _wire(parts, "negative"))
    model, loras = _model(graph, _wire(parts, "model"))
    prompt, tagged = prompt_and_loras(positive, {})
    cfg = values.number(_value(graph, parts, "cfg"))
    if distilled is not None and cfg is not None:
        rest = {"CFG": f"{cfg:g}", **rest}
    sources = [*before(graph, _wires([first], *_LATENTS))]
    denoise = values.number(_value(graph, parts, "denoise"))
    painted_over = any("VAEEncode" in node.kind or "LoadImage" in node.kind for node in sources)
    size = next((found for node in sources if (found := _size(graph, node))), None)
    hires = _enlarged(graph, after, size) if after else None
    second = _parts(graph, after) if after and hires else []
    return ImageInfo(
        program=NAME,
        prompt=prompt,
        negative=negative,
        seed=values.whole(_value(graph, parts, "seed", "noise_seed")),
        steps=values.whole(_value(graph, parts, "steps")),
        guidance=cfg if distilled is None else distilled,
        sampler=values.text(_value(graph, parts, "sampler_name", "sampler")),
        schedule=values.text(_value(graph, parts, "scheduler")),
        size=size,
        model=model,
        loras=loras + tagged,
        clip_skip=_clip_skip(graph, parts),
        hires=hires,
        hires_steps=values.whole(_value(graph, second, "steps")),
        hires_strength=values.number(_value(graph, second, "denoise")),
        strength=denoise if painted_over else None,
        rest=rest,
    )


def _ends(graph: Graph) -> list[str]:
    return [node.id for node in graph.values() if node.kind.startswith(_OUTPUTS)]


def _samples(node: Node) -> bool:
    names = {*node.inputs, *node.links}
    custom = "sampler" in node.links and "sigmas" in node.links
    return custom or {"steps", "cfg", "sampler_name"} <= names


def _earlier(graph: Graph, node: Node, samplers: Iterable[Node]) -> list[Node]:
    """The samplers whose result this one goes on with."""
    latents = {each.id for each in before(graph, _wires([node], *_LATENTS))} - {node.id}
    return [each for each in samplers if each.id in latents]


def _parts(graph: Graph, sampler: Node) -> list[Node]:
    """The nodes whose inputs describe the sampling: the sampler, and what it is made of."""
    parts = (graph.get(key) for key, _ in _wires([sampler], *_PARTS))
    return [sampler, *(node for node in parts if node)]


def _wires(nodes: Iterable[Node], *names: str) -> list[Link]:
    return [node.links[name] for node in nodes for name in names if name in node.links]


def _wire(nodes: Iterable[Node], *names: str) -> Link | None:
    return next(iter(_wires(nodes, *names)), None)


def _value(graph: Graph, nodes: Iterable[Node], *names: str) -> object:
    """The value of the first of these inputs, also where it comes from another node."""
    for node in nodes:
        for name in names:
            if name in node.inputs:
                return node.inputs[name]
            if name not in _PARTS and (link := node.links.get(name)):
                return _linked(graph, link, ("value", name, "seed", "int", "float", "number"))
    return None


def _linked(graph: Graph, link: Link, names: Iterable[str]) -> object:
    for node in before(graph, [link]):
        found = [node.inputs[name] for name in names if name in node.inputs]
        plain = [value for value in found if isinstance(value, str | int | float)]
        if plain:
            return plain[0]
        if len(node.links) != 1:  # what passes a value on has one input
            return None
    return None


def _conditioning(graph: Graph, link: Link | None) -> tuple[str, float | None]:
    """The text that a conditioning is made of, and the guidance that a distilled model gets."""
    texts: list[str] = []
    guidance = None
    pending = [link] if link else []
    seen: set[Link] = set()
    while pending and len(seen) < _FOLLOWED_MAX:
        key, slot = pending.pop(0)
        node = graph.get(key)
        if node is None or (key, slot) in seen:
            continue
        seen.add((key, slot))
        if guidance is None:
            guidance = values.number(node.inputs.get("guidance"))
        if node.kind == "ConditioningZeroOut":
            continue
        if text := _own_text(graph, node):
            texts.append(text)
        elif "positive" in node.links and "negative" in node.links:
            pending.append(node.links["negative" if slot else "positive"])
        else:
            pending += [to for name, to in node.links.items() if name not in _NOT_TO_TEXTS]
    return ", ".join(dict.fromkeys(texts)), guidance


def _own_text(graph: Graph, node: Node) -> str:
    """The text that a node encodes, its own or that of a node for texts."""
    found = []
    for name in _TEXTS:
        value = node.inputs.get(name)
        if value is None and (link := node.links.get(name)):
            value = _string(graph, link)
        if isinstance(value, str) and value.strip():
            found.append(value.strip())
    return "\n".join(dict.fromkeys(found))


def _string(graph: Graph, link: Link) -> str:
    parts = []
    for node in before(graph, [link], _FOLLOWED_MAX):
        strings = (node.inputs.get(name) for name in _STRINGS)
        parts += [each.strip() for each in strings if isinstance(each, str) and each.strip()]
    return ", ".join(parts)


def _model(graph: Graph, link: Link | None) -> tuple[NamedFile | None, tuple[NamedLora, ...]]:
    """The checkpoint that a model comes from, and the LoRAs on the way, the first applied first."""
    loras: list[NamedLora] = []
    seen: set[str] = set()
    while link and link[0] in graph and link[0] not in seen and len(seen) < _FOLLOWED_MAX:
        node = graph[link[0]]
        seen.add(node.id)
        loras += reversed(_loras_of(graph, node))
        for name in _MODELS:
            if file := values.text(_value(graph, [node], name)):
                return model_of(file), tuple(reversed(loras[: values.LORAS_MAX]))
        link = _wire([node], "model", "model1", "any", "") or next(iter(node.links.values()), None)
    return None, tuple(reversed(loras[: values.LORAS_MAX]))


def _loras_of(graph: Graph, node: Node) -> list[NamedLora]:
    found = []
    if name := values.text(_value(graph, [node], "lora_name")):
        weight = values.number(_value(graph, [node], "strength_model", "strength"))
        other = values.number(_value(graph, [node], "strength_clip"))
        found.append(NamedLora(values.stem(name), (), weight, None if other == weight else other))
    for key, value in node.inputs.items():
        each = values.mapping(value)  # rgthree's loader
        if (
            key.startswith("lora_")
            and each.get("on") is True
            and (file := values.text(each.get("lora")))
        ):
            weight = values.number(each.get("strength"))
            other = values.number(each.get("strengthTwo"))
            other = None if other == weight else other
            found.append(NamedLora(values.stem(file), (), weight, other))
    return found


def _clip_skip(graph: Graph, parts: list[Node]) -> int | None:
    """-2 is the last layer but one, which AUTOMATIC1111 calls 2."""
    link = _wire(parts, "positive", "conditioning")
    for node in before(graph, [link] if link else []):
        layer = values.whole(node.inputs.get("stop_at_clip_layer"))
        if layer is not None and layer < 0:
            return -layer
    return None


def _size(graph: Graph, node: Node) -> tuple[int, int] | None:
    """That of an empty latent: what enlarges one has an input for it."""
    if any(name in node.links for name in (*_LATENTS, "pixels", "image", "clip")):
        return None
    return values.size(_value(graph, [node], "width"), _value(graph, [node], "height"))


def _enlarged(graph: Graph, after: Node, size: tuple[int, int] | None) -> float | None:
    """The scale between the passes, from what enlarges the latents or the image."""
    for node in before(graph, _wires([after], *_LATENTS)):
        if scale := values.number(_value(graph, [node], "scale_by")):
            return scale
        width = values.whole(_value(graph, [node], "width"))
        if size and width and width > size[0]:
            return round(width / size[0], 2)
    return None
