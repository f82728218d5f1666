"""Images whose noise has some of other seeds' mixed in."""

from dataclasses import replace
from typing import Any

import pytest

from bot.engine import Engine
from bot.request import GenerationRequest, Hires, InitImage, Mix
from tests.engine.factories import catalog, digests, model, paint, picture, request
from tests.parameters import mostly_long

SHAPE = (1, 4, 64, 64)
SEED = 11
"""Of the image that is varied."""


def noise_of(seed: int, *mixes: Mix, dtype: str = "float32", times: int = 1) -> Any:
    """The noise of an image, drawn so often; the last."""
    import torch

    from bot.engine.denoise import noise
    from bot.engine.passes import generators_of

    asked = request(seed=seed)
    for mix in mixes:
        asked = asked.variations(mix.seed, mix.strength, 1)
    generators = generators_of(asked)
    for _ in range(times):
        drawn = noise(SHAPE, generators, "cpu", getattr(torch, dtype))
    return drawn


def like(one: Any, other: Any) -> float:
    """Their correlation: of independent noises, 0 to within some hundredths."""
    import torch

    return float(
        torch.corrcoef(torch.stack([one.flatten().double(), other.flatten().double()]))[0, 1]
    )


@pytest.mark.usefixtures("models_dir")
class TestNoise:
    @pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
    @pytest.mark.parametrize("times", [1, 2])
    def test_without_strength_it_is_that_of_the_seed_to_the_bit(
        self, dtype: str, times: int
    ) -> None:
        import torch

        own = noise_of(SEED, dtype=dtype, times=times)
        assert own.dtype == getattr(torch, dtype)
        still = noise_of(SEED, Mix(12, 0.0), Mix(99, 0.0), dtype=dtype, times=times)
        assert torch.equal(own.view(torch.uint8), still.view(torch.uint8))

    def test_not_even_a_zero_loses_its_sign(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import torch

        from bot.engine import denoise

        monkeypatch.setattr(denoise, "randn_tensor", lambda shape, **_: -torch.zeros(shape))
        assert torch.signbit(noise_of(SEED)).all()

    def test_that_of_a_seed_is_as_ever(self) -> None:
        import torch

        generator = torch.Generator("cpu").manual_seed(SEED)
        assert torch.equal(noise_of(SEED), torch.randn(SHAPE, generator=generator))

    @pytest.mark.parametrize(
        "mixes",
        [
            [Mix(12, 0.1)],
            [Mix(12, 0.5)],
            [Mix(12, 0.9)],
            [Mix(12, 0.5), Mix(99, 0.5), Mix(12, 0.5)],
            [Mix(seed, 0.3) for seed in range(20, 28)],
            [Mix(SEED, 0.5)],
        ],
        ids=str,
    )
    def test_it_is_standard_normal_again(self, mixes: list[Mix]) -> None:
        found = noise_of(SEED, *mixes).double()
        # 16,384 values: four standard errors of each.
        assert abs(float(found.mean())) < 0.032
        assert abs(float(found.std()) - 1) < 0.023
        assert abs(float((found**4).mean()) - 3) < 0.31
        assert float(found.abs().max()) < 6

    def test_it_goes_from_the_one_to_the_other_along_a_quarter_circle(self) -> None:
        own, other = noise_of(SEED), noise_of(12)
        for strength, near in ((0.1, 0.988), (0.2, 0.951), (0.4, 0.809), (0.5, 0.707)):
            mixed = noise_of(SEED, Mix(12, strength))
            assert like(mixed, own) == pytest.approx(near, abs=0.03)
            assert like(mixed, other) == pytest.approx((1 - near**2) ** 0.5, abs=0.03)

    def test_at_full_strength_only_the_other_is_left(self) -> None:
        whole = noise_of(SEED, Mix(12, 1.0))
        assert (whole - noise_of(12)).abs().max() < 1e-6

    def test_a_variation_of_a_variation_is_mixed_from_that(self) -> None:
        import torch

        once = noise_of(SEED, Mix(12, 0.3))
        twice = noise_of(SEED, Mix(12, 0.3), Mix(99, 1 / 3))
        expected = 3**0.5 / 2 * once + 0.5 * noise_of(99)
        assert torch.allclose(twice, expected, atol=1e-5)

    def test_a_later_pass_mixes_what_comes_after(self) -> None:
        first, later = (noise_of(SEED, Mix(12, 0.3), times=times) for times in (1, 2))
        assert abs(like(first, later)) < 0.04
        assert like(later, noise_of(SEED, times=2)) > 0.85
        assert like(later, noise_of(12, times=2)) > 0.4


def varied(strength: float, *, of: GenerationRequest | None = None, count: int = 1) -> Any:
    return (of or request()).variations(12, strength, count)


KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "draws noise at each step": {"scheduler": "Euler a"},
    "second pass": {"hires": Hires(1.25, 0.5, 2)},
}


