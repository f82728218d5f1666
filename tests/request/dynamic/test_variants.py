"""The alternatives of a prompt, for comparing them."""

import pytest

from bot.errors import InvalidRequest
from bot.request.dynamic import VARIANTS_MAX, variants


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a fox", ("a fox",)),
        ("a {red|3::green} {fox|}", ("a red fox", "a red ", "a green fox", "a green ")),
        ("{a|{b|c}}", ("a", "{b|c}")),
        (
            "{2$$a|b} __colour__ \\{ {c|d}",
            ("{2$$a|b} __colour__ \\{ c", "{2$$a|b} __colour__ \\{ d"),
        ),
    ],
)
def test_each_combination_in_order(prompt: str, expected: tuple[str, ...]) -> None:
    assert variants(prompt) == expected


def test_too_many_are_refused_by_number() -> None:
    assert len(variants("{a|b}" * 4)) == VARIANTS_MAX
    with pytest.raises(InvalidRequest) as caught:
        variants("{a|b|c}" * 400)
    assert caught.value.code == "dynamic.variants"
    assert caught.value.params["value"] == 3**400
