"""Comparisons: which cells an axis makes, and that each is what /imagine would be asked for."""

import json
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import InvalidRequest, UserError
from bot.request import (
    AXES,
    SEED_MAX,
    AdapterUse,
    Axis,
    AxisAsk,
    Comparison,
    Draft,
    GenerationRequest,
    cells,
    check_offered,
    compare,
    compare_again,
    compose,
    paint_order,
    redraft,
    varied,
)
from catalog import AdapterEntry
from tests.request.composing import CATALOG, composed


def compared(
    prompt: str = "a fox", *asks: tuple[str, str | None], nsfw: bool = False, **fields: Any
) -> GenerationRequest:
    draft = Draft(prompt=prompt, **fields)
    axes = [AxisAsk(name, values) for name, values in asks]
    return compare(draft, axes, CATALOG, nsfw=nsfw, draw=lambda: 1234).request


def values(request: GenerationRequest) -> list[tuple[str, ...]]:
    return [axis.values for axis in request.comparison.axes] if request.comparison else []


def problem(*asks: tuple[str, str | None], prompt: str = "a fox", **fields: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        compared(prompt, *asks, **fields)
    return caught.value


FRESH: list[tuple[str, str, dict[str, Any], list[dict[str, Any]]]] = [
    ("model", "base, fast", {}, [{"model": "base"}, {"model": "fast"}]),
    ("steps", "12, 20", {}, [{"steps": 12}, {"steps": 20}]),
    ("guidance", "3.5; 7", {}, [{"guidance": 3.5}, {"guidance": 7.0}]),
    ("guidance", "3,5; 7", {}, [{"guidance": 3.5}, {"guidance": 7.0}]),
    ("scheduler", "euler a, ddim", {}, [{"scheduler": "Euler a"}, {"scheduler": "DDIM"}]),
    ("size", "16:9, 832x1216", {}, [{"size": "16:9"}, {"size": "832x1216"}]),
    ("seed", "1, 2", {}, [{"seed": 1}, {"seed": 2}]),
    ("lora", "off, on", {"lora": "ink:0.6"}, [{"lora": None}, {"lora": "ink:0.6"}]),
    (
        "lora",
        "OFF, ink, anime:0.3, ink+anime",
        {"lora": "glow, ink:0.6:0.2"},
        [
            {"lora": "glow"},
            {"lora": "glow, ink:0.6:0.2"},
            {"lora": "glow, anime:0.3"},
            {"lora": "glow, ink:0.6:0.2, anime"},
        ],
    ),
    ("weight", "0, 0.5", {"lora": "ink:0.6"}, [{"lora": "ink:0"}, {"lora": "ink:0.5"}]),
    (
        "weight",
        "Anime Detailer: 0.2, 1",
        {"lora": "ink:0.6, anime:0.3:0.1"},
        [{"lora": "ink:0.6, anime:0.2:0.1"}, {"lora": "ink:0.6, anime:1:0.1"}],
    ),
    ("weight", "ink: 0.2, 1", {"lora": "glow"}, [{"lora": "glow, ink:0.2"}, {"lora": "glow, ink"}]),
]


@pytest.mark.parametrize(("axis", "typed", "fields", "fresh"), FRESH)
def test_a_cell_is_what_imagine_makes_of_its_values(
    axis: str, typed: str, fields: dict[str, Any], fresh: list[dict[str, Any]]
) -> None:
    request = compared("a fox", (axis, typed), **fields)
    if typed == "ink: 0.2, 1":
        fresh[1] = {"lora": "glow, ink:1"}
    assert [cell.request for cell in cells(request)] == [
        composed("a fox", **{**fields, **one}) for one in fresh
    ]


def test_a_lora_tag_in_the_prompt_varies_like_the_option() -> None:
    request = compared("a fox <lora:ink:0.5>", ("weight", "0.2, 0.9"))
    fresh = [composed(f"a fox <lora:ink:{weight}>") for weight in (0.2, 0.9)]
    assert [cell.request for cell in cells(request)] == fresh


def test_each_variant_of_the_prompt_is_composed_with_its_own_loras_and_words() -> None:
    request = compared("a {red|blue <lora:ink:0.5>} fox", ("prompt", None), ("weight", "ink:1, 2"))
    assert values(request) == [("red", "blue <lora:ink:0.5>"), ("1", "2")]
    fresh = [composed(f"a {what} fox") for what in ("red <lora:ink:1>", "blue <lora:ink:1>")]
    assert [cell.request for cell in cells(request)][:2] == fresh
    assert request.prompt == "a {red|blue } fox"


def test_a_word_of_the_prompt_is_replaced_by_each_value() -> None:
    request = compared("a fox in the snow", ("prompt", "in the snow | at sea, by night"))
    prompts = ["a fox in the snow", "a fox at sea, by night"]
    assert [cell.request.prompt for cell in cells(request)] == prompts
    assert problem(("prompt", "snow, sea")).code == "compare.not_in_prompt"
    assert problem(("prompt", None)).code == "compare.no_variants"


def test_the_seed_is_drawn_once_and_every_cell_is_one_image() -> None:
    request = compared("a fox", ("steps", "12, 20"), ("guidance", "5, 6, 7"), count=3)
    made = cells(request)
    assert {cell.request.seed for cell in made} == {1234}
    assert {cell.request.count for cell in made} == {1}
    assert request.images == len(made) == 6
    assert [(cell.column, cell.row) for cell in made][:3] == [(0, 0), (1, 0), (0, 1)]
    assert made[5].values == ("20", "7")
    assert (made[5].request.steps, made[5].request.guidance) == (20, 7.0)


def test_a_model_gets_its_own_defaults_where_none_were_given() -> None:
    base, fast = cells(compared("a fox", ("model", "base, fast")))
    assert (base.request.steps, fast.request.steps) == (30, 6)
    assert (base.request.negative, fast.request.negative) == ("low quality", "")
    assert (fast.request.width, fast.request.scheduler) == (512, "LCM")


USUAL: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    ("model", {}, ("base", "fast")),
    ("lora", {"lora": "ink"}, ("off", "on")),
    ("lora", {"lora": "ink:0.5, glow"}, ("off", "ink:0.5", "glow", "on")),
    ("weight", {"lora": "ink"}, ("0", "0.4", "0.7", "1")),
    ("steps", {}, ("15", "22", "30", "45")),
    ("steps", {"steps": 10}, ("10", "15")),
    ("guidance", {}, ("4", "5.5", "7.5", "11")),
    ("guidance", {"model": "fast"}, ("0.5", "1", "1.5")),
    ("seed", {"seed": SEED_MAX}, (str(SEED_MAX), "0", "1", "2")),
    (
        "scheduler",
        {"scheduler": "ddim"},
        ("DDIM", "DPM++ 2M Karras", "Euler a", "DPM++ SDE Karras"),
    ),
    ("size", {"size": "16:9"}, ("1344x768", "1024x1024", "896x1152", "1152x896")),
]


