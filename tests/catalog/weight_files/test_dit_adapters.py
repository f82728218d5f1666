"""Which diffusion transformer an adapter is for, by the names and true shapes of each."""

from collections.abc import Callable, Iterator

import pytest

from catalog.families.flux2 import FLUX2
from catalog.families.sdxl import SDXL
from catalog.misfit import misfit
from catalog.weight_files import adapter_facts
from catalog.weight_files.base_models import in_words
from tests.parameters import mostly_long

Widths = dict[str, tuple[int, int]]
"""Module → the widths of its output and its input."""


def blocks(name: str, count: int, layers: Widths) -> Widths:
    return {f"{name}.{n}.{layer}": wide for n in range(count) for layer, wide in layers.items()}


def of_bfl(width: int, double: int, single: int, *, gated: bool) -> Widths:
    """By Black Forest Labs' names. gated: the feed-forward layers, as in FLUX.2."""
    inside = 3 * width if gated else 4 * width
    inwards = 2 * inside if gated else inside
    two = {
        f"{stream}_{layer}": wide
        for stream in ("img", "txt")
        for layer, wide in {
            "attn.qkv": (3 * width, width),
            "attn.proj": (width, width),
            "mlp.0": (inwards, width),
            "mlp.2": (width, inside),
        }.items()
    }
    one = {"linear1": (3 * width + inwards, width), "linear2": (width, width + inside)}
    return blocks("double_blocks", double, two) | blocks("single_blocks", single, one)


def of_diffusers(width: int, double: int, single: int) -> Widths:
    """FLUX.2 by diffusers' names."""
    two = {f"attn.{name}": (width, width) for name in ("to_q", "to_k", "to_v", "to_out.0")}
    two |= {f"attn.add_{x}_proj": (width, width) for x in "qkv"}
    two |= {"ff.linear_in": (6 * width, width), "ff.linear_out": (width, 3 * width)}
    one = {"attn.to_qkv_mlp_proj": (9 * width, width), "attn.to_out": (width, 4 * width)}
    return blocks("transformer_blocks", double, two) | blocks(
        "single_transformer_blocks", single, one
    )


def flux1_of_diffusers() -> Widths:
    wide = 3072
    two = {f"attn.{name}": (wide, wide) for name in ("to_q", "to_k", "to_v", "to_out.0")}
    two |= {f"attn.add_{x}_proj": (wide, wide) for x in "qkv"}
    two |= {"ff.net.0.proj": (4 * wide, wide), "ff.net.2": (wide, 4 * wide)}
    one = {f"attn.to_{x}": (wide, wide) for x in "qkv"}
    one |= {"proj_mlp": (4 * wide, wide), "proj_out": (wide, 5 * wide)}
    return blocks("transformer_blocks", 19, two) | blocks("single_transformer_blocks", 38, one)


def auraflow() -> Widths:
    """Pony V7, too; as wide as FLUX.2 klein 4B."""
    own, wider = (3072, 3072), (8192, 3072)
    two = {f"attn.{name}": own for name in ("to_q", "to_k", "to_v", "to_out.0", "to_add_out")}
    two |= {f"attn.add_{x}_proj": own for x in "qkv"}
    two |= {f"{ff}.linear_{n}": wider for ff in ("ff", "ff_context") for n in (1, 2)}
    two |= {f"{ff}.out_projection": wider[::-1] for ff in ("ff", "ff_context")}
    one = {f"attn.{name}": own for name in ("to_q", "to_k", "to_v", "to_out.0")}
    one |= {"ff.linear_1": wider, "ff.linear_2": wider, "ff.out_projection": wider[::-1]}
    return blocks("joint_transformer_blocks", 4, two) | blocks("single_transformer_blocks", 32, one)


def of_lumina(width: int, inside: int, *, fused: bool) -> Widths:
    names = ("to_q", "to_k", "to_v", "to_out.0")
    attention = {f"attention.{name}": (width, width) for name in names}
    if fused:
        attention = {"attention.qkv": (3 * width, width), "attention.out": (width, width)}
    forward = {f"feed_forward.w{n}": (inside, width) for n in (1, 3)}
    layers = {**attention, **forward, "feed_forward.w2": (width, inside)}
    return {**blocks("layers", 30, layers), **blocks("noise_refiner", 2, layers)}


