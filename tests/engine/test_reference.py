"""Reference images: as in diffusers, and without a trace afterwards."""

import gc
import json
import shutil
import weakref
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from bot.errors import JobFailed, PaintStopped, StopReason
from bot.progress import Progress, Stage
from bot.recipe import Recipe
from bot.request import Hires, InitImage, Reference
from catalog import Catalog
from tests.engine import ip_adapter
from tests.engine.factories import (
    TINY,
    catalog,
    digests,
    kohya_lora,
    opened,
    paint,
    picture,
    plain_pipeline,
    realign,
    request,
    resident,
    save,
)
from tests.engine.hub_server import hub_server

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def plain(models_dir: Path) -> Any:
    """The same model in plain diffusers."""
    return plain_pipeline(models_dir / TINY)


@pytest.fixture(scope="module")
def folders(models_dir: Path, plain: Any) -> dict[str, Path]:
    """An IP-Adapter of each kind."""
    kinds = ("plain", "plus", "full")
    for kind in kinds:
        ip_adapter.build(models_dir / f"ip-{kind}", plain.unet, kind)
    return {kind: models_dir / f"ip-{kind}" for kind in kinds}


@pytest.fixture
def offered(folders: dict[str, Path], tmp_path: Path) -> Catalog:
    lora = kohya_lora(tmp_path / "a.safetensors")
    return catalog(reference=ip_adapter.entry(folders["plain"]), a=lora)


@pytest.fixture
def guided() -> Reference:
    return Reference(picture((100, 64), seed=8), 0.7)


@pytest.mark.parametrize("kind", ["plain", "plus", "full"])
@pytest.mark.parametrize(("guidance", "weight"), [(5.0, 0.7), (1.0, 1.2), (5.0, 0.0)])
def test_guides_as_diffusers_does(
    engine: Engine,
    plain: Any,
    folders: dict[str, Path],
    kind: str,
    guidance: float,
    weight: float,
) -> None:
    import torch

    sha256 = picture((100, 64), seed=8)
    asked = request(reference=Reference(sha256, weight), guidance=guidance)
    offered = catalog(reference=ip_adapter.entry(folders[kind]))
    painted = paint(engine, asked, offered).images[0]
    subfolder, name = ip_adapter.WEIGHTS.split("/")
    plain.load_ip_adapter(
        str(folders[kind]),
        subfolder=subfolder,
        weight_name=name,
        image_encoder_folder=ip_adapter.ENCODER,
    )
    try:
        plain.set_ip_adapter_scale(weight)
        realign(plain.image_encoder)
        realign(plain.unet)
        expected = plain(
            "a fox in the snow",
            ip_adapter_image=opened(sha256),
            num_inference_steps=2,
            guidance_scale=guidance,
            width=64,
            height=64,
            generator=torch.Generator().manual_seed(11),
        ).images[0]
    finally:
        plain.unload_ip_adapter()
    assert painted.image.tobytes() == expected.tobytes()
    changed = painted.pixels_sha256 != digests(paint(engine, request(guidance=guidance)))[0]
    assert changed == (weight > 0)


def test_without_a_reference_nothing_is_left(
    engine: Engine, offered: Catalog, guided: Reference
) -> None:
    before = digests(paint(engine, request(), offered))
    unet = resident(engine).denoiser
    own, names = dict(unet.attn_processors), [name for name, _ in unet.named_parameters()]
    with_it = digests(paint(engine, request(reference=guided), offered))
    assert with_it != before
    assert resident(engine).denoiser is unet
    assert all(unet.attn_processors[name] is processor for name, processor in own.items())
    assert [name for name, _ in unet.named_parameters()] == names
    assert unet.encoder_hid_proj is None
    assert unet.config.encoder_hid_dim_type is None
    assert digests(paint(engine, request(), offered)) == before
    assert digests(paint(engine, request(reference=guided), offered)) == with_it


def test_a_stop_while_guided_leaves_nothing(
    engine: Engine, offered: Catalog, guided: Reference
) -> None:
    before = digests(paint(engine, request(), offered))
    seen: list[Progress] = []

    def stop() -> None:
        if any(p.stage is Stage.PAINTING and p.step == 1 for p in seen):
            raise PaintStopped(StopReason.CANCELLED)

    with pytest.raises(PaintStopped):
        paint(engine, request(reference=guided), offered, seen.append, stop)
    assert resident(engine).denoiser.encoder_hid_proj is None
    assert digests(paint(engine, request(), offered)) == before


def references(engine: Engine) -> Any:
    pipeline: Any = engine._pipeline
    return pipeline._references