@pytest.mark.parametrize(("axis", "fields", "expected"), USUAL)
def test_an_axis_has_usual_values(
    axis: str, fields: dict[str, Any], expected: tuple[str, ...]
) -> None:
    assert values(compared("a fox", (axis, None), **fields)) == [expected]


def test_only_models_that_fit_the_rest_are_usual() -> None:
    assert problem(("model", None), lora="fast-only", model="fast").code == "compare.few"
    assert values(compared("a fox", ("model", " "), nsfw=True)) == [("base", "fast", "adult")]


WRONG: list[tuple[list[tuple[str, str | None]], dict[str, Any], str]] = [
    ([("colour", None)], {}, "compare.axis"),
    ([("steps", "12, many")], {}, "compare.number"),
    ([("steps", "12, 7.5")], {}, "compare.number"),
    ([("steps", "12")], {}, "compare.few"),
    ([("steps", "12, 20, 12")], {}, "compare.twice"),
    ([("steps", "12, 500")], {}, "number.range"),
    ([("guidance", "5, nan")], {}, "number.range"),
    ([("seed", "1, -1")], {}, "number.range"),
    ([("scheduler", "ddim, quick")], {}, "scheduler.unknown"),
    ([("size", "1:1, large")], {}, "size.form"),
    ([("model", "base, nowhere")], {}, "model.unlike"),
    ([("lora", None)], {}, "compare.no_lora"),
    ([("lora", "off, on")], {}, "compare.no_lora"),
    ([("lora", "off, nowhere")], {}, "lora.unlike"),
    ([("weight", None)], {}, "compare.no_lora"),
    ([("weight", None)], {"lora": "ink, glow"}, "compare.which_lora"),
    ([("weight", "0, 99")], {"lora": "ink"}, "lora.weight"),
    ([("steps", None), ("steps", None)], {}, "compare.same_axis"),
    ([("seed", "1,2,3,4,5"), ("steps", None)], {}, "compare.many"),
    ([("size", "1:1, 1024x1024")], {}, "compare.twice"),
    ([("lora", "off, ink"), ("weight", "glow: 1, 1.0")], {}, "compare.twice"),
    ([("model", "base, fast"), ("steps", "12, 20")], {}, "number.range"),
    ([("lora", "ink, ink:0.75")], {}, "compare.same_cells"),
    ([("prompt", ",")], {}, "compare.not_in_prompt"),
    ([("prompt", "a; ".join("abcdefghijklmnopqr"))], {}, "compare.many"),
    ([("size", "large," * 17)], {}, "compare.many"),
    ([("model", "nowhere," * 17)], {}, "compare.many"),
    ([("model", None)], {"lora": "nowhere"}, "lora.unlike"),
]