def anima(width: int = 2048, *, original: bool) -> Widths:
    text, own, inside = (width, 1024), (width, width), 4 * width
    if original:
        layers = {f"self_attn.{x}_proj": own for x in ("q", "k", "v", "output")}
        layers |= {"cross_attn.q_proj": own, "cross_attn.k_proj": text, "cross_attn.v_proj": text}
        layers |= {"mlp.layer1": (inside, width), "mlp.layer2": (width, inside)}
        return blocks("blocks", 28, layers)
    layers = {f"attn1.{x}": own for x in ("to_q", "to_k", "to_v", "to_out.0")}
    layers |= {"attn2.to_q": own, "attn2.to_k": text, "attn2.to_v": text}
    return blocks("transformer_blocks", 28, layers)


def krea2(*, original: bool) -> Widths:
    own, less, inside = (6144, 6144), (1536, 6144), (16_384, 6144)
    if original:
        layers = {f"attn.{x}": own for x in ("wq", "wo", "gate")}
        layers |= {"attn.wk": less, "attn.wv": less}
        layers |= {"mlp.gate": inside, "mlp.up": inside, "mlp.down": inside[::-1]}
        return blocks("blocks", 28, layers)
    # What diffusers' own script for training changes; FLUX.2 dev is as wide.
    layers = {"attn.to_q": own, "attn.to_k": less, "attn.to_v": less, "attn.to_out.0": own}
    return blocks("transformer_blocks", 28, layers)


MODELS: dict[str, tuple[Widths, str]] = {
    "FLUX.1": (of_bfl(3072, 19, 38, gated=False), "FLUX.1/Chroma"),
    "FLUX.1, diffusers": (flux1_of_diffusers(), "FLUX.1/Chroma"),
    "klein 4B": (of_bfl(3072, 5, 20, gated=True), "FLUX.2 klein 4B"),
    "klein 4B, diffusers": (of_diffusers(3072, 5, 20), "FLUX.2 klein 4B"),
    "klein 9B": (of_bfl(4096, 8, 24, gated=True), "FLUX.2 klein 9B"),
    "klein 9B, diffusers": (of_diffusers(4096, 8, 24), "FLUX.2 klein 9B"),
    "dev": (of_bfl(6144, 8, 48, gated=True), "FLUX.2 dev"),
    "dev, diffusers": (of_diffusers(6144, 8, 48), "FLUX.2 dev"),
    "Z-Image": (of_lumina(3840, 10240, fused=True), "Z-Image"),
    "Z-Image, diffusers": (of_lumina(3840, 10240, fused=False), "Z-Image"),
    "Lumina 2": (of_lumina(2304, 6144, fused=True), "Lumina"),
    "Anima": (anima(original=True), "Anima"),
    "Anima, diffusers": (anima(original=False), "Anima"),
    "Cosmos 14B": (anima(5120, original=True), "Cosmos"),
    "Krea 2": (krea2(original=True), "Krea 2"),
    "Krea 2, diffusers": (krea2(original=False), "Krea 2"),
    "AuraFlow": (auraflow(), "AuraFlow"),
}

