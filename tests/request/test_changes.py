"""A request as a form, and what was entered into it as a request."""

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import InvalidRequest, Mistakes
from bot.request import AdapterUse, Box, ControlUse, Hires, InitImage, Picture, Reference, compose
from bot.request.changes import Fields, changed, draft_of, fields_of
from catalog import AdapterEntry, Catalog, ControlNetEntry, ControlNets, ModelEntry
from catalog.ranges import FloatRange, IntRange
from tests.store.factories import request

DEMO = ModelEntry(key="demo", name="Demo", path="a/b", default_negative="blurry")
OTHER = ModelEntry(
    key="other",
    name="Other",
    path="a/c",
    size=(512, 512),
    default_negative="rain",
    scheduler="Heun",
    steps=IntRange(min=1, default=4, max=8),
    guidance=FloatRange(min=1.0, default=1.5, max=2.0),
)
INK = AdapterEntry(key="ink", name="Ink", path="a/i")
CATALOG = Catalog({"demo": DEMO, "other": OTHER}, {"ink": INK}, "demo")
PICTURE = Picture("a" * 64, 64, 48)
ASKED = request(
    model="demo",
    negative="blurry",
    width=1024,
    height=1024,
    steps=DEMO.steps.default,
    guidance=DEMO.guidance.default,
    scheduler=DEMO.scheduler,
    adapters=(AdapterUse("ink", 0.6, 0.3),),
    trigger_words=(),
    seed=99,
)


def again(
    fields: Fields, *, image: Picture | None = None, reference: Picture | None = None
) -> object:
    draft = changed(ASKED, fields, before=DEMO, image=image, reference=reference)
    return compose(draft, CATALOG, nsfw=False)


def test_what_is_left_as_it_was_stays_as_it_was() -> None:
    assert again(fields_of(ASKED)) == ASKED


def test_everything_of_a_request_stands_in_the_form() -> None:
    full = replace(
        ASKED,
        hires=Hires(1.5, 0.4, ASKED.steps),
        init_image=InitImage("a" * 64, 0.5),
        reference=Reference("b" * 64, 0.7),
        clip_skip=3,
        count=2,
        preset="draft",
    )
    assert fields_of(full) == Fields(
        prompt=full.prompt,
        negative="blurry",
        model="demo",
        loras="ink:0.6:0.3",
        more="seed: 99\nsize: 1024x1024\nsteps: 30\nguidance: 7.5\n"
        f"scheduler: {DEMO.scheduler}\ncount: 2\npreset: draft\nhires: 1.5\nstrength: 0.5\n"
        "reference weight: 0.7\nclip skip: 3",
    )


def test_a_second_pass_of_its_own_kind_stays_so() -> None:
    asked = replace(ASKED, hires=Hires(1.5, 0.25, 44))
    assert "hires: 1.5\nhires strength: 0.25\nhires steps: 11" in fields_of(asked).more
    draft = changed(asked, fields_of(asked), before=DEMO)
    assert compose(draft, CATALOG, nsfw=False).hires == asked.hires


@pytest.mark.parametrize("more", ["", "seed:", "steps: 30"])
def test_without_its_line_the_seed_is_drawn(more: str) -> None:
    assert changed(ASKED, replace(fields_of(ASKED), more=more), before=DEMO).seed is None


def test_another_model_brings_its_own_defaults_but_not_in_place_of_what_was_chosen() -> None:
    shown = fields_of(ASKED)
    draft = changed(ASKED, replace(shown, model="other", loras=""), before=DEMO)
    request = compose(draft, CATALOG, nsfw=False)
    assert (request.steps, request.guidance, request.scheduler) == (4, 1.5, "Heun")
    assert (request.width, request.height, request.negative) == (512, 512, "rain")
    assert request.seed == 99
    chosen = replace(shown, model="other", more=shown.more.replace("steps: 30", "steps: 6"))
    assert changed(ASKED, chosen, before=DEMO).steps == 6
    own = replace(shown, model="other", negative="fog")
    assert changed(ASKED, own, before=DEMO).negative == "fog"


