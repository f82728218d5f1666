"""Recognising adapters from headers as trainers write them."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.limits import NAME_MAX, TRIGGER_MAX, WEIGHT_MAX, WEIGHT_MIN
from catalog.weight_files import SUPPORTED, UNKNOWN, UNSUPPORTED, AdapterFacts, adapter_facts
from catalog.weight_files.training import JSON_MAX, WORDS_MAX

Shapes = dict[str, tuple[int, ...]]

SGM = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k"
DIFFUSERS = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
SD15 = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
PEFT = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"
FF = "lora_unet_input_blocks_4_1_transformer_blocks_0_ff_net_2"


def lora(module: str, rank: int, out: int, width: int) -> Shapes:
    return {
        f"{module}.lora_down.weight": (rank, width),
        f"{module}.lora_up.weight": (out, rank),
        f"{module}.alpha": (),
    }


CONV: Shapes = {
    "lora_unet_input_blocks_4_0_in_layers_2.lora_down.weight": (8, 320, 3, 3),
    "lora_unet_input_blocks_4_0_in_layers_2.lora_up.weight": (640, 8, 1, 1),
    "lora_unet_input_blocks_4_0_in_layers_2.alpha": (),
}
KOHYA_SDXL = {
    "ss_base_model_version": "sdxl_base_v1-0",
    "ss_network_module": "networks.lora",
    "ss_network_dim": "32",
    "modelspec.architecture": "stable-diffusion-xl-v1-base/lora",
}


def told(shapes: Mapping[str, tuple[int, ...]], **metadata: str) -> tuple[Any, ...]:
    facts = adapter_facts(shapes, metadata)
    return facts.algorithm, facts.base, facts.certain, facts.rank, facts.conv_rank


LORAS: dict[str, tuple[Shapes, tuple[Any, ...]]] = {
    "kohya, SDXL in the original names": (
        lora(SGM, 32, 640, 2048) | lora(FF, 32, 640, 2560),
        ("LoRA", "SDXL", True, 32, None),
    ),
    "kohya, SDXL in diffusers' names": (
        lora(DIFFUSERS, 16, 640, 2048),
        ("LoRA", "SDXL", True, 16, None),
    ),
    "kohya, SD 1.5": (lora(SD15, 128, 320, 768), ("LoRA", "SD 1.5", True, 128, None)),
    "kohya, SD 1.5 with proj_in as a 1×1 convolution": (
        lora(SD15, 4, 320, 768)
        | {"lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight": (4, 320, 1, 1)},
        ("LoRA", "SD 1.5", True, 4, None),
    ),
    "kohya, SD 2": (lora(SD15, 4, 320, 1024), ("LoRA", "SD 2", True, 4, None)),
    "kohya, the refiner": (lora(DIFFUSERS, 4, 768, 1280), ("LoRA", "SDXL refiner", True, 4, None)),
    "kohya, Flux": (
        lora("lora_unet_double_blocks_0_img_attn_qkv", 16, 9216, 3072)
        | lora("lora_te1_text_model_encoder_layers_0_mlp_fc1", 16, 3072, 768),
        ("LoRA", "Flux", True, 16, None),
    ),
    "kohya, SD 3": (
        lora("lora_unet_joint_blocks_0_context_block_attn_qkv", 4, 4608, 1536)
        | lora("lora_te2_text_model_encoder_layers_0_mlp_fc1", 4, 5120, 1280),
        ("LoRA", "SD 3", True, 4, None),
    ),
    "diffusers, SD 3.5 Large": (
        {
            "transformer.transformer_blocks.0.attn.add_k_proj.lora_A.weight": (16, 2432),
            "transformer.transformer_blocks.0.attn.add_k_proj.lora_B.weight": (2432, 16),
        },
        ("LoRA", "SD 3", True, 16, None),
    ),
    "diffusers, Qwen-Image, whose names are those of SD 3": (
        {
            "transformer.transformer_blocks.0.attn.add_k_proj.lora_A.weight": (16, 3072),
            "transformer.transformer_blocks.0.attn.add_k_proj.lora_B.weight": (3072, 16),
        },
        ("LoRA", "DiT", True, 16, None),
    ),
    "kohya, SDXL's text encoders alone": (
        lora("lora_te2_text_model_encoder_layers_0_mlp_fc1", 8, 5120, 1280),
        ("LoRA", "SDXL", True, 8, None),
    ),
    "kohya, SDXL without its cross-attention": (
        lora("lora_unet_middle_block_1_transformer_blocks_9_attn1_to_q", 8, 1280, 1280)
        | lora("lora_unet_output_blocks_0_1_transformer_blocks_1_ff_net_2", 8, 1280, 5120)
        | lora("lora_unet_input_blocks_8_1_transformer_blocks_1_attn1_to_q", 8, 1280, 1280),
        ("LoRA", "SDXL", True, 8, None),
    ),
    "kohya, SD 1.5 without its cross-attention": (
        lora("lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q", 8, 320, 320),
        ("LoRA", "SD 1.5/2", True, 8, None),
    ),
    "diffusers and peft, SDXL": (
        {f"{PEFT}.lora_A.weight": (64, 2048), f"{PEFT}.lora_B.weight": (640, 64)},
        ("LoRA", "SDXL", True, 64, None),
    ),
    "peft with the name of the adapter": (
        {f"{PEFT}.lora_A.default.weight": (64, 768), f"{PEFT}.lora_B.default.weight": (320, 64)},
        ("LoRA", "SD 1.5", True, 64, None),
    ),
    "diffusers, the first form": (
        {
            f"{PEFT.removesuffix('.to_k')}.processor.to_k_lora.down.weight": (4, 768),
            f"{PEFT.removesuffix('.to_k')}.processor.to_k_lora.up.weight": (320, 4),
        },
        ("LoRA", "SD 1.5", True, 4, None),
    ),
    "diffusers, Flux": (
        {
            "transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight": (16, 3072),
            "transformer.single_transformer_blocks.0.attn.to_q.lora_B.weight": (3072, 16),
        },
        ("LoRA", "Flux", True, 16, None),
    ),
    "diffusers, LTX, whose text is as wide as SDXL's": (
        {"transformer.transformer_blocks.0.attn2.to_k.lora_A.weight": (16, 2048)},
        ("LoRA", "DiT", True, 16, None),
    ),
    "OneTrainer, SDXL": (
        lora(SGM, 16, 640, 2048)
        | lora("lora_te1_text_model_encoder_layers_0_self_attn_q_proj", 16, 768, 768)
        | {"bundle_emb.ink.clip_g": (2, 1280), "bundle_emb.ink.clip_l": (2, 768)},
        ("LoRA", "SDXL", True, 16, None),
    ),
    "LyCORIS, LoCon": (
        lora(SGM, 32, 640, 2048) | CONV,
        ("LoCon", "SDXL", True, 32, 8),
    ),
    "LyCORIS, LoCon in Tucker's form": (
        lora(SGM, 32, 640, 2048)
        | lora(FF, 32, 640, 2560)
        | {
            "lora_unet_input_blocks_4_0_in_layers_2.lora_down.weight": (8, 320, 1, 1),
            "lora_unet_input_blocks_4_0_in_layers_2.lora_mid.weight": (8, 8, 3, 3),
        },
        ("LoCon", "SDXL", True, 32, 8),
    ),
    "kohya, DoRA": (
        lora(SGM, 32, 640, 2048) | {f"{SGM}.dora_scale": (1, 2048)},
        ("DoRA", "SDXL", True, 32, None),
    ),
    "peft, DoRA": (
        {f"{PEFT}.lora_A.weight": (8, 2048), f"{PEFT}.lora_magnitude_vector": (640,)},
        ("DoRA", "SDXL", True, 8, None),
    ),
    "LyCORIS, DoRA with convolutions": (
        lora(SGM, 32, 640, 2048) | {f"{SGM}.dora_scale": (1, 2048)} | CONV,
        ("LoCon + DoRA", "SDXL", True, 32, 8),
    ),
    "LyCORIS, LoHa": (
        {
            f"{SGM}.hada_w1_a": (640, 8),
            f"{SGM}.hada_w1_b": (8, 2048),
            f"{SGM}.hada_w2_a": (640, 8),
            f"{SGM}.hada_w2_b": (8, 2048),
            f"{SGM}.alpha": (),
        },
        ("LoHa", "SDXL", True, 8, None),
    ),
    "LyCORIS, LoKr with one factor whole": (
        {
            f"{SGM}.lokr_w1": (8, 16),
            f"{SGM}.lokr_w2_a": (80, 4),
            f"{SGM}.lokr_w2_b": (4, 128),
        },
        ("LoKr", "SDXL", True, 4, None),
    ),
    "LyCORIS, LoKr with both whole": (
        {f"{SD15}.lokr_w1": (8, 8), f"{SD15}.lokr_w2": (40, 96)},
        ("LoKr", "SD 1.5", True, None, None),
    ),
    "LyCORIS, full with norms": (
        {
            f"{SGM}.diff": (640, 2048),
            f"{SGM}.diff_b": (640,),
            "lora_unet_input_blocks_4_1_norm.w_norm": (640,),
            "lora_unet_input_blocks_4_1_norm.b_norm": (640,),
        },
        ("full + norm", "SDXL", True, None, None),
    ),
    "LyCORIS, GLoRA": (
        {
            f"{SGM}.a1.weight": (2048, 8),
            f"{SGM}.a2.weight": (8, 2048),
            f"{SGM}.b1.weight": (640, 8),
            f"{SGM}.b2.weight": (8, 2048),
        },
        ("GLoRA", "SDXL", True, 8, None),
    ),
    "LyCORIS, GLoRA as it was once written": (
        {
            f"{SGM}.a1.weight": (8, 2048),
            f"{SGM}.a2.weight": (2048, 8),
            f"{SGM}.b1.weight": (8, 2048),
            f"{SGM}.b2.weight": (640, 8),
        },
        ("GLoRA", "SDXL", True, 8, None),
    ),
    "LyCORIS, Diag-OFT": (
        {f"{SD15}.oft_blocks": (80, 4, 4)},
        ("Diag-OFT", "SD 1.5/2", True, None, None),
    ),
    "LyCORIS, BOFT": (
        {f"{SGM.replace('blocks_0', 'blocks_1')}.oft_blocks": (2, 80, 8, 8)},
        ("BOFT", "SDXL", True, None, None),
    ),
    "LyCORIS, (IA)³": (
        {f"{SGM}.weight": (640, 1), f"{SGM}.on_input": ()},
        ("(IA)³", "", False, None, None),
    ),
    "kohya, DyLoRA as it is trained": (
        {f"{SGM}.lora_A.{n}": (1, 2048) for n in range(4)},
        ("DyLoRA", "", False, None, None),
    ),
    "LyCORIS, DyLoRA as it is trained": (
        {f"{SGM}.up_list.0": (640, 4), f"{SGM}.down_list.0": (4, 2048)},
        ("DyLoRA", "", False, None, None),
    ),
    "Stability's ControlLoRA": (
        {
            "input_blocks.4.1.transformer_blocks.0.attn2.to_k.down": (128, 2048),
            "input_blocks.4.1.transformer_blocks.0.attn2.to_k.up": (640, 128),
            "input_hint_block.0.weight": (16, 3, 3, 3),
            "label_emb.0.0.down": (128, 2816),
            "lora_controlnet": (0,),
        },
        ("ControlLoRA", "SDXL", True, None, None),
    ),
    "a textual inversion for SDXL": (
        {"clip_g": (4, 1280), "clip_l": (4, 768)},
        ("textual inversion", "", False, None, None),
    ),
    "a textual inversion for SD 1.5": (
        {"emb_params": (4, 768)},
        ("textual inversion", "", False, None, None),
    ),
    "a checkpoint": (
        {"model.diffusion_model.out.2.weight": (4, 320, 3, 3)},
        (UNKNOWN, "", False, None, None),
    ),
    "no tensor of ours": ({"t": (1,)}, (UNKNOWN, "", False, None, None)),
}


@pytest.mark.parametrize(("shapes", "expected"), LORAS.values(), ids=LORAS.keys())
def test_what_the_tensors_tell(shapes: Shapes, expected: tuple[Any, ...]) -> None:
    assert told(shapes) == expected


def test_every_algorithm_is_told_by_some_file() -> None:
    algorithms = {expected[0] for _, expected in LORAS.values()}
    told = {part for found in algorithms for part in found.split(" + ")}
    assert told - {*UNSUPPORTED} == {*SUPPORTED, UNKNOWN}


def test_the_most_common_rank_counts() -> None:
    shapes = lora(SGM, 8, 640, 2048) | lora(FF, 32, 640, 2560) | lora(f"{FF}x", 32, 640, 2560)
    assert told(shapes)[3] == 32


@pytest.mark.parametrize(
    ("stated", "rank"), [("32", 32), ("0", None), ("9999", None), ("1e9", None), ("³", None)]
)
def test_a_stated_rank_is_used_where_no_shape_tells(stated: str, rank: int | None) -> None:
    assert told({f"{SGM}.lora_down.weight": ()}, ss_network_dim=stated)[3] == rank
    assert told(lora(SGM, 8, 640, 2048), ss_network_dim=stated)[3] == 8
    assert told({f"{SGM}.diff": (640, 2048)}, ss_network_dim=stated)[3] is None


IA3: Shapes = {f"{SGM}.on_input": ()}


@pytest.mark.parametrize(
    ("metadata", "base"),
    [
        (KOHYA_SDXL, "SDXL"),
        ({"ss_base_model_version": "sd_v1"}, "SD 1.5"),
        ({"ss_base_model_version": "sd_1.5"}, "SD 1.5"),
        ({"ss_base_model_version": "sd_v2_v"}, "SD 2"),
        ({"ss_base_model_version": "sd3"}, "SD 3"),
        ({"ss_base_model_version": "flux1"}, "Flux"),
        ({"ss_base_model_version": "sdxl_1.0"}, "SDXL"),
        ({"modelspec.architecture": "stable-diffusion-v1/lora"}, "SD 1.5"),
        ({"modelspec.architecture": "stable-diffusion-v2-768-v/lora"}, "SD 2"),
        ({"modelspec.architecture": "stable-diffusion-3-m/lora"}, "SD 3"),
        ({"modelspec.architecture": "flux-1-dev/lora"}, "Flux"),
        ({"modelspec.architecture": "chroma/lora"}, "Chroma"),
        ({"modelspec.architecture": "Flux.2-klein-9b/lora"}, "FLUX.2 klein 9B"),
        ({"modelspec.architecture": "Flux.2-dev/lora"}, "FLUX.2 dev"),
        ({"ss_base_model_version": "flux2_klein_4b"}, "FLUX.2 klein 4B"),
        ({"modelspec.architecture": "Z-Image/lora"}, "Z-Image"),
        ({"modelspec.architecture": "anima-preview"}, "Anima"),
        ({"ss_base_model_version": "animagine-xl"}, "SDXL"),
        ({"modelspec.architecture": "stable-diffusion-xl-v1-refiner"}, "SDXL refiner"),
        ({"modelspec.architecture": "what-is-this"}, ""),
        ({"ss_sd_model_name": "v1-5-pruned-emaonly.safetensors"}, "SD 1.5"),
        ({"ss_sd_model_name": "sd_xl_base_1.0.safetensors"}, "SDXL"),
        ({"ss_sd_model_name": "ponyDiffusionV6XL_v6.safetensors"}, "Pony"),
        ({"ss_sd_model_name": "anything.safetensors"}, ""),
    ],
)
def test_metadata_tells_the_base_where_shapes_do_not(metadata: dict[str, str], base: str) -> None:
    facts = adapter_facts(IA3, metadata)
    assert (facts.base, facts.certain) == (base, False)


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("ponyDiffusionV6XL_v6StartWithThisOne.safetensors", "Pony"),
        ("290640.safetensors", "Pony"),
        ("Illustrious-XL-v0.1.safetensors", "Illustrious"),
        ("noobaiXLNAIXL_vPred10Version.safetensors", "NoobAI"),
        ("D:/models/my_mix.safetensors", "SDXL"),
        ("v1-5-pruned.safetensors", "SDXL"),
    ],
)
def test_metadata_refines_sdxl_and_never_outweighs_it(name: str, base: str) -> None:
    metadata = {"ss_sd_model_name": name, "ss_base_model_version": "sd_v1"}
    facts = adapter_facts(lora(SGM, 8, 640, 2048), metadata)
    assert (facts.base, facts.certain) == (base, True)
    other = adapter_facts(lora(SD15, 8, 320, 768), metadata)
    assert other.base == "SD 1.5"


@pytest.mark.parametrize(
    ("name", "architecture", "base"),
    [
        ("lora_unet_double_blocks_0_img_attn_qkv", "hunyuan-video/lora", "Hunyuan"),
        ("lora_unet_double_blocks_0_img_attn_qkv", "flux-1-dev/lora", "Flux"),
        ("lora_unet_double_blocks_0_img_attn_qkv", "Flux.2-klein-4b/lora", "FLUX.2 klein 4B"),
        ("lora_unet_double_blocks_0_img_attn_qkv", "flux-2-klein", "FLUX.2 klein 4B"),
        (
            "lora_unet_double_blocks_0_img_attn_qkv",
            "stable-diffusion-v1/lora",
            "Flux/FLUX.2 klein",
        ),
        ("lora_unet_double_blocks_7_img_attn_qkv", "chroma/lora", "Chroma"),
        ("lora_unet_double_blocks_7_img_attn_qkv", "Flux.2-klein-4b/lora", "Flux"),
        ("transformer.blocks.0.x", "qwen-image/lora", "Qwen-Image"),
        ("transformer.blocks.0.x", "stable-diffusion-xl-v1-base", "DiT"),
        (SD15.replace("attn2", "attn1"), "stable-diffusion-v2-512/lora", "SD 2"),
        (SD15.replace("attn2", "attn1"), "stable-diffusion-xl-v1-base", "SD 1.5/2"),
    ],
)
def test_metadata_says_which_of_those_that_look_alike(
    name: str, architecture: str, base: str
) -> None:
    shapes = lora(name, 8, 3072, 3072)
    assert adapter_facts(shapes, {"modelspec.architecture": architecture}).base == base


def test_text_embeddings_of_another_width_are_of_no_known_model() -> None:
    facts = adapter_facts(
        lora(SD15, 8, 320, 112), {"modelspec.architecture": "stable-diffusion-xl-v1-base"}
    )
    assert (facts.base, facts.certain) == ("SDXL", False)


class TestWords:
    @pytest.mark.parametrize(
        ("metadata", "title"),
        [
            ({"modelspec.title": "Ink wash", "ss_output_name": "ink_v2"}, "Ink wash"),
            ({"modelspec.title": "LoRA@1699123456.7", "ss_output_name": "ink_v2"}, "ink_v2"),
            ({"modelspec.title": " \0\n ", "ss_output_name": "ink\nv2"}, "ink v2"),
            ({"ss_output_name": "x" * 10**6}, "x" * NAME_MAX),
            ({}, ""),
        ],
    )
    def test_the_title(self, metadata: dict[str, str], title: str) -> None:
        assert adapter_facts({}, metadata).title == title

    @pytest.mark.parametrize(
        ("text", "weight"),
        [
            *(("0.8", 0.8), ("-2", -2.0), ("", None), ("0", None), ("9", None), ("nan", None)),
            *(("inf", None), ("strong", None), ("0.8" + "0" * 40, None)),
        ],
    )
    def test_the_weight(self, text: str, weight: float | None) -> None:
        assert adapter_facts({}, {"modelspec.lora_default_weight": text}).weight == weight
        assert adapter_facts({}, {"lora_default_weight": text}).weight == weight

    def test_the_phrase_is_split_and_cleaned(self) -> None:
        metadata = {"modelspec.trigger_phrase": " ink wash, ,Ink Wash,a`b\n, " + "x" * 101}
        assert adapter_facts({}, metadata).phrase == ("ink wash", "a'b")
        assert adapter_facts({}, {"modelspec.trigger_phrase": "a,b,c,d,e,f"}).phrase == tuple(
            "abcde"
        )

    def test_the_tags_of_nearly_every_picture(self) -> None:
        # As sd-scripts writes them: a folder's name begins with its repeats; counts are of images.
        frequency = {
            "10_ink": {"inkstyle": 20, "1girl": 18, "solo": 17, " tree ": 20},
            "5_more": {"inkstyle": 9, "house": 10},
        }
        folders = {
            "10_ink": {"n_repeats": 10, "img_count": 20},
            "5_more": {"n_repeats": 5, "img_count": 10},
        }
        metadata = {
            "ss_tag_frequency": json.dumps(frequency),
            "ss_dataset_dirs": json.dumps(folders),
        }
        assert adapter_facts({}, metadata).tags == ("inkstyle", "tree", "1girl", "house")

    def test_without_the_number_of_pictures_the_most_frequent_tag_counts(self) -> None:
        # As ai-toolkit writes them.
        metadata = {"ss_tag_frequency": json.dumps({"1_p3rs0n": {"p3rs0n": 1}, "1_x": {}})}
        assert adapter_facts({}, metadata).tags == ("p3rs0n",)

    def test_equally_frequent_ones_keep_the_order_of_the_captions(self) -> None:
        metadata = {"ss_tag_frequency": json.dumps({"1_a": dict.fromkeys("zyxwvu", 7)})}
        assert adapter_facts({}, metadata).tags == tuple("zyxwv")

    @pytest.mark.parametrize(
        "text",
        [
            *("", "{", "[1]", "null", '{"a": 1}', '{"a": {"b": "c"}}', '{"a": {"b": true}}'),
            *('{"a": {"b": -1}}', '{"a": {"": 3}}', '{"a": {"b": 1.5}}', "[" * 100_000),
            '{"a": {"' + "x" * 200 + '": 1}}',
            '{"a": {"b": 1}}' + " " * JSON_MAX,
        ],
    )
    def test_malformed_tags_are_as_none(self, text: str) -> None:
        assert adapter_facts({}, {"ss_tag_frequency": text}).tags == ()

    @pytest.mark.parametrize("images", ['"9"', "0", "-3", "true", "null", "1e3", "[]"])
    def test_a_malformed_number_of_pictures_is_as_none(self, images: str) -> None:
        metadata = {
            "ss_tag_frequency": '{"a": {"b": 10, "c": 5}}',
            "ss_dataset_dirs": f'{{"a": {{"img_count": {images}}}}}',
        }
        assert adapter_facts({}, metadata).tags == ("b",)

    def test_huge_numbers_are_compared_all_the_same(self) -> None:
        metadata = {
            "ss_tag_frequency": f'{{"a": {{"b": {10**400}, "c": 5}}}}',
            "ss_dataset_dirs": f'{{"a": {{"img_count": {10**401}}}}}',
        }
        assert adapter_facts({}, metadata).tags == ()

    def test_the_authors_words_come_first_among_the_candidates(self) -> None:
        facts = AdapterFacts(phrase=("Ink", "wash"), tags=("ink", "tree", "a", "b", "c"))
        assert facts.candidates == ("Ink", "wash", "tree", "a", "b")


PARTS = ["lora_down.weight", "lora_up.weight", "lokr_w1", "lokr_w2_b", "hada_w1_b", "diff", "a2"]
PARTS += ["oft_blocks", "lora_mid.weight", "alpha", "weight", "0", "default", "down", ""]
NAMES = st.text(max_size=30) | st.builds(
    "{}.{}".format, st.sampled_from([SGM, PEFT, SD15, "transformer.x", ""]), st.sampled_from(PARTS)
)
KEYS = st.sampled_from(
    [
        *("ss_tag_frequency", "ss_dataset_dirs", "ss_network_dim", "ss_sd_model_name"),
        *("ss_base_model_version", "ss_output_name", "modelspec.title", "modelspec.architecture"),
        *("modelspec.trigger_phrase", "modelspec.lora_default_weight"),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)


@given(
    shapes=st.dictionaries(
        NAMES, st.lists(st.integers(0, 2**70), max_size=5).map(tuple), max_size=12
    ),
    metadata=st.dictionaries(KEYS, st.text(max_size=60) | JSON.map(json.dumps)),
)
def test_whatever_a_header_says_the_facts_are_sound(
    shapes: Shapes, metadata: dict[str, str]
) -> None:
    facts = adapter_facts(shapes, metadata)
    known = {*SUPPORTED, *UNSUPPORTED, UNKNOWN}
    assert set(facts.algorithm.split(" + ")) <= known
    assert facts.rank is None or 0 < facts.rank <= 4096
    assert facts.weight is None or WEIGHT_MIN <= facts.weight <= WEIGHT_MAX
    assert len(facts.title) <= NAME_MAX
    for words in (facts.phrase, facts.tags, facts.candidates):
        assert len(words) <= WORDS_MAX
        assert len({word.casefold() for word in words}) == len(words)
        for word in words:
            assert 0 < len(word) <= TRIGGER_MAX
            assert word == word.strip()
            assert "\n" not in word
