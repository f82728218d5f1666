"""Variations: how they are typed, what is kept of them, and how they are asked for again."""

import json
import math
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import InvalidRequest
from bot.request import (
    MIXES_MAX,
    SEED_MAX,
    AxisAsk,
    Draft,
    GenerationRequest,
    Mix,
    Picture,
    Variation,
    compare,
    compare_again,
    compose,
    redraft,
    upscale_of,
    varied,
)
from bot.request.changes import changed, fields_of
from bot.request.variation import parse_variation, variation_text, weights
from catalog import (
    Catalog,
    ModelEntry,
    UpscalerEntry,
    Upscalers,
    WildcardFile,
    Wildcards,
)
from tests.store.factories import REQUEST

DEMO = ModelEntry(key="demo", name="Demo", path="a/b")
UPSCALERS = Upscalers({"x": UpscalerEntry(key="x", name="X", path="a/x")})
CATALOG = Catalog({"demo": DEMO}, {}, "demo", upscalers=UPSCALERS)
PLAIN = compose(Draft(prompt="a fox", seed=7, steps=10), CATALOG, nsfw=False)
VARIED = compose(
    Draft(prompt="a fox", seed=7, steps=10, variation="12:0.2", count=3), CATALOG, nsfw=False
)

seeds = st.integers(0, SEED_MAX)
strengths = st.floats(0, 1, exclude_min=True)
chains = st.lists(st.builds(Mix, seeds, strengths), min_size=1, max_size=MIXES_MAX).map(tuple)


def never() -> int:
    raise AssertionError("no seed has to be drawn")


def read(text: str) -> tuple[Mix, ...]:
    return parse_variation(text, never)


class TestTyping:
    @given(chains)
    def test_what_is_written_is_read_again(self, mixes: tuple[Mix, ...]) -> None:
        assert read(variation_text(mixes)) == mixes

    @pytest.mark.parametrize(
        ("text", "mixes"),
        [
            ("", ()),
            ("12:0.2", (Mix(12, 0.2),)),
            (" 12 : .2 ", (Mix(12, 0.2),)),
            ("12:1", (Mix(12, 1.0),)),
            ("12:0,25", (Mix(12, 0.25),)),
            ("12:0.2, 99:0.1", (Mix(12, 0.2), Mix(99, 0.1))),
            ("12:0.2,99:0.1", (Mix(12, 0.2), Mix(99, 0.1))),
            ("12:0,2, 99:0,1", (Mix(12, 0.2), Mix(99, 0.1))),
            ("12:1,99:0.1", (Mix(12, 1.0), Mix(99, 0.1))),
            # What changes nothing is left out.
            ("12:0", ()),
            ("12:0, 99:0.1", (Mix(99, 0.1),)),
        ],
    )
    def test_forms(self, text: str, mixes: tuple[Mix, ...]) -> None:
        assert read(text) == mixes

    @pytest.mark.parametrize("text", ["0.2", "0,2", "-1:0.2", ".2"])
    def test_a_seed_that_is_not_given_is_drawn(self, text: str) -> None:
        assert parse_variation(text, lambda: 5) == (Mix(5, 0.2),)

    def test_each_seed_is_drawn_for_itself(self) -> None:
        drawn = partial(next, count(3))
        assert parse_variation("0.2, 0.1", drawn) == (Mix(3, 0.2), Mix(4, 0.1))

    @pytest.mark.parametrize(
        ("text", "code", "value"),
        [
            ("a lot", "variation.form", "a lot"),
            ("12:", "variation.form", "12:"),
            (":0.2", "variation.form", ":0.2"),
            ("12:0.2,", "variation.form", ""),
            ("-2:0.2", "variation.form", "-2:0.2"),
            ("1:2:0.3", "variation.form", "1:2:0.3"),
            ("12:nan", "variation.form", "12:nan"),
            ("12:inf", "variation.form", "12:inf"),
            ("12:1.01", "variation.strength", "1.01"),
            ("-0.1", "variation.strength", "-0.1"),
            ("0.2, 2", "variation.strength", "2"),
            (f"{SEED_MAX + 1}:0.2", "variation.seed", SEED_MAX + 1),
            (", ".join(["1:0.1"] * 9), "variation.many", 9),
        ],
    )
    def test_mistakes_are_named(self, text: str, code: str, value: object) -> None:
        with pytest.raises(InvalidRequest) as caught:
            parse_variation(text, lambda: 1)
        assert (caught.value.field, caught.value.code) == ("variation", code)
        assert caught.value.params["value"] == value