def test_values_of_an_image_go_with_it() -> None:
    fields = replace(fields_of(ASKED), more="strength: 0.4\nreference weight: 0.9")
    with_both = changed(ASKED, fields, before=DEMO, image=PICTURE, reference=PICTURE)
    assert (with_both.strength, with_both.reference_weight) == (0.4, 0.9)
    without = changed(ASKED, fields, before=DEMO)
    assert (without.strength, without.reference_weight) == (None, None)


EXTENDED = replace(
    ASKED, init_image=InitImage("a" * 64, 1.0, "b" * 64, Box(16, 0, 1008, 1024)), adapters=()
)


def test_what_was_kept_of_an_image_is_kept_again() -> None:
    shown = fields_of(EXTENDED)
    assert "count: 1\nextend: 1008x1024+16+0" in shown.more
    mask = Picture("b" * 64, 64, 48)
    draft = changed(EXTENDED, shown, before=DEMO, image=PICTURE, mask=mask)
    assert compose(draft, CATALOG, nsfw=False).init_image == EXTENDED.init_image
    assert changed(EXTENDED, shown, before=DEMO).extend is None
    # With another model as well, as where it lies is said of this size.
    with_other = replace(shown, model="other")
    draft = changed(EXTENDED, with_other, before=DEMO, image=PICTURE, mask=mask)
    assert (draft.size, draft.steps) == ("1024x1024", None)
    assert EXTENDED.init_image is not None
    less = replace(EXTENDED, init_image=replace(EXTENDED.init_image, strength=0.8))
    assert "strength: 0.8\nextend: " in fields_of(less).more


@pytest.mark.parametrize(
    ("line", "size", "strength", "box"),
    [
        ("extend: zoom 2", (768, 512), 1.0, Box(192, 128, 384, 256)),
        ("extend: left", (1152, 512), 1.0, Box(384, 0, 768, 512)),
        # As it is typed: in pixels of the size that is in the form.
        ("extend: 512x1024+0+0", (1024, 1024), 1.0, Box(0, 0, 512, 1024)),
        ("", (1280, 832), 0.6, None),
    ],
)
def test_another_extension_takes_size_and_strength_with_it(
    line: str, size: tuple[int, int], strength: float, box: Box | None
) -> None:
    shown = fields_of(EXTENDED)
    typed = replace(shown, more=shown.more.replace("extend: 1008x1024+16+0", line))
    draft = changed(EXTENDED, typed, before=DEMO, image=Picture("a" * 64, 768, 512))
    request = compose(draft, CATALOG, nsfw=False)
    assert (request.width, request.height) == size
    assert request.init_image == InitImage("a" * 64, strength, None, box)
    chosen = replace(typed, more=f"{typed.more}\nstrength: 0.7".replace("1024x1024", "1024x768"))
    draft = changed(EXTENDED, chosen, before=DEMO, image=Picture("a" * 64, 768, 512))
    assert (draft.size, draft.strength) == ("1024x768", 0.7)


def test_an_image_to_start_from_is_extended_with_the_strength_for_that() -> None:
    before = replace(ASKED, init_image=InitImage("a" * 64, 0.6))
    shown = fields_of(before)
    typed = replace(shown, more=f"{shown.more}\nextend: left")
    draft = changed(before, typed, before=DEMO, image=Picture("a" * 64, 512, 512))
    assert (draft.size, draft.strength) == (None, None)


def test_controlnets_follow_what_they_followed_while_they_stand_in_the_form() -> None:
    edges, depth = ControlUse("edges", "a" * 64, "canny"), ControlUse("union", "b" * 64, "depth")
    before = replace(ASKED, controls=(edges, depth))
    one, two = Picture("a" * 64, 512, 512), Picture("b" * 64, 512, 512)
    shown = fields_of(before)
    assert "control: edges/canny:1, union/depth:1" in shown.more

    def followed(line: str, *images: Picture) -> tuple[Picture, ...]:
        more = shown.more.replace("control: edges/canny:1, union/depth:1", line)
        fields = replace(shown, more=more)
        return changed(before, fields, before=DEMO, control_images=images).control_images

    assert followed("control: edges:0.5, union/depth", one, two) == (one, two)
    assert followed("control: union:0.5", one, two) == (two,)
    assert followed("control: UNION/Depth, edges", one, two) == (two, one)
    assert followed("control: another, union", one, two) == (one, two)
    assert followed("control: edges, another", one, two) == (one, two)
    assert followed("control: edges, union", one) == (one, one), "one for all"
    assert followed("control:", one, two) == ()
    assert followed("", one, two) == ()
    with pytest.raises(InvalidRequest) as caught:
        followed("control: :0.8", one, two)
    assert caught.value.code == "control.form"