@pytest.mark.parametrize(("asks", "fields", "code"), WRONG)
def test_what_cannot_be_compared_is_named(
    asks: list[tuple[str, str | None]], fields: dict[str, Any], code: str
) -> None:
    assert problem(*asks, **fields).code == code


def test_any_seed_is_one_seed_for_all_cells() -> None:
    request = compared("a fox", ("steps", "12, 20"), seed=-1)
    assert {cell.request.seed for cell in cells(request)} == {1234}


def test_a_comparison_is_stored_briefly_and_read_back() -> None:
    request = compared("a fox", ("model", "base, fast"), ("lora", "off, ink"), lora="glow")
    stored = json.dumps(request.to_dict())
    assert GenerationRequest.from_dict(json.loads(stored)) == request
    assert set(json.loads(stored)["comparison"]["cells"][1]) == {
        *("model", "steps", "guidance", "scheduler", "width", "height", "negative", "clip_skip")
    }
    # A plain request is stored as ever.
    assert "comparison" not in composed("a fox").to_dict()


@pytest.mark.parametrize("axis", AXES)
def test_every_kind_of_comparison_is_read_back(axis: str) -> None:
    request = compared("a {red|blue} fox", (axis, None), lora="ink")
    assert GenerationRequest.from_dict(json.loads(json.dumps(request.to_dict()))) == request


def test_a_new_seed_is_new_in_every_cell() -> None:
    request = compared("a fox", ("steps", "12, 20"), ("seed", "5, 9")).with_kernels("eager")
    other = request.with_seed(SEED_MAX)
    assert [cell.request.seed for cell in cells(other)] == [SEED_MAX, SEED_MAX, 3, 3]
    assert values(other) == [("12", "20"), (str(SEED_MAX), "3")]
    assert {cell.request.kernels for cell in cells(other)} == {None}
    assert other.seed == SEED_MAX


def test_a_new_seed_draws_the_prompt_of_every_cell_and_shows_what_was_drawn() -> None:
    request = compared("a {red|blue|green|white} fox", ("steps", "12, 20"), seed=5)
    texts = set()
    for seed in range(20):
        other = varied(request, CATALOG, nsfw=False, seed=seed)
        assert other == compared("a {red|blue|green|white} fox", ("steps", "12, 20"), seed=seed)
        texts.add(other.prompt)
    assert len(texts) > 1
    variants = compared("a {red|blue} fox", ("prompt", None), ("steps", "12, 20"), seed=5)
    other = varied(variants, CATALOG, nsfw=False, seed=6)
    assert other == compared("a {red|blue} fox", ("prompt", None), ("steps", "12, 20"), seed=6)


def test_all_that_any_cell_needs_is_named_and_checked() -> None:
    request = compared("a fox", ("model", "base, adult"), ("lora", "off, ink"), nsfw=True)
    assert sorted(request.names) == ["adult", "base", "ink"]
    with pytest.raises(UserError):
        check_offered(request, CATALOG, nsfw=False)


def test_an_earlier_image_is_compared_with_its_seed_and_all_else() -> None:
    earlier = composed("a fox", lora="ink:0.5:0.3", seed=7, steps=25, size="832x1216", count=3)
    request = compare_again(
        earlier, [AxisAsk("guidance", "5, 7.5")], CATALOG, nsfw=False, n=2
    ).request
    first, second = [cell.request for cell in cells(request)]
    assert second == replace(earlier, seed=9, count=1)
    assert first == replace(second, guidance=5.0)


def test_where_the_model_varies_only_what_was_unusual_is_kept() -> None:
    earlier = composed("a fox", steps=25, seed=7)
    with pytest.raises(InvalidRequest) as caught:  # `fast` takes at most 8
        compare_again(earlier, [AxisAsk("model", "base, fast")], CATALOG, nsfw=False)
    assert caught.value.code == "number.range"
    usual = composed("a fox", seed=7)
    request = compare_again(usual, [AxisAsk("model", "base, fast")], CATALOG, nsfw=False).request
    assert [cell.request for cell in cells(request)] == [
        usual,
        composed("a fox", seed=7, model="fast"),
    ]


