"""ControlNets: as in diffusers, from every kind of file, and without a trace afterwards."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    StableDiffusionXLAdapterPipeline,
    StableDiffusionXLControlNetPipeline,
    StableDiffusionXLControlNetUnionPipeline,
    T2IAdapter,
)

from bot.engine import Engine, memory
from bot.errors import JobFailed, PaintStopped, StopReason
from bot.progress import Progress, Stage
from bot.request import ControlUse, Hires, InitImage
from catalog import Catalog
from tests.engine.controls import tiny
from tests.engine.factories import (
    TINY,
    catalog,
    digests,
    kohya_lora,
    opened,
    paint,
    picture,
    plain_pipeline,
    request,
)

KINDS = ("controlnet", "union", "t2i_adapter")
SEEN = "tile"
"""A type whose map is the image as it is."""


@pytest.fixture(scope="module")
def plain(models_dir: Path) -> Any:
    """The same model in plain diffusers."""
    return plain_pipeline(models_dir / TINY)


@pytest.fixture(scope="module")
def made(plain: Any) -> dict[str, Any]:
    """A network of each kind."""
    return {kind: tiny.network(plain.unet, kind) for kind in KINDS}


@pytest.fixture(scope="module")
def folders(models_dir: Path, made: dict[str, Any]) -> dict[str, Path]:
    return {kind: tiny.write(models_dir / kind, each) for kind, each in made.items()}


@pytest.fixture
def offered(folders: dict[str, Path]) -> Catalog:
    return catalog(controlnets=tiny.offered(folders))


def use(key: str, **fields: Any) -> ControlUse:
    sha256 = fields.pop("sha256", "") or picture((64, 64), seed=8)
    return ControlUse(key, sha256, fields.pop("type", SEEN), **fields)


def expected(plain: Any, kind: str, network: Any, asked: ControlUse, guidance: float) -> bytes:
    """What diffusers' own pipeline makes of the same."""
    parts = {
        name: part
        for name, part in plain.components.items()
        if name not in {"image_encoder", "feature_extractor"}
    }
    image = opened(asked.sha256)
    common = {
        "num_inference_steps": 2,
        "guidance_scale": guidance,
        "width": 64,
        "height": 64,
        "generator": torch.Generator().manual_seed(11),
    }
    if kind == "t2i_adapter":
        pipeline: Any = StableDiffusionXLAdapterPipeline(**parts, adapter=network)
        given = {
            "image": image,
            "adapter_conditioning_scale": asked.weight,
            "adapter_conditioning_factor": asked.end,
        }
    else:
        classes = {
            "controlnet": StableDiffusionXLControlNetPipeline,
            "union": StableDiffusionXLControlNetUnionPipeline,
        }
        pipeline = classes[kind](**parts, controlnet=network)
        given = {
            "controlnet_conditioning_scale": asked.weight,
            "control_guidance_start": asked.start,
            "control_guidance_end": asked.end,
        }
        if kind == "union":
            given |= {"control_image": [image], "control_mode": [6]}
        else:
            given |= {"image": image}
    pipeline.set_progress_bar_config(disable=True)
    image = pipeline("a fox in the snow", **common, **given).images[0]
    return bytes(image.tobytes())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("guidance", "weight", "end"), [(5.0, 0.7, 1.0), (1.0, 1.0, 1.0), (5.0, 1.5, 0.5)]
)
def test_it_controls_as_diffusers_does(
    engine: Engine,
    plain: Any,
    made: dict[str, Any],
    offered: Catalog,
    kind: str,
    guidance: float,
    weight: float,
    end: float,
) -> None:
    asked = use(kind, weight=weight, end=end)
    painted = paint(engine, request(controls=(asked,), guidance=guidance), offered).images[0]
    same = expected(plain, kind, made[kind], asked, guidance)
    assert painted.image.tobytes() == same
    assert painted.pixels_sha256 != digests(paint(engine, request(guidance=guidance)))[0]