class TestWeights:
    def test_of_one_are_those_of_a_quarter_circle(self) -> None:
        found = weights(7, [Mix(12, 1 / 3)])
        assert found == {7: pytest.approx(math.sqrt(3) / 2), 12: pytest.approx(0.5)}

    def test_nothing_mixed_in_leaves_all_as_it_was(self) -> None:
        assert weights(7, []) == {7: 1.0}
        assert weights(7, [Mix(12, 0.0)]) == {7: 1.0, 12: 0.0}

    def test_each_is_mixed_into_what_there_is_by_then(self) -> None:
        found = weights(7, [Mix(12, 0.5), Mix(99, 1 / 3)])
        before = math.sqrt(1 / 2) * math.sqrt(3) / 2
        assert found == {
            7: pytest.approx(before),
            12: pytest.approx(before),
            99: pytest.approx(0.5),
        }

    @given(seeds, chains)
    def test_their_squares_add_up_to_1(self, seed: int, mixes: tuple[Mix, ...]) -> None:
        found = weights(seed, mixes)
        assert math.hypot(*found.values()) == pytest.approx(1)
        assert next(iter(found)) == seed
        assert all(weight >= 0 for weight in found.values())

    def test_noise_mixed_into_itself_is_the_same_noise(self) -> None:
        assert weights(7, [Mix(7, 0.5)]) == {7: 1.0}
        again = weights(7, [Mix(12, 0.5), Mix(12, 0.5)])
        assert again[12] > again[7] > 0


class TestRequests:
    def test_the_last_seed_counts_up_and_the_image_that_is_varied_stays(self) -> None:
        assert (VARIED.seed, VARIED.base_seed) == (12, 7)
        assert VARIED.variation == Variation(7, 0.2)
        assert [VARIED.alone(n).mixed_in for n in range(3)] == ["12:0.2", "13:0.2", "14:0.2"]
        assert {VARIED.alone(n).base_seed for n in range(3)} == {7}
        assert VARIED.of_seed(13) == VARIED.alone(1)

    def test_another_seed_is_another_variation_of_the_same_image(self) -> None:
        other = VARIED.with_seed(50)
        assert (other.base_seed, other.mixed_in) == (7, "50:0.2")

    def test_a_variation_can_be_varied(self) -> None:
        further = VARIED.alone(1).variations(99, 0.4, 4)
        assert (further.base_seed, further.seed, further.count) == (7, 99, 4)
        assert further.mixed_in == "13:0.2, 99:0.4"
        assert further.alone(3).mixed_in == "13:0.2, 102:0.4"

    def test_but_not_for_ever(self) -> None:
        asked = PLAIN
        for seed in range(MIXES_MAX):
            asked = asked.variations(seed, 0.1, 1)
        with pytest.raises(InvalidRequest, match=r"variation\.many"):
            asked.variations(99, 0.1, 1)

    def test_a_variation_repeats_no_image(self) -> None:
        asked = replace(PLAIN, kernels="eager", environment="f" * 12).variations(12, 0.2, 2)
        assert (asked.kernels, asked.environment) == (None, None)

    @pytest.mark.parametrize("asked", [PLAIN, REQUEST])
    def test_one_without_is_stored_as_ever(self, asked: GenerationRequest) -> None:
        assert "variation" not in asked.to_dict()
        assert GenerationRequest.from_dict(asked.to_dict()).variation is None

    @given(seeds, chains)
    def test_what_is_stored_is_read_again(self, seed: int, mixes: tuple[Mix, ...]) -> None:
        *before, last = mixes
        asked = replace(PLAIN, seed=last.seed, variation=Variation(seed, last.strength, (*before,)))
        stored = json.loads(json.dumps(asked.to_dict()))
        assert GenerationRequest.from_dict(stored) == asked
        assert (asked.base_seed, asked.mixes) == (seed, mixes)

    def test_a_comparison_stores_and_reads_it_in_its_cells(self) -> None:
        asked = compare_again(VARIED, [AxisAsk("steps", "10, 20")], CATALOG, nsfw=False).request
        assert {cell.mixed_in for cell in asked.each} == {"12:0.2"}
        assert GenerationRequest.from_dict(json.loads(json.dumps(asked.to_dict()))) == asked

    def test_what_is_enlarged_is_an_image_like_any_other(self) -> None:
        picture = Picture("a" * 64, 512, 512)
        for mode in ("crisp", "repaint"):
            over = upscale_of(VARIED, 1, picture, CATALOG, nsfw=False, mode=mode)
            assert over.variation is None
            assert over.seed == 7  # by which it is called, too: that of the image that is varied


