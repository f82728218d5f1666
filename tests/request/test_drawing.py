"""Prompts that are drawn, from what is typed to the request and what is made of it later."""

from dataclasses import replace
from typing import Any

import pytest

from bot.errors import InvalidRequest
from bot.request import (
    Draft,
    EmbeddingUse,
    GenerationRequest,
    Template,
    compose,
    typed_again,
    varied,
)
from bot.request.dynamic import VERSION
from bot.request.emphasis import WEIGHT_MAX
from catalog import (
    AdapterEntry,
    Catalog,
    EmbeddingEntry,
    Embeddings,
    ModelEntry,
    WildcardFile,
    Wildcards,
)

MODEL = ModelEntry(key="base", name="Base", path="org/base", default_negative="{low} quality")
INK = AdapterEntry(key="ink", name="Ink", path="org/ink", trigger_words=("ink wash",))
WORT = EmbeddingEntry(key="wort", name="Wort", path="org/wort")


def catalog(*colours: str) -> Catalog:
    return Catalog(
        {"base": MODEL},
        {"ink": INK},
        "base",
        embeddings=Embeddings({"wort": WORT}),
        wildcards=Wildcards({"colour": WildcardFile(colours)}),
    )


CATALOG = catalog("red", "green", "blue")


def composed(prompt: str, offered: Catalog = CATALOG, **fields: Any) -> GenerationRequest:
    fields = {"seed": 7, **fields}
    return compose(Draft(prompt=prompt, **fields), offered, nsfw=False)


def refused(prompt: str, **fields: Any) -> str:
    with pytest.raises(InvalidRequest) as caught:
        composed(prompt, **fields)
    return caught.value.code


def test_a_prompt_without_anything_to_draw_has_no_template() -> None:
    plain = composed("a (fox:1.2), my__own__lora | [a|b]", negative="ugly", count=3)
    assert (plain.template, plain.others) == (None, ())
    assert plain.prompt == "a (fox:1.2), my__own__lora | [a|b]"
    assert {"template", "others"}.isdisjoint(plain.to_dict())


def test_a_models_own_negative_prompt_is_not_read() -> None:
    assert composed("a {red|green} fox").negative == "{low} quality"


def test_each_image_is_drawn_for_its_own_seed() -> None:
    batch = composed("a __colour__ fox {in|on} {snow|grass}", count=4)
    assert batch.template == Template("a __colour__ fox {in|on} {snow|grass}", None, VERSION)
    texts = [each.prompt for each in batch.prompts]
    assert len({*texts}) > 1
    for n in range(4):
        alone = composed("a __colour__ fox {in|on} {snow|grass}", seed=7 + n)
        assert alone.prompt == texts[n]
        assert batch.alone(n) == batch.of_seed(7 + n) == alone


def test_both_prompts_are_drawn_and_templates_are_kept_apart() -> None:
    asked = composed("fox", negative="{red|green}", count=2, seed=2**32 - 1)
    assert asked.template == Template(None, "{red|green}", VERSION)
    assert all(each.prompt == "fox" for each in asked.prompts)
    assert asked.of_seed(0).negative == asked.alone(1).negative


def test_braces_can_be_meant() -> None:
    asked = composed(r"a \{fox\}", count=2)
    assert (asked.prompt, asked.others) == ("a {fox}", ())
    assert asked.template == Template(r"a \{fox\}", None, VERSION)


def test_it_survives_json_and_needs_no_wildcards_any_more() -> None:
    batch = composed("a __colour__ wort", count=3, lora="ink", negative="{a|b}")
    assert GenerationRequest.from_dict(batch.to_dict()) == batch
    assert batch.with_kernels("eager").prompts == batch.prompts
    # A stored request means what it meant, whatever is in it.
    old = replace(composed("a fox"), prompt="{old|braces} __colour__")
    assert GenerationRequest.from_dict(old.to_dict()) == old
    assert varied(old, CATALOG, nsfw=False, seed=9).prompt == "{old|braces} __colour__"


