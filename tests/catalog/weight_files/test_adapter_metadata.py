"""Recognising adapters from the metadata that trainers write, and what these say besides."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.limits import NAME_MAX, TRIGGER_MAX, WEIGHT_MAX, WEIGHT_MIN
from catalog.weight_files import SUPPORTED, UNKNOWN, UNSUPPORTED, AdapterFacts, adapter_facts
from catalog.weight_files.training import JSON_MAX, WORDS_MAX
from tests.catalog.weight_files.lora_headers import PEFT, SD15, SGM, Shapes, lora, told

KOHYA_SDXL = {
    "ss_base_model_version": "sdxl_base_v1-0",
    "ss_network_module": "networks.lora",
    "ss_network_dim": "32",
    "modelspec.architecture": "stable-diffusion-xl-v1-base/lora",
}


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
        ({"ss_base_model_version": "flux1"}, "FLUX.1"),
        ({"ss_base_model_version": "sdxl_1.0"}, "SDXL"),
        ({"modelspec.architecture": "stable-diffusion-v1/lora"}, "SD 1.5"),
        ({"modelspec.architecture": "stable-diffusion-v2-768-v/lora"}, "SD 2"),
        ({"modelspec.architecture": "stable-diffusion-3-m/lora"}, "SD 3"),
        ({"modelspec.architecture": "flux-1-dev/lora"}, "FLUX.1"),
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
        ("lora_unet_double_blocks_0_img_attn_qkv", "flux-1-dev/lora", "FLUX.1"),
        ("lora_unet_double_blocks_0_img_attn_qkv", "Flux.2-klein-4b/lora", "FLUX.2 klein 4B"),
        ("lora_unet_double_blocks_0_img_attn_qkv", "flux-2-klein", "FLUX.2 klein 4B"),
        (
            "lora_unet_double_blocks_0_img_attn_qkv",
            "stable-diffusion-v1/lora",
            "FLUX.1/FLUX.2 klein",
        ),
        ("lora_unet_double_blocks_7_img_attn_qkv", "chroma/lora", "Chroma"),
        ("lora_unet_double_blocks_7_img_attn_qkv", "flux-1-dev/lora", "FLUX.1"),
        ("lora_unet_double_blocks_7_img_attn_qkv", "Flux.2-klein-4b/lora", "FLUX.1/Chroma"),
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