Shapes = dict[str, tuple[int, ...]]
ALGORITHMS: dict[str, Callable[[int, int], Shapes]] = {
    "lora_down, lora_up": lambda out, wide: {
        "lora_down.weight": (16, wide),
        "lora_up.weight": (out, 16),
        "alpha": (),
    },
    "lora_A, lora_B": lambda out, wide: {"lora_A.weight": (16, wide), "lora_B.weight": (out, 16)},
    "lora_A, lora_B, bare": lambda out, wide: {"lora_A": (16, wide), "lora_B": (out, 16)},
    "LoHa": lambda out, wide: {
        f"hada_w{n}_{x}": shape for n in "12" for x, shape in (("a", (out, 8)), ("b", (8, wide)))
    },
    "LoKr": lambda out, wide: {
        "lokr_w1": (16, 16),
        "lokr_w2_a": (out // 16, 8),
        "lokr_w2_b": (8, wide // 16),
    },
    "LoKr, full": lambda out, wide: {"lokr_w1": (8, 8), "lokr_w2": (out // 8, wide // 8)},
    "full": lambda out, wide: {"diff": (out, wide)},
}
SPELLINGS: dict[str, Callable[[str], str]] = {
    "kohya": lambda path: f"lora_unet_{path.replace('.', '_')}",
    "LyCORIS": lambda path: f"lycoris_{path.replace('.', '_')}",
    "OneTrainer": lambda path: f"lora_transformer_{path.replace('.', '_')}",
    "ComfyUI": lambda path: f"diffusion_model.{path}",
    "diffusers": lambda path: f"transformer.{path}",
    "peft": lambda path: f"base_model.model.{path}",
    "bare": lambda path: path,
}


def header(modules: Widths, algorithm: str, spelling: str) -> Shapes:
    return {
        f"{SPELLINGS[spelling](path)}.{role}": shape
        for path, (out, wide) in modules.items()
        for role, shape in ALGORITHMS[algorithm](out, wide).items()
    }


def base(modules: Widths, algorithm: str = "lora_A, lora_B", spelling: str = "ComfyUI") -> str:
    return adapter_facts(header(modules, algorithm, spelling), {}).base


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("name", MODELS)
def test_an_adapter_of_a_whole_model_tells_it_in_every_spelling(name: str, spelling: str) -> None:
    modules, wanted = MODELS[name]
    facts = adapter_facts(header(modules, "lora_A, lora_B", spelling), {})
    assert (facts.base, facts.certain) == (wanted, True)


@pytest.mark.parametrize("algorithm", mostly_long(ALGORITHMS, usual=8))
@pytest.mark.parametrize("name", MODELS)
def test_an_adapter_of_a_whole_model_tells_it_by_every_algorithm(name: str, algorithm: str) -> None:
    modules, wanted = MODELS[name]
    assert base(modules, algorithm) == wanted


def layers_of(modules: Widths) -> Iterator[tuple[str, Widths]]:
    """The modules of one kind, in all blocks."""
    kinds: dict[str, Widths] = {}
    for path, wide in modules.items():
        name, _, layer = path.split(".", 2)
        kinds.setdefault(f"{name}.{layer}", {})[path] = wide
    yield from kinds.items()


@pytest.mark.parametrize("name", MODELS)
def test_an_adapter_of_one_kind_of_layers_is_never_taken_for_another_models(name: str) -> None:
    """It may be for an unknown one: many have diffusers' names for those layers."""
    modules, wanted = MODELS[name]
    for layer, some in layers_of(modules):
        common = layer.startswith(("transformer_blocks.attn", "transformer_blocks.ff.net"))
        # FLUX.1 has those of AuraFlow, which is no family here.
        flux = name == "AuraFlow" and layer[-4:] in ("to_q", "to_k", "to_v")
        allowed = {wanted, "DiT", ""} if common else {wanted, *(["FLUX.1/Chroma"] if flux else [])}
        assert base(some) in allowed, layer


@pytest.mark.parametrize(
    ("only", "wanted"),
    [
        (("single_blocks.7.linear1", "single_blocks.7.linear2"), "FLUX.2 klein 4B"),
        (("single_blocks.7.linear1",), "FLUX.2 klein 4B"),
        (("single_blocks.7.linear2",), "FLUX.2 klein 4B"),
        (("double_blocks.3.img_mlp.0",), "FLUX.2 klein 4B"),
        (("double_blocks.3.txt_mlp.0",), "FLUX.2 klein 4B"),
        (("double_blocks.3.img_mlp.2",), "FLUX.2 klein 4B"),
        (("double_blocks.3.txt_mlp.2",), "FLUX.2 klein 4B"),
        (("double_blocks.3.img_attn.qkv",), "FLUX.1/FLUX.2 klein"),
        (("double_blocks.3.img_attn.proj", "double_blocks.4.txt_attn.qkv"), "FLUX.1/FLUX.2 klein"),
    ],
)
def test_a_few_layers_of_klein_tell_it_or_that_they_do_not(
    only: tuple[str, ...], wanted: str
) -> None:
    """FLUX.1 is as wide, and has layers of the same names in the same blocks."""
    modules = MODELS["klein 4B"][0]
    assert base({path: modules[path] for path in only}) == wanted


def test_the_attention_of_kleins_five_blocks_is_told_by_their_number() -> None:
    """As diffusers' own training script has it by default: FLUX.1 has 19 such blocks."""
    for size, wanted in (("4B", "FLUX.2 klein 4B"), ("9B", "FLUX.2 klein 9B")):
        modules = MODELS[f"klein {size}, diffusers"][0]
        names = (".attn.to_q", ".attn.to_k", ".attn.to_v", ".attn.to_out.0")
        attention = {
            path: wide
            for path, wide in modules.items()
            if path.startswith("transformer_blocks") and path.endswith(names)
        }
        assert base(attention, spelling="diffusers") == wanted
        some = {path: wide for path, wide in attention.items() if ".4." not in path}
        assert base(some, spelling="diffusers") == "DiT"
        others = {path.replace(".4.", ".12."): wide for path, wide in attention.items()}
        assert base(others, spelling="diffusers") == "DiT"


@pytest.mark.parametrize(
    "more",
    [
        {"double_blocks.0.img_mod.lin": (18432, 3072)},
        {"single_blocks.3.modulation.lin": (9216, 3072)},
        {"vector_in.in_layer": (3072, 768)},
        {"final_layer.adaLN_modulation.1": (6144, 3072)},
        {"transformer_blocks.0.norm1_context.linear": (18432, 3072)},
        {"single_transformer_blocks.3.norm.linear": (9216, 3072)},
    ],
)
def test_what_only_flux_1_has_tells_it(more: Widths) -> None:
    assert base({"double_blocks.5.img_attn.qkv": (9216, 3072)} | more) == "FLUX.1"


@pytest.mark.parametrize(
    "more",
    [{"double_blocks.5.txt_attn.qkv": (9216, 3072)}, {"single_blocks.20.odd": (8, 8)}],
)
def test_blocks_that_klein_has_not_are_flux_1s_or_chromas(more: Widths) -> None:
    assert base({"double_blocks.0.img_attn.qkv": (9216, 3072)} | more) == "FLUX.1/Chroma"


@pytest.mark.parametrize("prefix", ["lora_te1_text_model", "text_encoder.text_model", "clip_l"])
def test_a_clip_beside_the_blocks_is_flux_1s(prefix: str) -> None:
    shapes = header({"double_blocks.0.img_attn.qkv": (9216, 3072)}, "lora_A, lora_B", "ComfyUI")
    shapes[f"{prefix}.encoder.layers.0.mlp.fc1.lora_A.weight"] = (4, 768)
    assert adapter_facts(shapes, {}).base == "FLUX.1"


def test_chroma_is_told_by_what_flux_1_has_not_or_by_metadata() -> None:
    """421 of its 433 matrices are FLUX.1's in name and shape."""
    chroma = MODELS["FLUX.1"][0]
    assert base(chroma) == "FLUX.1/Chroma"
    approximator = {"distilled_guidance_layer.layers.0.in_layer": (5120, 5120)}
    assert base(chroma | approximator) == "Chroma"
    shapes = header(chroma, "lora_A, lora_B", "ComfyUI")
    assert adapter_facts(shapes, {"modelspec.architecture": "chroma/lora"}).base == "Chroma"


TWO_STREAMS: Widths = {
    path: wide
    for path, wide in flux1_of_diffusers().items()
    if path.startswith("transformer_blocks.")
}


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ({}, "FLUX.1/Chroma"),
        (blocks("transformer_blocks", 19, {"norm1.linear": (18432, 3072)}), "FLUX.1"),
    ],
)
@pytest.mark.parametrize("layers", ["attn.", ""])
def test_blocks_of_two_streams_alone_are_counted(layers: str, more: Widths, wanted: str) -> None:
    some = {path: wide for path, wide in TWO_STREAMS.items() if layers in path}
    assert base(some | more, spelling="diffusers") == wanted
    # HunyuanVideo has one more, and the same names.
    other = blocks("transformer_blocks", 20, {"attn.to_q": (3072, 3072)})
    assert base(some | other, spelling="diffusers") == "DiT"


def test_fused_projections_are_krea_2s() -> None:
    layers: Widths = {"attn.to_qkv": (9216, 6144), "attn.to_out.0": (6144, 6144)}
    assert base(blocks("transformer_blocks", 28, layers), spelling="diffusers") == "Krea 2"
    layers["attn.to_qkv"] = (18432, 6144)
    assert base(blocks("transformer_blocks", 28, layers), spelling="diffusers") == "DiT"


def only(*names: str) -> Shapes:
    return {f"{name}.lora_down.weight": (4, 1280) for name in names}


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (("lora_te2_text_model_encoder_layers_0_mlp_fc1",), "SDXL"),
        (("text_encoder_2.text_model.encoder.layers.0.mlp.fc1",), "SDXL"),
        (("lora_te2_encoder_block_0_layer_0_SelfAttention_q",), "DiT"),
        (("lora_te3_encoder_block_0_layer_0_SelfAttention_q",), "DiT"),
        (("text_encoder_2.encoder.block.3.layer.1.DenseReluDense.wo",), "DiT"),
        (
            (
                "lora_te2_encoder_block_0_layer_0_SelfAttention_q",
                "lora_unet_double_blocks_7_img_attn_qkv",
            ),
            "FLUX.1/Chroma",
        ),
    ],
)
def test_the_second_text_encoder_is_a_clip_or_a_t5(names: tuple[str, ...], wanted: str) -> None:
    assert adapter_facts(only(*names), {}).base == wanted


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (("diffusion_model.txtfusion.projector",), "Krea 2"),
        (("diffusion_model.blocks.0.attn.wq",), "Krea 2"),
        (("lora_unet_blocks_27_attn_wo",), "Krea 2"),
        (("transformer.text_fusion.projector",), "Krea 2"),
        (("transformer.transformer_blocks.0.attn.to_gate",), "Krea 2"),
        (("lycoris_transformer_blocks_3_ff_down",), "Krea 2"),
        (("transformer.transformer_blocks.0.attn1.to_gate_logits",), "DiT"),
        (("transformer.transformer_blocks.0.img_mlp.net.0.proj",), "Qwen-Image"),
        (("lora_unet_double_blocks_0_img_mlp_fc1",), "Hunyuan"),
        (("diffusion_model.blocks.0.self_attn.q", "diffusion_model.blocks.0.ffn.0"), "Wan"),
        (("lora_unet_llm_adapter_blocks_0_cross_attn_q_proj",), "Anima"),
        (("transformer.blocks.0.x",), "DiT"),
    ],
)
def test_others_are_told_by_names_alone(names: tuple[str, ...], wanted: str) -> None:
    assert adapter_facts(only(*names), {}).base == wanted