def test_controlnets_may_be_called_by_their_titles_too() -> None:
    nets = {
        key: ControlNetEntry(key=key, name=name, path="a/b")
        for key, name in (("edges", "Edges of things"), ("union", "Everything"))
    }
    edges, depth = ControlUse("edges", "a" * 64, "canny"), ControlUse("union", "b" * 64, "depth")
    before = replace(ASKED, controls=(edges, depth))
    one, two = Picture("a" * 64, 512, 512), Picture("b" * 64, 512, 512)
    shown = fields_of(before)

    def followed(line: str) -> tuple[Picture, ...]:
        more = shown.more.replace("edges/canny:1, union/depth:1", line)
        draft = changed(
            before,
            replace(shown, more=more),
            before=DEMO,
            control_images=(one, two),
            controlnets=ControlNets(nets),
        )
        return draft.control_images

    assert followed("everything") == (two,)
    assert followed("Everything/DEPTH:0.5, edges OF things") == (two, one)
    assert followed("everything/canny, another") == (one, two), "another type of it is another"


@pytest.mark.parametrize(
    ("image", "more"), [(None, ""), (Picture("a" * 64, 512, 512), "\nextend: left")]
)
def test_where_there_is_no_image_to_follow_the_form_does_not_ask_for_one(
    image: Picture | None, more: str
) -> None:
    typed = replace(fields_of(ASKED), more=f"{fields_of(ASKED).more}\ncontrol: canny{more}")
    with pytest.raises(InvalidRequest) as caught:
        changed(ASKED, typed, before=DEMO, image=image)
    assert (caught.value.code, caught.value.params["value"]) == ("form.unfollowed", "canny")
    start = Picture("a" * 64, 512, 512)
    plain = replace(typed, more=typed.more.replace("\nextend: left", ""))
    assert changed(ASKED, plain, before=DEMO, image=start).control == "canny"


def test_a_form_without_an_image_takes_nothing_of_one() -> None:
    for line in ("strength: 0.4", "extend: left", "reference weight: 0.9", "control: canny"):
        with pytest.raises(Mistakes) as error:
            draft_of(replace(fields_of(ASKED), more=line))
        assert [each.code for each in error.value.errors] == ["form.without"]


def test_every_mistake_is_named() -> None:
    wrong = "steps: many\ncolour: red\nseed: 1\nSeed: 2\nsize 3"
    with pytest.raises(Mistakes) as caught:
        changed(ASKED, replace(fields_of(ASKED), more=wrong), before=DEMO)
    assert [(error.code, error.params["value"]) for error in caught.value.errors] == [
        ("form.number", "many"),
        ("form.unknown", "colour: red"),
        ("form.twice", "seed"),
        ("form.unknown", "size 3"),
    ]


def test_names_of_other_programs_are_understood() -> None:
    more = "Seed: 5\nCFG: 3\nSampler: Heun\nIMAGES: 2\nhires: 1.5x"
    draft = changed(ASKED, replace(fields_of(ASKED), more=more), before=DEMO)
    assert (draft.seed, draft.guidance, draft.scheduler, draft.count, draft.hires) == (
        *(5, 3.0, "Heun", 2, 1.5),
    )


def test_numbers_may_have_a_decimal_comma() -> None:
    more = "guidance: 7,5\nhires: 1,5x"
    draft = changed(ASKED, replace(fields_of(ASKED), more=more), before=DEMO)
    assert (draft.guidance, draft.hires) == (7.5, 1.5)


@given(st.text(max_size=200))
def test_nothing_else_is_raised(more: str) -> None:
    with suppress(Mistakes):
        changed(ASKED, replace(fields_of(ASKED), more=more), before=DEMO)
