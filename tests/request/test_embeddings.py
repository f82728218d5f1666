"""Embeddings that prompts name: what is one, what is a word, what is refused."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import InvalidRequest, Refused
from bot.request import Draft, EmbeddingUse, GenerationRequest, check_offered, compose
from catalog import (
    AdapterEntry,
    AdapterFacts,
    Catalog,
    EmbeddingEntry,
    EmbeddingFacts,
    Embeddings,
    ModelEntry,
)


def entry(key: str, file: str = "", **fields: Any) -> EmbeddingEntry:
    path = f"embeddings/{file or key}.safetensors"
    return EmbeddingEntry(key=key, name=fields.pop("name", key), path=path, **fields)


ENTRIES = [
    entry("easynegative", "EasyNegative"),
    entry("bad-hands-5"),
    entry("hands", token="<hand>", name="Beautiful hands"),
    entry("two-words", "Two Words (v2)"),
    entry("naked", "Undressed", nsfw=True),
    entry("bare", enabled=False, nsfw=True, token="<bare>"),
    entry("only-adults", models=("adults",)),
    entry("also-adults", models=("adults", "other")),
    entry("off", enabled=False),
    entry("old"),
    entry("half"),
    entry("only-other", models=("other",)),
]
FACTS = {
    "easynegative": EmbeddingFacts(vectors=8, base="SDXL"),
    "old": EmbeddingFacts(base="SD 1.5", flaw="an embedding for one text encoder"),
    "half": EmbeddingFacts(flaw="an embedding for one text encoder"),
}
MODELS = {
    key: ModelEntry(key=key, name=key, path=f"org/{key}", default_negative=negative)
    for key, negative in (("base", ""), ("other", "easynegative"))
}
MODELS["adults"] = ModelEntry(key="adults", name="adults", path="org/adults", nsfw=True)
LORAS = {
    key: AdapterEntry(key=key, name=key, path=f"{key}.safetensors", trigger_words=words)
    for key, words in (("ink", ("hands",)), ("bundle", ()))
}
CATALOG = Catalog(
    MODELS,
    LORAS,
    "base",
    adapter_facts={"bundle": AdapterFacts("LoRA", "SDXL", True, bundled=("easynegative", "<t>"))},
    embeddings=Embeddings({each.key: each for each in ENTRIES}, FACTS),
)
EMPTY = Catalog(MODELS, LORAS, "base", adapter_facts=CATALOG.adapter_facts)


def composed(
    prompt: str, *, nsfw: bool = False, catalog: Catalog = CATALOG, **fields: Any
) -> GenerationRequest:
    return compose(Draft(prompt=prompt, **fields), catalog, nsfw=nsfw, draw=lambda: 1)


def named(prompt: str, **other: Any) -> list[tuple[str, str]]:
    return [(use.key, use.word) for use in composed(prompt, **other).embeddings]


@pytest.mark.parametrize(
    ("prompt", "word"),
    [
        ("embedding:easynegative", "embedding:easynegative"),
        ("a fox, Embedding:EasyNegative, snow", "Embedding:EasyNegative"),
        ("(embedding:EasyNegative:1.2)", "embedding:EasyNegative"),
        ("((embedding:easynegative))", "embedding:easynegative"),
        ("[embedding:easynegative]", "embedding:easynegative"),
        ("embedding:EasyNegative.safetensors", "embedding:EasyNegative.safetensors"),
        ("(embedding:EasyNegative.pt:0.5)", "embedding:EasyNegative.pt"),
        ("embedding:SDXL/EasyNegative", "embedding:SDXL/EasyNegative"),
        ("a fox (embedding:easynegative).", "embedding:easynegative"),
        ("embedding:easynegative. A fox", "embedding:easynegative"),
        ("embedding:easynegative; a fox", "embedding:easynegative"),
        ("<embed:easynegative>", "<embed:easynegative>"),
        ("a fox<embedding:EasyNegative>", "<embedding:EasyNegative>"),
        ("<easynegative>", "<easynegative>"),
        ("(EasyNegative:1.1), a fox", "EasyNegative"),
        ("a fox,easynegative,snow", "easynegative"),
        ("a fox BREAK easynegative", "easynegative"),
    ],
)
def test_it_is_found_in_every_spelling(prompt: str, word: str) -> None:
    assert named(prompt) == [("easynegative", word)]


@pytest.mark.parametrize(
    ("prompt", "key", "word"),
    [
        ("bad-hands-5", "bad-hands-5", "bad-hands-5"),
        ("embedding:bad-hands-5, x", "bad-hands-5", "embedding:bad-hands-5"),
        ("a <hand> up", "hands", "<hand>"),
        ("embedding:<hand>", "hands", "embedding:<hand>"),
        (r"two words \(v2\)", "two-words", "two words (v2)"),
        (r"embedding:Two Words \(v2\), x", "two-words", "embedding:Two Words (v2)"),
    ],
)
def test_names_may_have_any_characters(prompt: str, key: str, word: str) -> None:
    assert named(prompt) == [(key, word)]


@pytest.mark.parametrize(
    "prompt",
    [
        "easynegatives, noteasynegative, easy negative",
        "bad-handsome-5",
        "a word embedding: visual art",
        "reembedding:x",
        "embedding:...",
        "Beautiful fox",
        "naked, off, old, half, only-other",
    ],
)
def test_other_words_stay_words(prompt: str) -> None:
    assert named(prompt) == []


def test_both_prompts_and_the_trigger_words_count_once_each() -> None:
    request = composed("a fox, easynegative, EASYNEGATIVE", negative="bad-hands-5", lora="ink")
    assert request.trigger_words == ("hands",)
    assert request.embeddings == (
        EmbeddingUse("easynegative", "easynegative"),
        EmbeddingUse("hands", "hands"),
        EmbeddingUse("bad-hands-5", "bad-hands-5"),
    )
    assert request.embedding_keys == ("easynegative", "hands", "bad-hands-5")


def test_those_in_a_models_default_negative_prompt_count() -> None:
    assert named("a fox", model="other") == [("easynegative", "easynegative")]


def test_the_prompt_is_stored_as_it_was_typed() -> None:
    assert composed("(embedding:EasyNegative:1.2), a fox").prompt == (
        "(embedding:EasyNegative:1.2), a fox"
    )


@pytest.mark.parametrize(
    ("prompt", "code", "params"),
    [
        (
            "embedding:easynegativ",
            "embedding.unknown",
            {"value": "easynegativ", "nearest": ("easynegative",)},
        ),
        (
            "(embedding:easynegatif:1.2)",
            "embedding.unknown",
            {"value": "easynegatif", "nearest": ("easynegative",)},
        ),
        (
            "<embed:easynegativ>",
            "embedding.unknown",
            {"value": "easynegativ", "nearest": ("easynegative",)},
        ),
        (
            "embedding:qqqqqqq.",
            "embedding.unlike",
            {"value": "qqqqqqq", "offered": ("easynegative", "bad-hands-5", "hands", "two-words")},
        ),
    ],
)
def test_an_unknown_one_is_refused_by_name(prompt: str, code: str, params: dict[str, Any]) -> None:
    for positive, negative in ((prompt, None), ("x", prompt)):
        with pytest.raises(InvalidRequest) as failure:
            composed(positive, negative=negative)
        assert failure.value.code == code
        assert params.items() <= failure.value.params.items()


def test_where_there_are_none_that_is_said() -> None:
    assert named("a fox, easynegative", catalog=EMPTY) == []
    with pytest.raises(InvalidRequest) as failure:
        composed("embedding:easynegative", catalog=EMPTY)
    assert failure.value.code == "embedding.none"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("naked", "embedding.nsfw"),
        ("off", "embedding.disabled"),
        ("old", "embedding.other_base"),
        ("half", "embedding.unfit"),
        ("only-other", "embedding.other_model"),
        ("only-adults", "embedding.misfit"),
    ],
)
def test_what_may_not_be_used_here_is_refused_with_the_reason(name: str, code: str) -> None:
    with pytest.raises(Refused) as failure:
        composed(f"embedding:{name}")
    assert failure.value.code == code
    assert failure.value.params["name"] == name


@pytest.mark.parametrize("typed", ["Undressed", "<BARE>", "also-adults"])
def test_a_refusal_names_nothing_that_is_not_for_the_channel(typed: str) -> None:
    with pytest.raises(Refused) as failure:
        composed(f"embedding:{typed}")
    params = failure.value.params
    assert params["name"] == typed
    assert not {"naked", "bare"} & {*params.values()}
    assert params.get("models", ("other",)) == ("other",)
    with pytest.raises(Refused) as failure:
        composed("embedding:also-adults", nsfw=True)
    assert failure.value.params["models"] == ("adults", "other")


def test_in_an_age_restricted_channel_all_may_be_used() -> None:
    assert named("naked", nsfw=True) == [("naked", "naked")]
    assert named("embedding:naked", nsfw=True) == [("naked", "embedding:naked")]


class TestInsideLoras:
    def test_their_words_are_left_to_the_engine(self) -> None:
        prompt = "easynegative, embedding:EasyNegative.pt. <easynegative> <t>, (embedding:<t>:1.2)"
        assert named(prompt, lora="bundle") == []

    def test_a_folder_before_their_name_is_no_spelling_of_theirs(self) -> None:
        assert named("embedding:sdxl/easynegative", lora="bundle") == [
            ("easynegative", "embedding:sdxl/easynegative")
        ]

    def test_without_that_lora_they_are_like_any_other(self) -> None:
        assert named("easynegative") == [("easynegative", "easynegative")]
        with pytest.raises(InvalidRequest):
            composed("embedding:<t>")

    def test_a_catalog_without_embeddings_does_not_matter(self) -> None:
        assert named("embedding:<t>", lora="bundle", catalog=EMPTY) == []


def test_one_named_as_a_lora_is_pointed_out() -> None:
    for prompt, lora in (("a fox", "EasyNegative:0.8"), ("a fox <lora:easynegative:1>", None)):
        with pytest.raises(InvalidRequest) as failure:
            composed(prompt, lora=lora)
        assert failure.value.code == "lora.embedding"
    for hidden in ("naked", "off", "old"):
        with pytest.raises(InvalidRequest) as failure:
            composed("a fox", lora=hidden)
        assert failure.value.code != "lora.embedding"


class TestAgain:
    def test_a_new_one_does_not_change_an_earlier_request(self) -> None:
        before = composed("a fox in the snow, hands")
        assert [use.key for use in before.embeddings] == ["hands"]
        check_offered(before, CATALOG, nsfw=False)
        assert GenerationRequest.from_dict(before.to_dict()) == before

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"enabled": False}, "embedding.disabled"),
            ({"nsfw": True}, "embedding.nsfw"),
            (None, "embedding.unknown"),
        ],
    )
    def test_one_that_is_not_offered_any_more_is_named(
        self, change: dict[str, Any] | None, code: str
    ) -> None:
        before = composed("hands, a fox")
        left = {e.key: e for e in ENTRIES if e.key != "hands"}
        if change is not None:
            changed = CATALOG.embeddings.entries["hands"].model_copy(update=change)
            left = {**CATALOG.embeddings.entries, "hands": changed}
        now = replace(CATALOG, embeddings=Embeddings(left, FACTS))
        with pytest.raises((InvalidRequest, Refused)) as failure:
            check_offered(before, now, nsfw=False)
        assert failure.value.code == code

    def test_a_request_without_any_is_stored_as_ever(self) -> None:
        assert "embeddings" not in composed("a fox").to_dict()


@given(st.text("embding:<>(,. )\\[]tyz", max_size=60))
def test_any_text_is_composed_or_refused(prompt: str) -> None:
    with suppress(InvalidRequest, Refused):
        composed("x" + prompt)