@pytest.mark.parametrize(
    ("found", "said", "wanted"),
    [
        ("", "Flux.2 Klein 4B-base", "FLUX.2 klein 4B"),
        ("", "Flux.2 Klein 9B", "FLUX.2 klein 9B"),
        ("", "Flux.2 D", "FLUX.2 dev"),
        ("", "Flux.1 Kontext", "FLUX.1"),
        ("", "ZImageTurbo", "Z-Image"),
        ("", "Anima", "Anima"),
        ("", "Krea 2", "Krea 2"),
        ("", "Flux.1 Krea", "FLUX.1"),
        ("", "Animagine XL", "SDXL"),
        ("FLUX.1/FLUX.2 klein", "Flux.2 Klein 4B", "FLUX.2 klein 4B"),
        ("FLUX.1/FLUX.2 klein", "Flux.1 D", "FLUX.1"),
        ("FLUX.1/Chroma", "Chroma 1 HD", "Chroma"),
        ("FLUX.1/Chroma", "Flux.1 D", "FLUX.1"),
        ("FLUX.1/Chroma", "", "FLUX.1/Chroma"),
        ("FLUX.1", "Chroma 1 HD", "FLUX.1"),
        ("FLUX.1", "Flux.2 Klein 4B", "FLUX.1"),
        ("FLUX.2 klein 4B", "Flux.1 D", "FLUX.2 klein 4B"),
        ("SD 1.5/2", "SD 1.5", "SD 1.5"),
        ("SD 1.5/2", "SD 2.1 768", "SD 2"),
        ("SD 1.5/2", "Pony", "SD 1.5/2"),
        ("SDXL", "Pony", "Pony"),
        ("SDXL", "Pony V7", "SDXL"),
        ("SDXL", "SD 1.5", "SDXL"),
    ],
)
def test_what_others_say_of_it_tells_apart_what_looks_alike(
    found: str, said: str, wanted: str
) -> None:
    assert in_words(found, said) == wanted


def test_no_layers_of_auraflow_are_offered_for_klein() -> None:
    for layer, some in layers_of(MODELS["AuraFlow"][0]):
        facts = adapter_facts(header(some, "lora_A, lora_B", "kohya"), {})
        assert misfit(facts, [FLUX2], vouched=True) is not None, layer


@pytest.mark.parametrize("name", MODELS)
def test_none_of_them_is_offered_for_sdxl(name: str) -> None:
    facts = adapter_facts(header(MODELS[name][0], "LoKr", "kohya"), {})
    assert misfit(facts, [SDXL], vouched=True) is not None