DRAFTS = st.fixed_dictionaries(
    {},
    optional={
        "lora": st.sampled_from(["ink", "ink:0.5", "glow:0.4:0.1, anime"]),
        "negative": st.sampled_from(["", "blurry"]),
        "steps": st.integers(10, 60),
        "guidance": st.floats(1, 20),
        "size": st.sampled_from(["832x1216", "16:9"]),
        "scheduler": st.sampled_from(["DDIM", "euler a"]),
        "clip_skip": st.integers(2, 4),
    },
)
HIRES = st.fixed_dictionaries(
    {"hires": st.just(1.5)},
    optional={"hires_strength": st.sampled_from([0.3, 0.5]), "hires_steps": st.integers(1, 6)},
)


@given(DRAFTS, st.one_of(st.just({}), HIRES), st.booleans())
def test_a_request_drafted_again_is_the_same(
    fields: dict[str, Any], hires: dict[str, Any], left_out: bool
) -> None:
    request = composed("a fox", **{**fields, "size": None} if hires else fields, **hires, seed=3)
    draft = redraft(request, CATALOG, nsfw=False, usual_left_out=left_out)
    assert compose(draft, CATALOG, nsfw=False) == request


# Painting order

PLAIN = composed("a fox")
REQUESTS = st.builds(
    lambda model, lora, seed: replace(
        PLAIN, model=model, adapters=(AdapterUse(lora, 1.0),) if lora else (), seed=seed
    ),
    st.sampled_from("abc"),
    st.sampled_from(["", "x", "y"]),
    st.integers(0, 2),
)
LOADED = st.one_of(
    st.none(), st.tuples(st.sampled_from("abcd"), st.sampled_from([(), ("x:1",), ("y:1",)]))
)


def switches(order: Any, loaded: Any) -> tuple[int, int]:
    """How often the model, and how often only the LoRAs, have to be changed."""
    models = loras = 0
    for request in order:
        what = (request.model, tuple(map(str, request.adapters)))
        models += loaded is None or what[0] != loaded[0]
        loras += loaded is not None and what[0] == loaded[0] and what[1] != loaded[1]
        loaded = what
    return models, loras


@given(st.lists(REQUESTS, min_size=1, max_size=6), LOADED)
def test_models_and_then_loras_are_switched_least(
    requests: list[GenerationRequest], loaded: Any
) -> None:
    order = paint_order(requests, loaded)
    assert sorted(order) == [*range(len(requests))]
    best = min(switches(each, loaded) for each in permutations(requests))
    assert switches([requests[n] for n in order], loaded) == best


def test_equals_are_painted_in_their_order() -> None:
    request = compared("a fox", ("lora", "off, ink"), ("seed", "1, 2"))
    assert paint_order([cell.request for cell in cells(request)]) == (0, 2, 1, 3)
    assert paint_order([cell.request for cell in cells(request)], ("base", ("ink:0.75",))) == (
        *(1, 3),
        *(0, 2),
    )


def test_a_comparison_says_what_varies() -> None:
    request = compared("a fox", ("weight", "0, 1"), lora="ink")
    assert request.comparison is not None
    assert request.comparison.axes == (Axis("weight", ("0", "1"), "ink"),)
    assert isinstance(request.comparison, Comparison)
    assert (request.comparison.columns, request.comparison.rows) == (2, 1)


@pytest.mark.parametrize("values", [None, "off, on"])
def test_a_comma_is_no_decimal_one_before_a_lora_that_is_called_a_number(
    values: str | None,
) -> None:
    eight = AdapterEntry(key="8", name="Eight", path="a/eight.safetensors")
    catalog = replace(CATALOG, adapters={**CATALOG.adapters, "8": eight})
    draft = Draft(prompt="a fox", lora="ink:1,8")
    request = compare(draft, [AxisAsk("lora", values)], catalog, nsfw=False, draw=lambda: 1).request
    assert [each.key for each in request.each[-1].adapters] == ["ink", "8"]


def test_what_would_take_long_is_refused_at_once() -> None:
    """The values are as many, and as long, as they may be; so is the prompt over HTTP."""
    many = "|".join(["fox", *(f"{n}" for n in range(1_000))])
    assert problem(("prompt", many)).code == "compare.many"
    long = problem(("prompt", "o|" + "b" * 5_000), prompt="o" * 30_000)
    assert (long.code, long.params["max"]) == ("prompt.long", 6_000)
    assert problem(("prompt", "fox|" + "b" * 5_996), prompt="a fox " * 2).code == "prompt.long"


@pytest.mark.parametrize("axis", AXES)
def test_values_have_an_end(axis: str) -> None:
    long = problem(("steps", "10, 20"), (axis, "a" * 6_001))
    assert (long.code, long.params["field"]) == ("prompt.long", "values")
    assert (long.params["value"], long.params["max"]) == (6_001, 6_000)