@pytest.mark.parametrize("kind", mostly_long([*KINDS, "from an image"], usual=1))
class TestImages:
    def asked(self, kind: str) -> GenerationRequest:
        over = {"init_image": InitImage(picture(), 0.6), "steps": 4}
        return request(**(over if kind == "from an image" else KINDS[kind]))

    def test_without_strength_it_is_the_same_image(self, engine: Engine, kind: str) -> None:
        own = self.asked(kind)
        assert digests(paint(engine, varied(0.0, of=own))) == digests(paint(engine, own))

    def test_with_some_it_is_another_and_always_the_same(self, engine: Engine, kind: str) -> None:
        own = self.asked(kind)
        first = digests(paint(engine, varied(0.2, of=own)))
        paint(engine, request(seed=3))
        assert digests(paint(engine, varied(0.2, of=own))) == first
        assert first != digests(paint(engine, own))

    def test_each_of_several_is_what_it_is_alone(self, engine: Engine, kind: str) -> None:
        several = varied(0.2, of=self.asked(kind), count=3)
        painted = paint(engine, several)
        assert [image.seed for image in painted.images] == [12, 13, 14]
        together = digests(painted)
        assert len({*together}) == 3
        for n, digest in enumerate(together):
            assert digests(paint(engine, several.alone(n))) == [digest]


@pytest.mark.parametrize(
    ("wanted", "passes"),
    [
        (varied(0.2), 1),
        (varied(0.2, of=request(hires=Hires(1.25, 0.5, 2))), 2),
        (varied(0.2, of=request(init_image=InitImage("", 0.6), steps=4)), 1),
    ],
    ids=["plain", "second pass", "from an image"],
)
def test_every_pass_has_the_same_mixed_in(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, wanted: GenerationRequest, passes: int
) -> None:
    from bot.engine import passes as module

    drawn = []
    noise = vars(module)["noise"]

    def watched(shape: Any, generators: Any, *given: Any) -> Any:
        drawn.append(generators)
        return noise(shape, generators, *given)

    monkeypatch.setattr(module, "noise", watched)
    if wanted.init_image:
        wanted = replace(wanted, init_image=InitImage(picture(), 0.6))
    paint(engine, wanted)
    assert len(drawn) == passes
    assert all(each is drawn[0] for each in drawn)
    assert [generator.initial_seed() for generator, _ in drawn[0]] == [SEED, 12]
    assert [weight for _, weight in drawn[0]] == pytest.approx([0.951, 0.309], abs=1e-3)


@pytest.mark.parametrize("scheduler", ["Euler", "DPM++ 2M"])
def test_at_full_strength_it_is_the_image_of_the_other_seed(engine: Engine, scheduler: str) -> None:
    """Where all of the noise is drawn at the beginning."""
    other = request(seed=12, scheduler=scheduler)
    whole = varied(1.0, of=request(scheduler=scheduler))
    assert digests(paint(engine, whole)) == digests(paint(engine, other))


def test_the_recipe_says_how(engine: Engine) -> None:
    wanted = varied(0.2, of=varied(0.1))
    recipe = paint(engine, wanted).recipe
    assert recipe.request == wanted
    assert recipe.to_dict()["request"]["variation"] == {
        "seed": SEED,
        "strength": 0.2,
        "before": ({"seed": 12, "strength": 0.1},),
    }


@pytest.mark.long
def test_variations_of_the_demo_model_are_the_closer_the_less_is_mixed_in(
    engine: Engine,
) -> None:
    import numpy as np

    demo = catalog([model("flat", "builtin:flat")])
    shown = {"prompt": "a red star on a blue background", "width": 128, "height": 128}
    own = request(model="flat", seed=7, steps=6, guidance=4.0, **shown)

    def pixels(wanted: GenerationRequest) -> list[Any]:
        return [np.asarray(each.image, np.float64) for each in paint(engine, wanted, demo).images]

    [star] = pixels(own)

    def apart(strength: float) -> float:
        """How much four variations differ from the image, on average."""
        each = pixels(varied(strength, of=own, count=4))
        return float(np.mean([np.sqrt(((one - star) ** 2).mean()) for one in each]))

    subtle, medium, strong, whole = map(apart, (0.1, 0.2, 0.4, 1.0))
    assert 0 < subtle < medium < strong < whole
    assert subtle < whole / 4
