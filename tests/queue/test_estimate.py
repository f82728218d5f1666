"""How long a job will take, learned from others."""

import random
from dataclasses import replace
from statistics import median

import pytest

from bot.queue.estimate import (
    CONTROLNET,
    ENOUGH,
    RIDGE,
    Estimator,
    Features,
    Sample,
    _Seen,
    features,
    is_guided,
    least_squares,
    needs,
)
from bot.queue.policy import InPlace
from bot.request import (
    CRISP,
    REPAINT,
    AdapterUse,
    ControlUse,
    GenerationRequest,
    Hires,
    InitImage,
    Upscale,
)
from catalog import Catalog, ModelEntry
from catalog.families.flux1.facts import FLUX1
from tests.request.test_compare import compared
from tests.store.factories import request


def asked(**fields: object) -> GenerationRequest:
    return request(**{"adapters": (), "width": 1024, "height": 1024, "steps": 30, **fields})


def warm(of: GenerationRequest) -> InPlace:
    return needs(of)


def taught(*samples: tuple[GenerationRequest, float]) -> Estimator:
    estimator = Estimator()
    for one, seconds in samples:
        estimator.learn(Sample(one, seconds, warm(one)))
    return estimator


def test_nothing_is_said_before_enough_is_known() -> None:
    one = asked()
    assert Estimator().seconds(one, warm(one)) is None
    assert taught(*[(one, 5.0)] * (ENOUGH - 1)).seconds(one, warm(one)) is None
    assert taught(*[(one, 5.0)] * ENOUGH).seconds(one, warm(one)) == pytest.approx(5.0, rel=0.05)


def test_steps_and_sizes_and_counts_are_told_apart() -> None:
    def truth(one: GenerationRequest) -> float:
        return 0.5 + one.count * (one.steps * one.width * one.height / 1e6 * 0.15 + 0.2)

    seen = [
        asked(steps=steps, width=width, count=count)
        for steps in (10, 30, 60)
        for width in (512, 1024)
        for count in (1, 4)
    ]
    estimator = taught(*[(one, truth(one)) for one in seen])
    for one in (asked(steps=45), asked(steps=20, width=768), asked(count=2), asked(steps=100)):
        assert estimator.seconds(one, warm(one)) == pytest.approx(truth(one), rel=0.1)


def test_a_new_model_is_like_the_others_until_it_is_known() -> None:
    old, new = asked(), asked(model="new")
    estimator = taught(*[(old, 5.0)] * 5)
    assert estimator.seconds(new, warm(new)) == pytest.approx(5.0, rel=0.05)
    for _ in range(ENOUGH):
        estimator.learn(Sample(new, 20.0, warm(new)))
    assert estimator.seconds(new, warm(new)) == pytest.approx(20.0, rel=0.05)
    assert estimator.seconds(old, warm(old)) == pytest.approx(5.0, rel=0.05)


def test_a_switch_costs_what_it_cost() -> None:
    one, other = asked(), asked(model="other")
    estimator = taught(*[(one, 5.0)] * 5, *[(other, 5.0)] * 5)
    for _ in range(3):
        estimator.learn(Sample(one, 12.0, warm(other)))
    estimator.learn(Sample(one, 300.0, None))  # downloaded on first use
    assert estimator.seconds(one, warm(one)) == pytest.approx(5.0, rel=0.05)
    assert estimator.seconds(one, warm(other)) == pytest.approx(12.0, rel=0.1)
    # Nothing is known of the other model, so its estimate is this one's.
    assert estimator.seconds(other, warm(one)) == pytest.approx(12.0, rel=0.1)


def test_changing_loras_costs_too() -> None:
    def truth(one: GenerationRequest, changed: bool) -> float:
        return 4.0 + changed * 0.5 * (len(one.adapters) + 1)

    plain, estimator = asked(), Estimator()
    worn = asked(adapters=(AdapterUse("a", 0.5), AdapterUse("b", 1)))
    for _ in range(8):
        for one, before in ((plain, plain), (worn, plain), (worn, worn)):
            changed = one is not before
            estimator.learn(Sample(one, truth(one, changed), warm(before)))
    assert estimator.seconds(worn, warm(worn)) == pytest.approx(4.0, rel=0.1)
    assert estimator.seconds(worn, warm(plain)) == pytest.approx(5.5, rel=0.1)


