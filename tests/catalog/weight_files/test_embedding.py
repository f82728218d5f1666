"""Embeddings (textual inversions), alone and inside LoRAs, told by their tensors."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.weight_files import (
    EMBEDDING,
    NO_TOKEN,
    EmbeddingFacts,
    Header,
    adapter_facts,
    bundled_embeddings,
    embedding_facts,
    paired_facts,
)

Shapes = Mapping[str, tuple[int, ...]]


def header(
    shapes: Shapes, metadata: dict[str, str] | None = None, dtype: str = "F32", **dtypes: str
) -> Header:
    return Header(
        shapes=shapes,
        dtypes={name: dtypes.get(name, dtype) for name in shapes},
        starts=dict.fromkeys(shapes, 0),
        sizes=dict.fromkeys(shapes, 0),
        data_start=0,
        metadata=metadata or {},
    )


def told(shapes: Shapes, **other: Any) -> EmbeddingFacts:
    facts = embedding_facts(header(shapes, **other))
    assert facts is not None
    return facts


USABLE: dict[str, tuple[Shapes, tuple[str, str]]] = {
    "kohya, ComfyUI": ({"clip_g": (4, 1280), "clip_l": (4, 768)}, ("clip_l", "clip_g")),
    "diffusers": (
        {"text_encoders_0": (4, 768), "text_encoders_1": (4, 1280)},
        ("text_encoders_0", "text_encoders_1"),
    ),
    "folders of a pipeline": (
        {"text_encoder": (4, 768), "text_encoder_2": (4, 1280)},
        ("text_encoder", "text_encoder_2"),
    ),
    "bare names": ({"<tok>_g": (4, 1280), "<tok>_l": (4, 768)}, ("<tok>_l", "<tok>_g")),
}


@pytest.mark.parametrize(("shapes", "parts"), USABLE.values(), ids=USABLE.keys())
def test_one_for_both_text_encoders_can_be_used(shapes: Shapes, parts: tuple[str, str]) -> None:
    facts = told(shapes)
    assert facts.parts == {"text_encoder": parts[0], "text_encoder_2": parts[1]}
    assert (facts.vectors, facts.base, facts.flaw, facts.unused) == (4, "SDXL", "", ())


def test_a_vector_without_an_axis_for_tokens_is_one_token() -> None:
    assert told({"clip_l": (768,), "clip_g": (1, 1280)}).vectors == 1


def test_other_widths_are_of_no_known_model() -> None:
    facts = told({"clip_l": (2, 48), "clip_g": (2, 64)})
    assert (facts.base, facts.flaw) == ("", "")


HALF = "half an embedding: one for the second of two text encoders"
USELESS: dict[str, tuple[Shapes, tuple[str, str]]] = {
    "one half": ({"clip_g": (4, 1280)}, ("", HALF)),
    "one half by its name": ({"clip_g": (4, 64)}, ("", HALF)),
    "one half by its width": ({"<toy>": (4, 1280)}, ("", HALF)),
    "T5": ({"t5": (4, 4096)}, ("FLUX.1", HALF)),
    "Flux": ({"clip_l": (4, 768), "t5": (4, 4096)}, ("FLUX.1", HALF)),
    "too many vectors for one encoder": (
        {"emb_params": (76, 768)},
        ("SD 1.5", "an embedding with 76 vectors, more than 75"),
    ),
    "SD 3": ({"clip_l": (4, 768), "clip_g": (4, 1280), "t5": (4, 4096)}, ("SD 3", "")),
    "output of OneTrainer": (
        {"clip_l_out": (4, 768), "clip_g_out": (4, 1280)},
        ("", "an output embedding of OneTrainer"),
    ),
    "unequal halves": (
        {"clip_l": (4, 768), "clip_g": (8, 1280)},
        ("SDXL", "an embedding with 4 and 8 vectors for the two text encoders"),
    ),
    "too many vectors": (
        {"clip_l": (76, 768), "clip_g": (76, 1280)},
        ("SDXL", "an embedding with 76 vectors, more than 75"),
    ),
    "no vectors": (
        {"clip_l": (0, 768), "clip_g": (0, 1280)},
        ("SDXL", "an embedding without vectors"),
    ),
    "three axes": (
        {"clip_l": (1, 4, 768), "clip_g": (1, 4, 1280)},
        ("SDXL", "an embedding of 3-dimensional tensors"),
    ),
    "no axes": ({"clip_l": (), "clip_g": ()}, ("", "an embedding without vectors")),
}


ALONE: dict[str, tuple[Shapes, str, int]] = {
    "kohya": ({"emb_params": (4, 768)}, "SD 1.5", 4),
    "AUTOMATIC1111": ({"string_to_param.*": (4, 768), "step": (1,)}, "SD 1.5", 4),
    "diffusers": ({"<cat-toy>": (768,)}, "SD 1.5", 1),
    "ComfyUI": ({"clip_l": (4, 768)}, "SD 1.5", 4),
    "SD 2": ({"emb_params": (4, 1024)}, "SD 2", 4),
}


@pytest.mark.parametrize(("shapes", "base", "vectors"), ALONE.values(), ids=ALONE.keys())
def test_one_for_a_single_text_encoder(shapes: Shapes, base: str, vectors: int) -> None:
    facts = told(shapes)
    assert (facts.base, facts.flaw, facts.vectors) == (base, "", vectors)
    assert facts.parts == {"text_encoder": next(iter(shapes))}


@pytest.mark.parametrize(("shapes", "expected"), USELESS.values(), ids=USELESS.keys())
def test_what_cannot_be_used_is_named(shapes: Shapes, expected: tuple[str, str]) -> None:
    facts = told(shapes)
    assert (facts.base, facts.flaw) == expected


def test_integers_are_no_vectors() -> None:
    facts = told({"clip_l": (4, 768), "clip_g": (4, 1280)}, clip_g="I8")
    assert facts.flaw == "an embedding of F32, I8 numbers"


def test_what_else_is_in_a_usable_file_is_told() -> None:
    shapes = {"clip_l": (1, 768), "clip_g": (1, 1280), "clip_g_out": (1, 1280)}
    assert told(shapes).unused == ("clip_g_out",)


def test_numbers_beside_the_vectors_do_no_harm() -> None:
    """AUTOMATIC1111 keeps some, and converters carry them over."""
    shapes: Shapes = {"clip_l": (1, 768), "clip_g": (1, 1280), "step": (1,), "sd_version": ()}
    assert (told(shapes).flaw, told(shapes).unused) == ("", ("step", "sd_version"))


@pytest.mark.parametrize("shapes", [{"step": ()}, {"step": (), "x": (1, 1), "y": (1,)}])
def test_numbers_alone_are_no_embedding(shapes: Shapes) -> None:
    assert embedding_facts(header(shapes)) is None


@pytest.mark.parametrize("first", ["text_encoder", "text_encoder_0", "text_encoder_1", "clip_l"])
def test_the_catalog_of_loras_sees_the_same_embeddings(first: str) -> None:
    second = {"clip_l": "clip_g", "text_encoder_0": "text_encoder_1"}.get(first, "text_encoder_2")
    shapes = {first: (2, 768), second: (2, 1280), "step": (1,)}
    assert told(shapes).flaw == ""
    facts = adapter_facts(shapes, {})
    assert (facts.algorithm, facts.other) == (EMBEDDING, "")


def test_the_name_of_the_only_tensor_is_the_word_to_type() -> None:
    assert told({"<cat-toy>": (2, 768)}).token == "<cat-toy>"
    assert told({"clip_l": (1, 768), "clip_g": (1, 1280)}).token == ""
    assert told({"emb_params": (1, 768)}).token == ""


def test_the_title_is_the_authors() -> None:
    shapes = {"clip_l": (1, 768), "clip_g": (1, 1280)}
    assert told(shapes, metadata={"modelspec.title": "Fine hands"}).title == "Fine hands"


@pytest.mark.parametrize(
    "shapes",
    [
        {"lora_unet_mid_block.lora_down.weight": (4, 768)},
        {"x.weight": (4, 768)},
        {"x.bias": (768,)},
        {"x": (4, 99)},
        {"x": (500, 768)},
        {"x": ()},
        {"x": (1, 1, 768)},
        {"clip_l": (4, 768), "clip_g": (4, 1280), "model.layer.weight": (4, 4)},
        dict.fromkeys("abc", (4, 768)),
    ],
)
def test_other_files_are_none(shapes: Shapes) -> None:
    assert embedding_facts(header(shapes)) is None


def test_where_only_embeddings_belong_names_and_widths_matter_less() -> None:
    one, two = {"tok": (4, 48)}, {"tok_2": (4, 64), "tok": (4, 48)}
    assert embedding_facts(header(one)) is embedding_facts(header(two)) is None
    single, pair = (embedding_facts(header(each), surely=True) for each in (one, two))
    assert single is not None
    assert pair is not None
    assert (single.parts, single.flaw) == ({"text_encoder": "tok"}, "")
    assert (pair.parts, pair.flaw) == ({"text_encoder": "tok", "text_encoder_2": "tok_2"}, "")


@given(
    st.dictionaries(
        st.sampled_from(["clip_l", "clip_g", "clip_g_out", "t5", "emb_params", "<x>", "y.weight"])
        | st.text(max_size=5),
        st.lists(st.sampled_from([0, 1, 4, 76, 768, 1024, 1280]), max_size=3).map(tuple),
        min_size=1,
        max_size=4,
    ),
    st.booleans(),
)
def test_no_file_is_too_strange(shapes: Shapes, surely: bool) -> None:
    said = header(shapes)
    embedding_facts(said, surely=surely)
    paired_facts(said, said)
    bundled_embeddings(header({f"bundle_emb.{name}": shape for name, shape in shapes.items()}))
    adapter_facts(shapes, {})


class TestBundled:
    def test_those_of_onetrainer_are_found_by_token(self) -> None:
        shapes = {
            "lora_unet_x.lora_down.weight": (4, 4),
            "bundle_emb.<my.tok>.clip_l": (2, 768),
            "bundle_emb.<my.tok>.clip_g": (2, 1280),
            "bundle_emb.<my.tok>.clip_g_out": (2, 1280),
        }
        found = bundled_embeddings(header(shapes))
        assert found == {
            "<my.tok>": EmbeddingFacts(
                parts={
                    "text_encoder": "bundle_emb.<my.tok>.clip_l",
                    "text_encoder_2": "bundle_emb.<my.tok>.clip_g",
                },
                vectors=2,
                base="SDXL",
                unused=("bundle_emb.<my.tok>.clip_g_out",),
                token="<my.tok>",
            )
        }

    @pytest.mark.parametrize(
        ("parts", "read"),
        [
            (("clip_l", "clip_g"), ("clip_l", "clip_g")),
            (("text_encoders_0", "text_encoders_1"), ("text_encoders_0", "text_encoders_1")),
            (("emb_params",), ("emb_params",)),
        ],
    )
    def test_one_of_ai_toolkit_has_no_token(
        self, parts: tuple[str, ...], read: tuple[str, ...]
    ) -> None:
        shapes = {"lora_unet_x.lora_down.weight": (4, 4)}
        shapes |= {part: (2, width) for part, width in zip(parts, (768, 1280), strict=False)}
        [(token, facts)] = bundled_embeddings(header(shapes)).items()
        assert (token, facts.flaw, tuple(facts.parts.values())) == (NO_TOKEN, "", read)

    @pytest.mark.parametrize("part", ["clip_g", "t5", "clip_g_out"])
    def test_what_is_for_no_family_is_of_no_use(self, part: str) -> None:
        found = bundled_embeddings(header({f"bundle_emb.my.tok.{part}": (2, 768)}))
        assert [*found] == ["my.tok"]
        assert found["my.tok"].flaw
        assert found["my.tok"].unused == (f"bundle_emb.my.tok.{part}",)
