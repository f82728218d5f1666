"""The weights that a recipe names are those of the order, as far as these are known."""

from dataclasses import replace
from typing import Any

import pytest

from bot.errors import WireError
from bot.recipe import Recipe, Weights
from bot.wire.expected import ANY, Expected
from tests.store.factories import recipe

A, B, C = ("a" * 64, "b" * 64, "c" * 64)


def weights(name: str, sha256: str) -> Weights:
    return Weights(name, sha256, sha256[:10])


def only(sha256: str) -> frozenset[str]:
    return frozenset({sha256})


WHOLE: Recipe = replace(
    recipe(),
    checkpoint=weights("demo", A),
    vae=weights("vae", B),
    text_encoder=weights("encoder", C),
    upscaler=weights("4x", C),
    adapters=(weights("ink", A), weights("fog", B)),
    embeddings=(weights("hands", C),),
    reference=(weights("ip.safetensors", A), weights("encoder", B)),
    parts=(weights("org/model/text_encoder", A), weights("org/model/vae", B)),
)
EXPECTED = Expected(
    checkpoint=only(A),
    vae=only(B),
    text_encoder=only(C),
    upscaler=only(C),
    adapters=(only(A), only(B)),
    embeddings=(only(C),),
    reference=(only(A), only(B)),
    parts={"text_encoder": only(A), "vae": only(B)},
)


def test_the_weights_of_the_order_are_right() -> None:
    EXPECTED.check(WHOLE)
    # Which variant was read depends on the card.
    replace(EXPECTED, checkpoint=frozenset({A, C})).check(WHOLE)


@pytest.mark.parametrize(
    "field",
    [
        *("checkpoint", "vae", "text_encoder", "upscaler", "adapters", "embeddings"),
        *("reference", "parts"),
    ],
)
def test_others_are_refused_by_name_and_digest(field: str) -> None:
    said = getattr(WHOLE, field)
    last = said[-1] if isinstance(said, tuple) else said
    other = replace(last, sha256="d" * 64)
    changed: Any = {field: (*said[:-1], other) if isinstance(said, tuple) else other}
    wrong = replace(WHOLE, **changed)
    said = f"{field}: it used {last.name}.*{other.sha256[:12]}.*{last.sha256[:12]}"
    with pytest.raises(WireError, match=said):
        EXPECTED.check(wrong)


def test_what_is_not_known_may_be_any() -> None:
    unknown = Expected(
        vae=ANY, text_encoder=ANY, adapters=(ANY, only(B)), parts={"text_encoder": ANY}
    )
    unknown.check(WHOLE)
    with pytest.raises(WireError, match="adapters"):
        unknown.check(replace(WHOLE, adapters=(weights("ink", C), weights("fog", C))))


@pytest.mark.parametrize("network", ["vae", "text_encoder"])
def test_a_network_is_named_where_there_is_one_of_its_own_and_only_there(network: str) -> None:
    none: Any = {network: None}
    with pytest.raises(WireError, match=network):
        EXPECTED.check(replace(WHOLE, **none))
    with pytest.raises(WireError, match=network):
        replace(EXPECTED, **none).check(WHOLE)


def test_what_was_lent_is_named() -> None:
    with pytest.raises(WireError, match="without vae, which the order needs"):
        EXPECTED.check(replace(WHOLE, parts=WHOLE.parts[:1]))