def test_one_bad_day_is_not_believed() -> None:
    one = asked()
    estimator = taught(*[(one, 5.0 + n % 3 / 10) for n in range(20)], (one, 400.0))
    assert estimator.seconds(one, warm(one)) == pytest.approx(5.1, rel=0.05)


def test_what_changed_is_learnt_anew() -> None:
    one = asked()
    estimator = taught(*[(one, 5.0)] * 200, *[(one, 2.0)] * 150)
    assert estimator.seconds(one, warm(one)) == pytest.approx(2.0, rel=0.05)


def test_each_part_of_a_request_that_costs_counts() -> None:
    def work(**fields: object) -> float:
        one = asked(**fields)
        return features(one, warm(one))[2]

    assert work(count=2) == 2 * work()
    assert work(guidance=1.0) == work() / 2
    assert work(scheduler="Heun") == 2 * work()
    assert work(init_image=InitImage("0" * 64, 0.5)) == work() / 2
    assert work(hires=Hires(2.0, 0.5, 30)) == work() + 15 * 4 * work() / 30


def test_a_network_that_is_told_its_guidance_runs_once_per_step() -> None:
    dev = ModelEntry(key="dev", name="Dev", family=FLUX1, path="a/b", variant="dev")
    offered = Catalog({"dev": dev}, {}, "dev")
    one = asked(model="dev", guidance=3.5)
    assert not is_guided(one, offered)
    assert is_guided(replace(one, model="gone"), offered)
    estimator = Estimator(lambda request: is_guided(request, offered))
    before = warm(one)
    for steps in (10, 20, 30):
        estimator.learn(Sample(replace(one, steps=steps), steps / 10, before))
    # With the least guidance it runs as often, so it takes as long.
    least = replace(one, guidance=1.0, steps=20)
    assert estimator.seconds(least, before) == pytest.approx(2.0, rel=0.05)


def test_controlnets_cost_as_long_as_they_act() -> None:
    def controlled(*spans: tuple[float, float]) -> GenerationRequest:
        uses = (ControlUse("c", "a" * 64, "canny", start=start, end=end) for start, end in spans)
        return asked(controls=tuple(uses))

    plain, whole = asked(), controlled((0.0, 1.0))
    known = taught(*((asked(steps=steps), 0.3 * steps) for steps in (10, 20, 30, 40)))
    each = [plain, controlled((0.2, 0.7)), whole, controlled((0.0, 1.0), (0.0, 1.0))]
    [one, half, more, most] = [known.seconds(every, warm(every)) or 0.0 for every in each]
    assert half - one == pytest.approx((more - one) / 2, rel=0.01)
    assert more == pytest.approx(one * (1 + CONTROLNET), rel=0.05)
    assert most - one == pytest.approx(2 * (more - one), rel=0.01)


def test_many_requests_with_noise_are_met_within_the_goal() -> None:
    chance, estimator, before, errors = random.Random(3), Estimator(), asked(), []
    for _ in range(300):
        one = asked(
            model=chance.choice("ab"),
            steps=chance.choice((8, 20, 30, 50)),
            width=chance.choice((512, 768, 1024, 1216)),
            count=chance.choice((1, 1, 2)),
        )
        pixels = one.width * one.height / 1e6
        seconds = 1 + one.count * (one.steps * 0.12 * pixels**1.3 + 0.3 * pixels)
        seconds += 6 * (one.model != before.model)
        seconds *= chance.lognormvariate(0, 0.08)
        expected = estimator.seconds(one, warm(before))
        if expected is not None:
            errors.append(abs(expected / seconds - 1))
        estimator.learn(Sample(one, seconds, warm(before)))
        before = one
    assert len(errors) > 250
    assert median(errors) <= 0.1