def test_a_new_seed_draws_again_from_todays_wildcards() -> None:
    batch = composed("a __colour__ fox", count=2, lora="ink", negative="{a|b|c}")
    other = varied(batch, catalog("pink"), nsfw=False, seed=8)
    assert (other.seed, other.template) == (8, batch.template)
    assert {each.prompt for each in other.prompts} == {"a pink fox"}
    assert other.trigger_words == ("ink wash",)
    today = compose(
        Draft(prompt="a __colour__ fox", negative="{a|b|c}", lora="ink", count=2, seed=8),
        catalog("pink"),
        nsfw=False,
    )
    assert other == today


def test_each_images_text_has_its_own_trigger_words_and_embeddings() -> None:
    batch = composed("{ink wash|wort|fox}", lora="ink", count=4, seed=3)
    seen = set()
    for each in batch.prompts:
        seen.add(each.prompt)
        assert each.trigger_words == (() if each.prompt == "ink wash" else ("ink wash",))
        uses = (EmbeddingUse("wort", "wort"),) if each.prompt == "wort" else ()
        assert each.embeddings == uses
    assert seen == {"ink wash", "wort", "fox"}
    assert batch.embedding_keys == ("wort",)
    assert {*batch.names} == {"base", "ink", "wort"}


def test_every_drawn_text_is_checked() -> None:
    over = WEIGHT_MAX + 1
    assert refused(f"{{fox|(fox:{over})}}", count=4) == "prompt.weight"
    assert refused("{|}") == "prompt.empty"
    assert refused("{fox|embedding:nothing}", count=4) == "embedding.unlike"
    long = catalog("x" * 1_999)
    with pytest.raises(InvalidRequest) as caught:
        composed("a __colour__", long)
    assert caught.value.code == "prompt.long"


@pytest.mark.parametrize(
    "prompt",
    [
        "{<lora:ink:1>|a} fox",
        "a <lora:{ink|old}:1>",
        "{a|{<lora:ink|b}}",
    ],
)
def test_loras_are_not_drawn(prompt: str) -> None:
    assert refused(prompt) == "dynamic.lora"


def test_a_lora_whose_name_has_underscores_is_looked_up() -> None:
    assert refused("a <lora:__colour__:1> fox") == refused("a <lora:b__c__d:1>") == "lora.unlike"


def test_nor_are_they_from_a_file() -> None:
    with pytest.raises(InvalidRequest) as caught:
        composed("a __colour__", catalog("<lora:ink:1>"))
    assert caught.value.code == "dynamic.lora"


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("prompt", ["a {__color__|b}", "{b|{__color__|c} d}", "{0::__color__|b}"])
def test_an_unknown_wildcard_is_named_whatever_is_drawn(prompt: str, seed: int) -> None:
    assert refused(prompt, seed=seed) == "dynamic.unknown"
    assert composed("a {file__color__|b}", seed=seed).template is not None


def test_a_lora_beside_what_is_drawn_is_fine() -> None:
    asked = composed("a {red|green} fox <lora:ink:0.5>")
    assert asked.template == Template("a {red|green} fox", None, VERSION)
    assert [use.key for use in asked.adapters] == ["ink"]


def test_no_log_may_have_any_of_its_texts() -> None:
    batch = composed("a __colour__ fox", count=4, negative="{x|yz}", lora="ink")
    texts = {*batch.texts}
    assert {"a __colour__ fox", "{x|yz}"} <= texts
    assert {f"{each.prompt}, ink wash" for each in batch.prompts} <= texts
    assert "fox" not in repr(batch)


def test_a_request_can_be_typed_again() -> None:
    drawn = composed(r"a __colour__ \{fox\}", negative="{a|b}", count=2)
    prompt, negative = typed_again(drawn)
    assert composed(prompt, negative=negative, count=2) == drawn
    # One from before there was anything to draw means what it meant.
    old = replace(composed("a fox"), prompt="{old|braces} __colour__", negative="{x}")
    prompt, negative = typed_again(old)
    again = composed(prompt, negative=negative)
    assert (again.prompt, again.negative) == (old.prompt, old.negative)
    assert typed_again(composed("a (fox:1.2)", negative="")) == ("a (fox:1.2)", "")
