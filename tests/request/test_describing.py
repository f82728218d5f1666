"""What is described, and the words for it as a prompt."""

import pytest

from bot.errors import InvalidRequest, Refused
from bot.request import (
    DescribeDraft,
    GenerationRequest,
    Picture,
    as_prompt,
    check_offered,
    compose_describe,
    describe_styles,
    imagined,
)
from catalog import Catalog, DescriberEntry, ModelEntry

PICTURE = Picture("a" * 64, 120, 60)
MODEL = ModelEntry(key="demo", name="Demo", path="a/b")
PLAIN = Catalog({"demo": MODEL}, {}, "demo", describer=DescriberEntry(path="a/b"))
TAGGING = Catalog({"demo": MODEL}, {}, "demo", describer=DescriberEntry(path="a/b", tags="<T>"))
BLIND = Catalog({"demo": MODEL}, {}, "demo")


def test_a_description_needs_its_image_alone() -> None:
    request = compose_describe(DescribeDraft(image=PICTURE), PLAIN).request
    assert request.describe is not None
    assert request.describe.style == "detailed"
    assert request.inputs == (PICTURE.sha256,)
    assert request.final_size == (120, 60)
    assert (request.names, request.images) == ((), 1)
    assert GenerationRequest.from_dict(request.to_dict()) == request


def test_what_is_offered_is_what_its_network_was_trained_for() -> None:
    assert describe_styles(PLAIN) == ("short", "detailed", "long")
    assert describe_styles(TAGGING) == ("short", "detailed", "long", "tags")
    assert describe_styles(BLIND) == ()
    tags = DescribeDraft(image=PICTURE, style=" Tags ")
    request = compose_describe(tags, TAGGING).request
    with pytest.raises(InvalidRequest) as invalid:
        compose_describe(tags, PLAIN)
    assert (invalid.value.field, invalid.value.code) == ("style", "describe.style")
    with pytest.raises(InvalidRequest):
        check_offered(request, PLAIN, nsfw=True)
    with pytest.raises(Refused) as refused:
        compose_describe(DescribeDraft(image=PICTURE), BLIND)
    assert refused.value.code == "describe.none"


def test_nothing_in_the_words_weighs_draws_or_names_a_thing() -> None:
    for words in (
        "a (red) star [from:to:0.5] --ar 16:9",
        "{a|b} __colours__ <lora:ink:1>",
        "1girl, long_hair, :d, (smile:1.4)",
    ):
        request = imagined(words, (120, 60), PLAIN, nsfw=False, seed=7)
        assert request.template is None
        assert request.adapters == ()
        assert len(request.turns[0]) == 1
        assert request.prompt == as_prompt(words)
    assert as_prompt("a (b)") == r"a \(b\)"


@pytest.mark.parametrize(
    ("size", "expected"),
    [((120, 60), "wide"), ((60, 120), "high"), ((500, 490), "square"), ((5_000, 20), "wide")],
)
def test_the_size_is_the_usual_one_that_is_nearest(size: tuple[int, int], expected: str) -> None:
    made = imagined("a star", size, PLAIN, nsfw=False, seed=7)
    shape = "wide" if made.width > made.height else "high" if made.width < made.height else "square"
    assert shape == expected
    assert made.seed == 7