@pytest.mark.parametrize("truth", [(0.5, 0.3, 0.1, 0.02, 0.4), (3.0, -0.6, 0.1, -0.02, 0.0)])
def test_no_other_coefficients_fit_better(truth: Features) -> None:
    chance = random.Random(5)
    seen = []
    for _ in range(60):
        count, steps, size = chance.choice((1, 2, 4)), chance.choice((8, 20, 50)), chance.random()
        found = (1.0, count * size, count * steps * size, count * steps * size**2, size > 0.7)
        seconds = sum(a * b for a, b in zip(truth, found, strict=True)) * chance.uniform(0.9, 1.1)
        seen.append(_Seen(found, seconds, switched=False))
    weights = [chance.uniform(0.1, 1.0) for _ in seen]
    scale = [max(one.features[k] for one in seen) for k in range(len(truth))]

    def loss(scaled: list[float]) -> float:
        errors = (
            weight * (sum(c / s * f for c, s, f in zip(scaled, scale, one.features, strict=True)))
            - weight * one.seconds
            for one, weight in zip(seen, weights, strict=True)
        )
        ridge = RIDGE * sum(weight**2 for weight in weights)
        return sum(error**2 for error in errors) + ridge * sum(c**2 for c in scaled)

    fitted = least_squares(seen, weights)
    assert min(fitted) >= 0
    best = [c * s for c, s in zip(fitted, scale, strict=True)]
    for k in range(len(best)):
        for step in (0.01, -0.01):
            other = [max(0.0, c + step * (n == k)) for n, c in enumerate(best)]
            assert loss(best) <= loss(other) + 1e-9


SHEET = compared("a fox", ("lora", "off, ink"), ("steps", "20, 40"))


def test_a_comparison_takes_as_long_as_its_cells_in_their_order() -> None:
    estimator = Estimator()
    for cell in SHEET.each * 3:
        for before, extra in ((warm(cell), 0.0), (InPlace(cell.model), 2.0)):
            changed = extra if cell.adapters and before != warm(cell) else 0.0
            estimator.learn(Sample(cell, cell.steps / 10 + changed, before))
    here = InPlace("base")
    took = estimator.seconds(SHEET, here)
    assert took == pytest.approx(2 + 4 + 2 + 4 + 2, rel=0.1)
    assert needs(SHEET) == InPlace("base", ("ink:0.75",))


def test_a_comparison_teaches_nothing_since_part_of_it_may_be_older() -> None:
    one = asked(model=SHEET.model)
    estimator = taught(*[(one, 5.0)] * ENOUGH)
    before = estimator.seconds(one, warm(one))
    for _ in range(20):
        estimator.learn(Sample(SHEET, 900.0, warm(SHEET)))
    assert estimator.seconds(one, warm(one)) == before
    assert Estimator().seconds(SHEET, warm(SHEET)) is None


ALONE = Upscale("a" * 64, "sharp", 2.0, CRISP)


def enlarged(width: int, upscale: Upscale = ALONE, model: str = "") -> GenerationRequest:
    return asked(model=model, width=width, height=512, upscale=upscale)


def test_an_upscaler_needs_no_model_and_changes_none() -> None:
    here = InPlace("base", ("style:1",))
    assert needs(enlarged(512)) == InPlace("", ())
    assert here.then(needs(enlarged(512))) == here
    assert here.then(InPlace("other")) == InPlace("other")


def test_an_upscaler_is_learned_by_its_pixels_whatever_is_loaded() -> None:
    estimator = taught(*[(enlarged(512), 1.0), (enlarged(1024), 2.0)] * ENOUGH)
    for before in (InPlace(), InPlace("base")):
        assert estimator.seconds(enlarged(2048), before) == pytest.approx(4.0, rel=0.1)


def test_an_upscaler_and_a_model_of_the_same_key_are_told_apart() -> None:
    over = asked(model="sharp")
    estimator = taught(*[(enlarged(512), 1.0), (over, 20.0)] * ENOUGH)
    assert estimator.seconds(enlarged(512), InPlace()) == pytest.approx(1.0, rel=0.2)
    assert estimator.seconds(over, needs(over)) == pytest.approx(20.0, rel=0.2)


def test_painting_over_costs_the_steps_over_all_of_the_enlarged_image() -> None:
    over = enlarged(512, Upscale("a" * 64, "sharp", 2.0, REPAINT, 0.5), model="base")
    again = asked(model="base", width=1024, height=1024, steps=15)
    assert features(over, None)[2:4] == features(again, None)[2:4]
    assert features(enlarged(512), None)[2:4] == (0, 0)
