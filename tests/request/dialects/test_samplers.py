"""Sampler names of other programs: the same sampler, or refused with the nearest."""

import pytest

from bot.errors import InvalidRequest
from bot.request.dialects.samplers import find_scheduler

SAME = {
    # ComfyUI
    "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_sde_gpu": "DPM++ 2M SDE",
    "dpmpp_2m_sde_gpu karras": "DPM++ 2M SDE Karras",
    "dpmpp_2m_normal": "DPM++ 2M",
    "euler_ancestral": "Euler a",
    "euler sgm_uniform": "Euler trailing",
    "uni_pc": "UniPC",
    "uni_pc_bh2": "UniPC",
    # k-diffusion, NovelAI
    "sample_euler_ancestral": "Euler a",
    "sample_dpmpp_2m_sde": "DPM++ 2M SDE",
    "k_euler": "Euler",
    "k_euler_ancestral": "Euler a",
    "k_euler_a": "Euler a",
    "k_heun": "Heun",
    # InvokeAI
    "euler_a": "Euler a",
    "dpmpp_2m_k": "DPM++ 2M Karras",
    "dpmpp_2m_sde_k": "DPM++ 2M SDE Karras",
    "dpmpp_sde_k": "DPM++ SDE Karras",
    "unipc": "UniPC",
    # AUTOMATIC1111
    "DPM++ 2M SDE Karras": "DPM++ 2M SDE Karras",
    "k_dpmpp_2m_ka": "DPM++ 2M Karras",
    # diffusers
    "EulerDiscreteScheduler": "Euler",
    "EulerAncestralDiscreteScheduler": "Euler a",
    "DPMSolverMultistepScheduler": "DPM++ 2M",
    "UniPCMultistepScheduler": "UniPC",
    "HeunDiscreteScheduler": "Heun",
    "DDIMScheduler": "DDIM",
    "LCMScheduler": "LCM",
}
OTHER = {
    "Euler a Karras": ("Euler a",),
    "k_euler_karras": ("Euler", "Euler trailing"),
    "dpmpp_sde": ("DPM++ SDE Karras",),
    "dpmpp_sde_gpu": ("DPM++ SDE Karras",),
    "dpmpp_2m exponential": ("DPM++ 2M Karras", "DPM++ 2M"),
    "dpmpp_2m_sde sgm_uniform": ("DPM++ 2M SDE", "DPM++ 2M SDE Karras"),
    "DPM++ 2M SDE Exponential": ("DPM++ 2M SDE", "DPM++ 2M SDE Karras"),
    "dpmpp_2m_simple": ("DPM++ 2M Karras", "DPM++ 2M"),
    "ddim_karras": ("DDIM",),
}


@pytest.mark.parametrize("theirs", SAME)
def test_the_same_sampler(theirs: str) -> None:
    assert find_scheduler(theirs) == SAME[theirs]
    assert find_scheduler(theirs.upper()) == SAME[theirs]


@pytest.mark.parametrize("theirs", OTHER)
def test_another_noise_schedule_is_refused_with_the_nearest(theirs: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        find_scheduler(theirs)
    assert error.value.code == "scheduler.unknown"
    nearest = error.value.params["nearest"]
    assert isinstance(nearest, tuple)
    assert nearest[: len(OTHER[theirs])] == OTHER[theirs]


@pytest.mark.parametrize(
    "theirs",
    [
        "dpm_2",
        "lms",
        "dpm_fast",
        "dpmpp_3m_sde",
        "dpmpp_2s_ancestral",
        "DPMSolverSinglestepScheduler",
        "heunpp2",
        "res_multistep",
        "ddpm",
        "euler_cfg_pp",
        "PNDMScheduler",
        "dpmpp_2m_sde_heun",
    ],
)
def test_another_sampler_is_not_taken_for_ours(theirs: str) -> None:
    with pytest.raises(InvalidRequest):
        find_scheduler(theirs)


def test_only_what_is_offered_is_found() -> None:
    with pytest.raises(InvalidRequest):
        find_scheduler("k_euler", ("LCM", "DDIM"))
    assert find_scheduler("LCMScheduler", ("LCM", "DDIM")) == "LCM"