@pytest.mark.parametrize("kind", KINDS)
def test_files_without_a_configuration_give_the_same(
    engine: Engine, folders: dict[str, Path], offered: Catalog, tmp_path: Path, kind: str
) -> None:
    bare = tiny.without_config(folders[kind], tmp_path / "bare.safetensors")
    alone = catalog(controlnets=tiny.offered({kind: bare}))
    asked = request(controls=(use(kind),))
    assert digests(paint(engine, asked, alone)) == digests(paint(engine, asked, offered))


@pytest.mark.parametrize("kind", ["controlnet", "t2i_adapter"])
def test_the_names_that_their_authors_gave_do_too(
    engine: Engine, made: dict[str, Any], offered: Catalog, tmp_path: Path, kind: str
) -> None:
    file = tiny.write_original(tmp_path / "original.safetensors", made[kind])
    alone = catalog(controlnets=tiny.offered({kind: file}))
    asked = request(controls=(use(kind),))
    assert digests(paint(engine, asked, alone)) == digests(paint(engine, asked, offered))


def test_nothing_is_left_afterwards(engine: Engine, offered: Catalog) -> None:
    before = digests(paint(engine, request(), offered))
    both = request(controls=(use("controlnet"), use("t2i_adapter", weight=0.5)))
    with_both = digests(paint(engine, both, offered))
    assert with_both != before
    assert digests(paint(engine, request(), offered)) == before
    assert digests(paint(engine, both, offered)) == with_both
    assert digests(paint(engine, request(controls=(use("union"),)), offered)) != with_both
    assert digests(paint(engine, both, offered)) == with_both


def test_without_weight_or_beyond_its_steps_nothing_changes(
    engine: Engine, offered: Catalog
) -> None:
    without = digests(paint(engine, request(), offered))
    for each in (use("controlnet", weight=0.0), use("controlnet", start=0.6, end=0.9)):
        assert digests(paint(engine, request(controls=(each,)), offered)) == without


def test_both_passes_follow_and_sizes_need_not_be_even(engine: Engine, offered: Catalog) -> None:
    for kind in KINDS:
        asked = request(width=72, height=88, controls=(use(kind),))
        plain = paint(engine, asked, offered).images[0]
        assert plain.image.size == (72, 88)
        larger = request(hires=Hires(1.25, 0.5, 2), controls=(use(kind),))
        assert paint(engine, larger, offered).images[0].image.size == (80, 80)
    init = InitImage(picture((64, 64), seed=4), 0.6)
    started = request(init_image=init, controls=(use("controlnet"),))
    alone = request(init_image=init)
    assert digests(paint(engine, started, offered)) != digests(paint(engine, alone, offered))


def test_loras_and_controlnets_go_together(
    engine: Engine, folders: dict[str, Path], tmp_path: Path
) -> None:
    lora = kohya_lora(tmp_path / "a.safetensors")
    both = catalog(controlnets=tiny.offered(folders), a=lora)
    seen = {
        digests(paint(engine, request(*adapters, controls=controls), both))[0]
        for adapters in ((), (("a", 1.0),))
        for controls in ((), (use("controlnet"),))
    }
    assert len(seen) == 4


def test_the_recipe_names_them(engine: Engine, offered: Catalog) -> None:
    painting = paint(engine, request(controls=(use("controlnet"), use("union"))), offered)
    assert [weights.name for weights in painting.recipe.controls] == ["controlnet", "union"]
    assert painting.recipe.environment["kernels"] == "eager"


def test_a_union_follows_only_what_it_knows(engine: Engine, offered: Catalog) -> None:
    with pytest.raises(JobFailed) as failed:
        paint(engine, request(controls=(use("union", type="other"),)), offered)
    assert failed.value.code == "control.type"
    canny = digests(paint(engine, request(controls=(use("union", type="normal"),)), offered))
    tile = digests(paint(engine, request(controls=(use("union"),)), offered))
    assert canny != tile


