"""Reference images with IP-Adapters for SD 1.5, as in diffusers."""

from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from bot.errors import JobFailed
from bot.request import Hires, Reference
from tests.engine import ip_adapter
from tests.engine.factories import digests, opened, paint, picture, realign
from tests.engine.families.sd15.factories import TINY, catalog, plain_pipeline, request
from tests.parameters import mostly_long

pytestmark = pytest.mark.long

KINDS = ("plain", "plus", "full")


@pytest.fixture(scope="module")
def folders(sd15_dir: Path, plain: Any) -> dict[str, Path]:
    """An IP-Adapter of each kind."""
    for kind in KINDS:
        ip_adapter.build(sd15_dir / f"ip-sd15-{kind}", plain.unet, kind)
    return {kind: sd15_dir / f"ip-sd15-{kind}" for kind in KINDS}


@pytest.mark.parametrize(
    ("kind", "guidance", "weight"),
    mostly_long([(k, g, w) for k in KINDS for g, w in ((5.0, 0.7), (1.0, 1.2))], usual=1),
)
def test_guides_as_diffusers_does(
    engine: Engine,
    sd15_dir: Path,
    folders: dict[str, Path],
    kind: str,
    guidance: float,
    weight: float,
) -> None:
    import torch
    from diffusers import EulerDiscreteScheduler

    plain = plain_pipeline(sd15_dir / TINY)  # of its own: an IP-Adapter changes it
    plain.scheduler = EulerDiscreteScheduler.from_config(plain.scheduler.config)
    sha256 = picture((100, 64), seed=8)
    offered = catalog(reference=ip_adapter.entry(folders[kind]))
    asked = request(reference=Reference(sha256, weight), guidance=guidance)
    painted = paint(engine, asked, offered).images[0]
    subfolder, name = ip_adapter.WEIGHTS.split("/")
    plain.load_ip_adapter(
        str(folders[kind]),
        subfolder=subfolder,
        weight_name=name,
        image_encoder_folder=ip_adapter.ENCODER,
    )
    plain.set_ip_adapter_scale(weight)
    realign(plain.image_encoder)
    realign(plain.unet)
    from transformers import CLIPImageProcessorPil

    size = plain.image_encoder.config.image_size
    plain.feature_extractor = CLIPImageProcessorPil(size=size, crop_size=size)
    expected = plain(
        "a fox in the snow",
        negative_prompt="",
        ip_adapter_image=opened(sha256),
        num_inference_steps=2,
        guidance_scale=guidance,
        width=64,
        height=64,
        generator=torch.Generator().manual_seed(11),
    ).images[0]
    assert painted.image.tobytes() == expected.tobytes()
    without = paint(engine, request(guidance=guidance), offered)
    assert painted.pixels_sha256 != digests(without)[0]


def test_without_a_reference_nothing_is_left(engine: Engine, folders: dict[str, Path]) -> None:
    offered = catalog(reference=ip_adapter.entry(folders["plain"]))
    guided = request(reference=Reference(picture(seed=8), 0.7), hires=Hires(1.25, 0.5, 2))
    before = digests(paint(engine, request(), offered))
    with_it = digests(paint(engine, guided, offered))
    paint(engine, request(model="demo"), offered)
    assert digests(paint(engine, request(), offered)) == before != with_it
    assert digests(paint(engine, guided, offered)) == with_it


def test_an_ip_adapter_for_sdxl_is_refused(engine: Engine, sd15_dir: Path) -> None:
    from diffusers import UNet2DConditionModel

    other = UNet2DConditionModel.from_pretrained(sd15_dir / "tiny" / "unet")
    entry = ip_adapter.build(sd15_dir / "ip-of-sdxl", other)
    asked = request(reference=Reference(picture(seed=8), 0.7))
    with pytest.raises(JobFailed) as failure:
        paint(engine, asked, catalog(reference=entry))
    assert failure.value.code == "reference.foreign"


def test_the_files_of_sd_15_number_its_cross_attentions() -> None:
    """1, 3 … 31 of the true UNet, as in h94/IP-Adapter's ip-adapter_sd15.safetensors."""
    from bot.engine.reference import _attentions, _place
    from tests.engine.families.unet.true_models import sd15

    shapes = _attentions(sd15()["unet"])
    assert [_place(number) for number in range(len(shapes))] == [*range(1, 32, 2)]
    assert {context for _, context in shapes.values()} == {768}
    blocks = [name.partition(".attentions")[0] for name in shapes]
    assert (blocks[0], blocks[-1]) == ("down_blocks.0", "mid_block")