@pytest.mark.long
def test_a_picture_is_encoded_once(
    fresh: Engine, offered: Catalog, guided: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = paint(fresh, request(reference=guided), offered)
    monkeypatch.setattr(references(fresh), "_encode", lambda *_: pytest.fail("encoded again"))
    weaker = Reference(guided.sha256, 0.2)
    assert digests(paint(fresh, request(reference=weaker), offered)) != digests(first)
    fresh.rest()
    assert digests(paint(fresh, request(reference=guided), offered)) == digests(first)


def test_few_pictures_are_kept(
    fresh: Engine, offered: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.engine import reference

    monkeypatch.setattr(reference, "PICTURES_KEPT", 2)
    painted = set()
    for seed in range(4):
        guided = Reference(picture(seed=seed), 0.5)
        painted |= {*digests(paint(fresh, request(reference=guided), offered))}
    assert len(painted) == 4
    assert len(references(fresh)._embeddings) == 2


def test_another_adapter_at_the_same_place_is_read_again(
    fresh: Engine, offered: Catalog, guided: Reference, plain: Any, tmp_path: Path
) -> None:
    mine = ip_adapter.build(tmp_path / "mine", plain.unet, seed=5)
    wanted, found = request(reference=guided), catalog(reference=mine)
    first = paint(fresh, wanted, found)
    assert digests(first) == digests(paint(fresh, wanted, offered))
    (tmp_path / "mine" / ip_adapter.WEIGHTS).unlink()
    ip_adapter.build(tmp_path / "mine", plain.unet, seed=6)
    second = paint(fresh, wanted, found)
    assert digests(second) != digests(first)
    assert second.recipe.changed_since(first.recipe) == ("ip-adapter.safetensors", "image_encoder")


def test_the_recipe_names_adapter_and_encoder(
    engine: Engine, offered: Catalog, guided: Reference
) -> None:
    recipe = paint(engine, request(reference=guided), offered).recipe
    assert [weights.name for weights in recipe.reference] == [
        "ip-adapter.safetensors",
        "image_encoder",
    ]
    assert all(len(weights.sha256) == 64 for weights in recipe.reference)
    data = json.loads(json.dumps(recipe.to_dict()))
    assert Recipe.from_dict(data) == recipe
    del data["reference"]
    assert Recipe.from_dict(data).reference == ()


def test_letting_go_frees_the_layers(engine: Engine, offered: Catalog, guided: Reference) -> None:
    paint(engine, request(reference=guided), offered)
    _, part = references(engine)._layers
    gone = [weakref.ref(part), *(weakref.ref(module) for module in part.module.modules())]
    assert part.present
    del part
    engine.rest()
    gc.collect()
    assert [reference() for reference in gone if reference()] == []


@pytest.mark.long
@pytest.mark.parametrize("profile", ["11gb", "8gb"])
def test_a_small_card_holds_the_layers_while_denoising_only(
    engine: Engine,
    models_dir: Path,
    tmp_path: Path,
    offered: Catalog,
    guided: Reference,
    profile: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from bot.engine import passes, pixels, reference

    small = Engine(
        models_dir=models_dir,
        hashes_file=tmp_path / "h.json",
        memory=profile,
    )
    over = InitImage(picture(), 0.5)
    wanted = request(
        ("a", 0.7), reference=guided, init_image=over, hires=Hires(1.5, 0.5, 2), count=2
    )
    expected = digests(paint(engine, wanted, offered))
    seen: dict[str, set[tuple[str, ...]]] = {}

    def watch(module: Any, name: str, key: str) -> None:
        real = getattr(module, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            pipeline: Any = small._pipeline
            held: Any = pipeline._residency.resident
            parts = dict(held.parts)
            if pipeline._references._layers:
                parts["layers"] = pipeline._references._layers[1]
            here = tuple(name for name, part in parts.items() if part.present)
            seen.setdefault(key, set()).add(here)
            return real(*args, **kwargs)

        monkeypatch.setattr(module, name, watched)

    watch(pixels, "distribution", "encoding")
    watch(pixels, "decode", "decoding")
    watch(passes, "denoise", "denoising")
    encoder: Any = reference.__dict__["CLIPVisionModelWithProjection"]
    watch(encoder, "forward", "looking")
    assert digests(paint(small, wanted, offered)) == expected
    still = () if profile == "8gb" else ("unet",)
    vae = ("vae",) if profile == "11gb" else ()
    assert seen == {
        "looking": {(*still, *vae)},
        "encoding": {(*still, "vae")},
        "denoising": {("unet", "vae", "layers")},
        "decoding": {(*still, "vae")},
    }
    seen.clear()
    assert digests(paint(small, wanted, offered)) == expected
    small.close()


def broken(entry: Any, plain: Any, fault: str) -> Catalog:
    """`entry` with its files damaged."""
    folder = Path(entry.path)
    weights, encoder = folder / ip_adapter.WEIGHTS, folder / ip_adapter.ENCODER
    sound = ip_adapter.tensors(plain.unet, "plain", 5)
    match fault:
        case "gone":
            weights.unlink()
        case "no encoder":
            (encoder / "model.safetensors").unlink()
        case "no config":
            (encoder / "config.json").unlink()
        case "not safetensors":
            weights.write_bytes(b"pickle")
        case "half an encoder":
            save(encoder / "model.safetensors", {"a": sound["image_proj.norm.bias"]})
        case "other encoder":
            ip_adapter.write_encoder(encoder, projected=48)
        case "sd15":
            save(weights, {name: tensor[..., :60] for name, tensor in sound.items()})
        case "face id":
            face = {"image_proj.perceiver_resampler.x": sound["image_proj.norm.bias"].clone()}
            save(weights, {**sound, **face})
        case "lora":
            save(weights, {"lora_unet_x.alpha": sound["image_proj.norm.bias"]})
        case "half a projection":
            save(weights, {k: v for k, v in sound.items() if k != "image_proj.norm.bias"})
        case "quantised":
            absmax = {"image_proj.proj.weight.absmax": sound["image_proj.norm.bias"].clone()}
            save(weights, {**sound, **absmax})
        case "scaled":
            scale = {"image_proj.scaled_fp8": sound["image_proj.norm.bias"].clone()}
            save(weights, {**sound, **scale})
        case "odd projection":
            save(weights, {**sound, "image_proj.norm.bias": sound["image_proj.proj.bias"].clone()})
    return catalog(reference=entry)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("gone", "reference.missing"),
        ("no encoder", "reference.incomplete"),
        ("no config", "reference.incomplete"),
        ("not safetensors", "reference.not_safetensors"),
        ("half an encoder", "reference.incomplete"),
        ("other encoder", "reference.encoder"),
        ("sd15", "reference.foreign"),
        ("face id", "reference.foreign"),
        ("lora", "reference.foreign"),
        ("half a projection", "reference.unreadable"),
        ("odd projection", "reference.unreadable"),
    ],
)
def test_what_cannot_guide_is_said(
    engine: Engine, guided: Reference, plain: Any, tmp_path: Path, fault: str, code: str
) -> None:
    entry = ip_adapter.build(tmp_path / "ip", plain.unet)
    before = digests(paint(engine, request()))
    with pytest.raises(JobFailed) as failure:
        paint(engine, request(reference=guided), broken(entry, plain, fault))
    assert failure.value.code == code
    assert str(tmp_path) not in str(failure.value)
    assert digests(paint(engine, request())) == before


def test_a_quantised_adapter_is_refused_by_name(
    engine: Engine, guided: Reference, plain: Any, tmp_path: Path
) -> None:
    for fault, said in (("quantised", "bitsandbytes"), ("scaled", "scaled 8-bit floats")):
        entry = ip_adapter.build(tmp_path / fault, plain.unet)
        with pytest.raises(JobFailed) as failure:
            paint(engine, request(reference=guided), broken(entry, plain, fault))
        assert failure.value.code == "reference.unreadable"
        assert said in str(failure.value.params["reason"])


def test_a_reference_without_an_adapter_or_a_picture_is_said(
    engine: Engine, offered: Catalog, guided: Reference
) -> None:
    for wanted, found, code in (
        (guided, catalog(), "reference.none"),
        (Reference("0" * 64, 0.5), offered, "picture.gone"),
    ):
        with pytest.raises(JobFailed) as failure:
            paint(engine, request(reference=wanted), found)
        assert failure.value.code == code


@pytest.mark.long
def test_it_comes_from_the_hub_and_nothing_else_does(
    engine: Engine,
    models_dir: Path,
    folders: dict[str, Path],
    offered: Catalog,
    guided: Reference,
    tmp_path: Path,
) -> None:
    expected = digests(paint(engine, request(reference=guided), offered))
    local = Path(shutil.copytree(models_dir / TINY, tmp_path / "models" / TINY)).parent
    found = catalog(reference=ip_adapter.entry(folders["plain"], path="org/ip"))
    chosen = [
        ip_adapter.WEIGHTS,
        f"{ip_adapter.ENCODER}/config.json",
        f"{ip_adapter.ENCODER}/model.safetensors",
    ]
    with hub_server() as hub:
        files = {name: (folders["plain"] / name).read_bytes() for name in chosen}
        others = ("sdxl_models/other.safetensors", f"{ip_adapter.ENCODER}/pytorch_model.bin")
        hub.repositories["org/ip"] = files | dict.fromkeys(others, b"never downloaded")
        for url in (hub.url, "http://127.0.0.1:9"):
            own = Engine(
                models_dir=local,
                hashes_file=tmp_path / "h.json",
                hub_endpoint=url,
            )
            assert digests(paint(own, request(reference=guided), found)) == expected
            own.close()
        assert hub.fetched() == chosen


def test_without_a_network_it_is_said(
    engine: Engine, models_dir: Path, guided: Reference, tmp_path: Path
) -> None:
    cut_off = Engine(
        models_dir=models_dir,
        hashes_file=tmp_path / "h.json",
        hub_endpoint="http://127.0.0.1:9",
    )
    found = catalog(reference=ip_adapter.entry(Path("org/nowhere"), path="org/nowhere"))
    with pytest.raises(JobFailed) as failure:
        paint(cut_off, request(reference=guided), found)
    assert failure.value.code == "reference.unreachable"
    assert failure.value.params == {"reference": "org/nowhere", "path": "org/nowhere"}