@pytest.mark.parametrize("what", ["wider", "a VAE", "another UNet's adapter"])
def test_one_for_another_unet_is_refused(
    engine: Engine, models_dir: Path, plain: Any, tmp_path: Path, what: str
) -> None:
    path = models_dir / TINY / "vae"
    if what == "wider":
        made = tiny.network(plain.unet, "controlnet")
        path = tiny.with_config(tiny.write(tmp_path / "wide", made), cross_attention_dim=96)
    elif what != "a VAE":
        narrow = T2IAdapter(channels=[8, 8, 8, 8], adapter_type="full_adapter_xl")
        path = tiny.write(tmp_path / "narrow", narrow)
    with pytest.raises(JobFailed) as failed:
        paint(engine, request(controls=(use("x"),)), catalog(controlnets=tiny.offered({"x": path})))
    assert failed.value.code == "control.foreign"
    assert digests(paint(engine, request()))


def test_a_configuration_may_not_ask_for_more(engine: Engine, plain: Any, tmp_path: Path) -> None:
    folder = tiny.write(tmp_path / "odd", tiny.network(plain.unet, "controlnet"))
    tiny.with_config(folder, conditioning_channels=4)
    offered = catalog(controlnets=tiny.offered({"x": folder}))
    with pytest.raises(JobFailed) as failed:
        paint(engine, request(controls=(use("x"),)), offered)
    assert failed.value.code == "control.configuration"
    assert failed.value.params["field"] == "controlnet.conditioning_channels"


@pytest.mark.parametrize("content", [b"", b"no weights", (2**62).to_bytes(8, "little")])
def test_what_is_no_weight_file_is_said(engine: Engine, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.safetensors"
    file.write_bytes(content)
    offered = catalog(controlnets=tiny.offered({"x": file}))
    with pytest.raises(JobFailed) as failed:
        paint(engine, request(controls=(use("x"),)), offered)
    assert failed.value.code == "control.not_safetensors"


def test_a_stop_while_one_acts_leaves_nothing(engine: Engine, offered: Catalog) -> None:
    before = digests(paint(engine, request(), offered))
    seen: list[Progress] = []

    def stop() -> None:
        if any(p.stage is Stage.PAINTING and p.step == 1 for p in seen):
            raise PaintStopped(StopReason.CANCELLED)

    with pytest.raises(PaintStopped):
        paint(engine, request(controls=(use("controlnet"),)), offered, seen.append, stop)
    assert digests(paint(engine, request(), offered)) == before


def parts_of(engine: Engine) -> list[Any]:
    pipeline: Any = engine._pipeline
    return [part for _, part in pipeline._controls._kept.values()]


def test_on_small_cards_its_blocks_take_turns_and_it_leaves_for_decoding(
    engine: Engine, keeping: Any, offered: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = request(controls=(use("controlnet"), use("union", weight=0.5)))
    whole = digests(paint(engine, asked, offered))
    assert all(part.present for part in parts_of(engine))
    small = keeping(0, memory="8gb", weights="full")
    small.warm_up()
    size = max(part.layout.size for part in parts_of(engine))
    monkeypatch.setitem(memory.BESIDE, memory.Profile.GB8, size)
    assert digests(paint(small, asked, offered)) == whole
    parts = parts_of(small)
    assert all(part._arrangement.by_turns for part in parts)
    assert not any(part.present for part in parts)


def test_only_those_of_the_last_job_stay(engine: Engine, offered: Catalog) -> None:
    paint(engine, request(controls=(use("controlnet"), use("union"))), offered)
    assert len(parts_of(engine)) == 2
    first = parts_of(engine)[0]
    paint(engine, request(controls=(use("controlnet"),)), offered)
    assert parts_of(engine) == [first]
    paint(engine, request(), offered)
    assert parts_of(engine) == [first]
    assert not first.present
    paint(engine, request(controls=(use("controlnet"),)), offered)
    assert parts_of(engine) == [first]
    engine.rest()
    assert parts_of(engine) == []