class TestAskingAgain:
    @given(seeds, chains)
    def test_a_draft_of_it_gives_it_again(self, seed: int, mixes: tuple[Mix, ...]) -> None:
        draft = Draft(prompt="a fox", seed=seed, variation=variation_text(mixes))
        asked = compose(draft, CATALOG, nsfw=False)
        assert compose(redraft(asked, CATALOG, nsfw=False), CATALOG, nsfw=False) == asked

    def test_so_does_that_of_one_of_several(self) -> None:
        draft = redraft(VARIED, CATALOG, nsfw=False, n=2)
        assert (draft.seed, draft.variation) == (7, "14:0.2")
        assert compose(draft, CATALOG, nsfw=False) == VARIED.alone(2)

    def test_the_form_keeps_it_when_other_things_change(self) -> None:
        shown = fields_of(VARIED)
        assert shown.more.startswith("seed: 7\nvariation: 12:0.2\n")
        assert compose(changed(VARIED, shown, before=DEMO), CATALOG, nsfw=False) == VARIED
        more = shown.more.replace("steps: 10", "steps: 20")
        draft = changed(VARIED, replace(shown, more=more), before=DEMO)
        assert compose(draft, CATALOG, nsfw=False) == replace(VARIED, steps=20)

    def test_without_its_line_in_the_form_the_image_itself_is_asked_for(self) -> None:
        shown = fields_of(VARIED.alone(0))
        more = shown.more.replace("variation: 12:0.2\n", "")
        draft = changed(VARIED, replace(shown, more=more), before=DEMO)
        assert compose(draft, CATALOG, nsfw=False) == PLAIN

    def test_the_seeds_of_a_comparison_are_those_of_the_images_that_are_varied(self) -> None:
        asked = compare_again(VARIED, [AxisAsk("seed", "1, 2")], CATALOG, nsfw=False).request
        assert [(cell.base_seed, cell.mixed_in) for cell in asked.each] == [
            (1, "12:0.2"),
            (2, "12:0.2"),
        ]
        other = varied(asked, CATALOG, nsfw=False, seed=40)
        assert other.comparison
        assert other.comparison.axes[0].values == ("1", "2")
        assert [cell.mixed_in for cell in other.each] == ["40:0.2", "40:0.2"]

    def test_all_cells_have_the_same_seed_that_was_drawn(self) -> None:
        draft = Draft(prompt="a fox", variation="0.2")
        asked = compare(draft, [AxisAsk("steps", "10, 20")], CATALOG, nsfw=False).request
        one, two = asked.each
        assert (one.base_seed, one.mixed_in) == (two.base_seed, two.mixed_in)

    PASTED = "a fox\nSteps: 20, CFG scale: 7, Seed: 42, Variation seed: 12, " + (
        "Variation seed strength: 0.25"
    )

    @pytest.mark.parametrize(
        ("axis", "chosen", "seeds", "mixed_in", "kept"),
        [
            ("scheduler", {}, [42, 42], "12:0.25", ""),
            ("seed", {}, [1, 2], "12:0.25", "Seed"),
            ("scheduler", {"seed": 7}, [7, 7], "12:0.25", "Seed"),
            ("scheduler", {"variation": "5:0.5"}, [42, 42], "5:0.5", "Variation seed"),
        ],
    )
    def test_what_was_only_drawn_does_not_count_for_more_than_what_was_pasted(
        self, axis: str, chosen: dict[str, Any], seeds: list[int], mixed_in: str, kept: str
    ) -> None:
        values = {"seed": "1, 2", "scheduler": "Euler, DDIM"}[axis]
        draft = Draft(prompt=self.PASTED, **chosen)
        found = compare(draft, [AxisAsk(axis, values)], CATALOG, nsfw=False)
        assert [cell.base_seed for cell in found.request.each] == seeds
        assert {cell.mixed_in for cell in found.request.each} == {mixed_in}
        outweighed = [note.params["names"] for note in found.notes if "outweighed" in note.code]
        assert outweighed == ([kept] if kept else [])

    def test_nor_does_each_cell_draw_what_was_pasted_as_a_seed_to_draw(self) -> None:
        pasted = self.PASTED.replace("42", "-1")
        asked = compare(Draft(prompt=pasted), [AxisAsk("guidance", "5, 9")], CATALOG, nsfw=False)
        assert len({cell.base_seed for cell in asked.request.each}) == 1


class TestDrawing:
    TYPED = Draft(prompt="a {red|green|blue|grey|pink|brown} fox", seed=7, steps=10, count=4)

    def test_the_words_are_those_of_the_image_that_is_varied(self) -> None:
        plain = compose(self.TYPED, CATALOG, nsfw=False)
        assert len({each.prompt for each in plain.prompts}) > 1
        asked = compose(replace(self.TYPED, variation="12:0.2"), CATALOG, nsfw=False)
        assert asked.prompt == plain.prompt
        assert asked.others == ()

    def test_so_they_are_for_each_of_several(self) -> None:
        plain = compose(self.TYPED, CATALOG, nsfw=False)
        for n in range(4):
            further = plain.alone(n).variations(99, 0.1, 4)
            assert {each.prompt for each in further.prompts} == {plain.prompts[n].prompt}
            # And so they are for what is composed of what was typed.
            draft = redraft(further, CATALOG, nsfw=False, drawn=False)
            assert compose(draft, CATALOG, nsfw=False).prompt == further.prompt

    def test_another_variation_keeps_the_words_whatever_the_wildcards_say_by_then(self) -> None:
        before, after = (
            replace(CATALOG, wildcards=Wildcards({"colour": WildcardFile(colours)}))
            for colours in (("red", "green"), ("blue", "grey"))
        )
        plain = compose(Draft(prompt="a __colour__ fox", seed=7), before, nsfw=False)
        asked = plain.variations(12, 0.2, 4)
        again = varied(asked, after, nsfw=False, seed=1_000)
        assert (again.prompt, again.seed) == (plain.prompt, 1_000)
        assert varied(plain, after, nsfw=False, seed=1_000).prompt != plain.prompt
