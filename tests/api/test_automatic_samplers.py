"""Samplers and schedules, as AUTOMATIC1111 has them and as we do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.api.automatic.samplers import listed_samplers, listed_schedulers
from bot.errors import InvalidRequest
from bot.request.dialects.samplers import LABELS, SAMPLERS, scheduler_for
from catalog import SCHEDULERS
from catalog.schedulers import FITTING, FROM_NOISE

DEFAULT = "DPM++ 2M Karras"


def found(sampler: str | None, schedule: str | None = None) -> str | None:
    return scheduler_for(sampler, schedule, DEFAULT, SCHEDULERS)


@pytest.mark.parametrize(
    ("sampler", "schedule", "expected"),
    [
        (None, None, None),
        ("", "Automatic", None),
        (None, "Uniform", "DPM++ 2M"),
        ("DPM++ 2M", None, "DPM++ 2M Karras"),
        ("DPM++ 2M", "automatic", "DPM++ 2M Karras"),
        ("DPM++ 2M", "Uniform", "DPM++ 2M"),
        ("DPM++ 2M", "Karras", "DPM++ 2M Karras"),
        ("DPM++ 2M Karras", None, "DPM++ 2M Karras"),
        ("DPM++ 2M Karras", "karras", "DPM++ 2M Karras"),
        ("DPM++ SDE", "", "DPM++ SDE Karras"),
        ("dpm++ 2m sde", "KARRAS", "DPM++ 2M SDE Karras"),
        ("Euler", "Automatic", "Euler"),
        ("Euler", "SGM Uniform", "Euler trailing"),
        ("Euler", "sgm_uniform", "Euler trailing"),
        ("Euler", "SGMUniform", "Euler trailing"),
        ("Euler a", "Automatic", "Euler a"),
        ("DDIM", "uniform", "DDIM"),
    ],
)
def test_together_they_are_one_of_ours(
    sampler: str | None, schedule: str | None, expected: str | None
) -> None:
    assert found(sampler, schedule) == expected


@pytest.mark.parametrize(
    ("sampler", "schedule", "allowed"),
    [
        ("Euler", "Karras", ("Automatic", "Uniform", "SGM Uniform")),
        ("DPM++ SDE", "Uniform", ("Automatic", "Karras")),
        ("DPM++ 2M", "Exponential", ("Automatic", "Uniform", "Karras")),
        ("DPM++ 2M Karras", "Uniform", ("Automatic", "Karras")),
        (None, "Beta", ("Automatic", "Uniform", "Karras")),
    ],
)
def test_other_schedules_are_refused(
    sampler: str | None, schedule: str, allowed: tuple[str, ...]
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        found(sampler, schedule)
    assert (caught.value.params["value"], caught.value.params["allowed"]) == (schedule, allowed)


def test_an_unknown_sampler_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"scheduler\.un"):
        found("Restart")


def test_automatic_is_what_the_model_can_be_used_with() -> None:
    for prediction, fitting in (*FITTING.items(), *FROM_NOISE.items()):
        for sampler in {name.removesuffix(" Karras") for name in fitting}:
            assert scheduler_for(sampler, None, fitting[0], fitting) in fitting, prediction


def test_everything_that_is_listed_can_be_used() -> None:
    reached = set()
    for item in listed_samplers():
        reached.add(found(item["name"]))
        reached |= {found(alias) for alias in item["aliases"]}
        for label in SAMPLERS[item["name"]]:
            reached.add(found(item["name"], label))
    assert reached == set(SCHEDULERS)
    assert [item["label"] for item in listed_schedulers()] == [*LABELS.values()]


@given(st.none() | st.sampled_from([*SCHEDULERS, *SAMPLERS]), st.none() | st.text(max_size=20))
def test_any_schedule_is_understood_or_refused(sampler: str | None, schedule: str | None) -> None:
    try:
        name = found(sampler, schedule)
    except InvalidRequest:
        return
    assert name is None or name in SCHEDULERS
