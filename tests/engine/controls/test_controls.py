"""ControlNets: as in diffusers, from every kind of file, and without a trace afterwards."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pytest
import torch
from diffusers import (
    StableDiffusionXLAdapterPipeline,
    StableDiffusionXLControlNetPipeline,
    StableDiffusionXLControlNetUnionPipeline,
    T2IAdapter,
)

from bot.engine import Engine, memory
from bot.engine.environment import Place
from bot.engine.families.unet.controls.acting import ActingNetwork, Adapter
from bot.engine.kernels import Kernels
from bot.engine.residency import Residency
from bot.engine.weights import FileChanged
from bot.errors import JobFailed, PaintStopped, StopReason
from bot.progress import Progress, Stage
from bot.request import ControlUse, Hires, InitImage
from catalog import Catalog
from tests.engine.circular import circular
from tests.engine.controls import tiny
from tests.engine.factories import (
    TINY,
    catalog,
    digests,
    kohya_lora,
    opened,
    ordered,
    paint,
    picture,
    plain_pipeline,
    request,
    resident,
    save,
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
        # It would turn an image into a tensor in another memory format than it does elsewhere, for
        # which some processors' convolutions round otherwise.
        levels = torch.from_numpy(np.asarray(image, np.float32) / np.float32(255))
        given = {
            "image": levels.permute(2, 0, 1)[None].contiguous(),
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


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_where_opposite_edges_meet_it_wraps_around_as_well(
    engine: Engine, plain: Any, made: dict[str, Any], offered: Catalog, kind: str
) -> None:
    asked = use(kind, weight=0.7)
    painted = paint(engine, request(controls=(asked,), tile=True), offered).images[0]
    with circular(plain.unet, plain.vae, made[kind]):
        assert painted.image.tobytes() == expected(plain, kind, made[kind], asked, 5.0)
    with circular(plain.unet, plain.vae):
        assert painted.image.tobytes() != expected(plain, kind, made[kind], asked, 5.0)


@pytest.mark.long
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
    held = resident(engine).parts["unet"].layout.size
    size = max(part.layout.size for part in parts_of(engine))
    monkeypatch.setitem(memory.TOGETHER, memory.Profile.GB8, held + size)
    assert digests(paint(small, asked, offered)) == whole
    parts = parts_of(small)
    assert all(part._arrangement.by_turns for part in parts)
    assert not any(part.present for part in parts)


def recorded(monkeypatch: pytest.MonkeyPatch, kind: Any) -> list[Any]:
    """The uses of ControlNets of that kind, one for each evaluation in which they acted."""
    acted: list[Any] = []
    add = kind.add

    def noted(self: Any, *args: Any, **told: Any) -> None:
        acted.append(self)
        add(self, *args, **told)

    monkeypatch.setattr(kind, "add", noted)
    return acted


def test_they_act_in_both_passes_at_the_size_of_each(
    engine: Engine, offered: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    acted = recorded(monkeypatch, ActingNetwork)
    asked = request(steps=2, hires=Hires(1.25, 0.5, 2), controls=(use("controlnet"),))
    paint(engine, asked, offered)
    assert [tuple(each.map.shape[2:]) for each in acted] == [(64, 64), (64, 64), (80, 80)]


def test_shares_of_steps_are_of_those_that_are_run(
    engine: Engine, offered: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    acted = recorded(monkeypatch, ActingNetwork)
    first_half = (use("controlnet", end=0.5),)
    init = InitImage(picture((64, 64), seed=4), 0.5)
    paint(engine, request(steps=4, init_image=init, controls=first_half), offered)
    assert len(acted) == 1
    acted.clear()
    # Heun evaluates the UNet twice in a step.
    paint(engine, request(steps=2, scheduler="Heun", controls=first_half), offered)
    assert len(acted) == 2


def test_two_at_once_both_act(engine: Engine, offered: Catalog) -> None:
    one, other = use("controlnet"), use("union", weight=0.6)
    seen = {
        digests(paint(engine, request(controls=controls), offered))[0]
        for controls in ((one,), (other,), (one, other), ())
    }
    assert len(seen) == 4


def test_a_map_that_was_made_is_told_with_what_made_it(engine: Engine, offered: Catalog) -> None:
    found = paint(engine, request(controls=(use("controlnet", type="canny"),)), offered)
    assert found.recipe.environment["opencv"] == cv2.__version__
    as_map = use("controlnet", type="canny", is_map=True)
    assert "opencv" not in paint(engine, request(controls=(as_map,)), offered).recipe.environment


def test_nothing_compiled_runs_beside_them(
    engine: Engine, offered: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []
    choose = Kernels.choose

    def noted(self: Kernels, module: Any, kernels: str | None) -> Any:
        asked.append(kernels)
        return choose(self, module, kernels)

    monkeypatch.setattr(Kernels, "choose", noted)
    for controls in ((), (use("controlnet"),)):
        paint(engine, request(controls=controls), offered)
    assert asked == [None, "eager"]


def test_at_its_edges_a_map_goes_on_as_it_is(made: dict[str, Any]) -> None:
    place = Place("cpu", "float32")
    adapter = Adapter(made["t2i_adapter"])
    map_ = opened(picture((72, 88), seed=8))
    padded = PIL.Image.fromarray(np.pad(np.asarray(map_), ((0, 40), (0, 56), (0, 0)), "edge"))
    asked = use("t2i_adapter")
    own, larger = (adapter.acting(asked, each, place).features for each in (map_, padded))
    assert [tuple(each.shape[2:]) for each in own] == [(6, 5), (6, 5), (3, 3), (3, 3)]
    for one, other in zip(own, larger, strict=True):
        assert torch.equal(one, other[:, :, : one.shape[2], : one.shape[3]])


@pytest.mark.long
def test_those_of_the_last_job_are_not_in_the_way_of_the_next(
    engine: Engine, offered: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    controlled = request(controls=(use("controlnet"),))
    paint(engine, controlled, offered)
    there: list[bool] = []
    load = Residency.load

    def noted(self: Residency, *args: Any, **options: Any) -> Any:
        there.append(parts_of(engine)[0].present)
        return load(self, *args, **options)

    monkeypatch.setattr(Residency, "load", noted)
    paint(engine, controlled, offered)
    paint(engine, request(model="other", controls=controlled.controls), offered)
    paint(engine, request(), offered)
    assert there == [True, False, False]
    pipeline: Any = engine._pipeline
    pipeline.free()
    assert parts_of(engine) == []


@pytest.mark.long
def test_a_file_that_changes_while_it_is_used_ends_the_job_alone(
    keeping: Any, folders: dict[str, Path], tmp_path: Path
) -> None:
    file = tiny.without_config(folders["controlnet"], tmp_path / "x.safetensors")
    engine = keeping(0, memory="8gb")
    offered = catalog(controlnets=tiny.offered({"x": file}))
    painted: list[Any] = []

    def cut_off(image: Any) -> None:
        painted.append(image)
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])

    order = ordered(request(count=2, controls=(use("x"),)), offered)
    with pytest.raises(FileChanged):
        engine.paint(order, lambda _: None, lambda: None, cut_off)
    assert len(painted) == 1


def test_sharded_weights_have_their_configuration_beside_them(
    engine: Engine, made: dict[str, Any], offered: Catalog, tmp_path: Path
) -> None:
    made["controlnet"].save_pretrained(tmp_path / "parts", max_shard_size="500KB")
    assert len([*(tmp_path / "parts").glob("*.safetensors")]) > 1
    alone = catalog(controlnets=tiny.offered({"controlnet": tmp_path / "parts"}))
    asked = request(controls=(use("controlnet"),))
    assert digests(paint(engine, asked, alone)) == digests(paint(engine, asked, offered))


@pytest.mark.parametrize("smaller", tiny.SMALLER)
def test_smaller_ones_need_no_configuration(
    engine: Engine, plain: Any, tmp_path: Path, smaller: str
) -> None:
    made = tiny.network(plain.unet, "controlnet", **tiny.SMALLER[smaller])
    folder = tiny.write(tmp_path / "whole", made)
    bare = tiny.without_config(folder, tmp_path / "bare.safetensors")
    asked = request(controls=(use("x"),))
    with_config, without = (
        digests(paint(engine, asked, catalog(controlnets=tiny.offered({"x": path}))))
        for path in (folder, bare)
    )
    assert without == with_config


def test_hostile_tensors_are_refused_at_once(engine: Engine, plain: Any, tmp_path: Path) -> None:
    made = tiny.network(plain.unet, "union")
    tensors = made.state_dict()
    many = {f"transformer_layes.{n}.ln_1.weight": torch.zeros(1) for n in range(5_000)}
    lost = {n: t for n, t in tensors.items() if n != "spatial_ch_projs.weight"}
    for found, code in (
        ({**tensors, **many}, "control.configuration"),
        (lost, "control.incomplete"),
    ):
        file = save(tmp_path / f"{code}.safetensors", found)
        with pytest.raises(JobFailed) as failed:
            paint(
                engine,
                request(controls=(use("x"),)),
                catalog(controlnets=tiny.offered({"x": file})),
            )
        assert failed.value.code == code


@pytest.mark.long
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
