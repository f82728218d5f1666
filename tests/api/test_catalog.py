"""`GET /models`, `GET /upscalers` and `GET /controlnets`, without HTTP."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from bot.api.original.catalog import controlnets, models, upscalers
from bot.api.original.examples import CONTROLNET
from bot.backend import Backend
from bot.store import ApiKey
from catalog import (
    Catalog,
    ControlNetEntry,
    ControlNetFacts,
    ControlNets,
    ModelEntry,
    Unfit,
    UpscalerEntry,
)
from catalog.families.sd15 import SD15
from catalog.families.zimage import ZIMAGE
from catalog.listing import rows
from catalog.unfit import undecided
from catalog.upscalers import Upscalers
from catalog.weight_files import Refusal, UpscalerFacts
from catalog.weight_files.refusal import unreadable_weights
from tests.catalog.home import checkpoint_bytes

ENTRIES = (
    ModelEntry(key="sound", name="Sound", path="a/b", family=SD15),
    ModelEntry(key="vae-alone", name="A VAE", path="a/b"),
    ModelEntry(key="unclear", name="Unclear", path="a/b", family=ZIMAGE),
    ModelEntry(key="other-vae", name="Other VAE", path="a/b", family=ZIMAGE, variant="base"),
    ModelEntry(key="other-encoder", name="Other", path="a/b", family=ZIMAGE, variant="base"),
    ModelEntry(key="quantised", name="Packed", path="a/b", family=ZIMAGE, variant="base"),
    ModelEntry(key="lost", name="Lost", path="lost.safetensors"),
    ModelEntry(key="lost-sd15", name="Lost", path="lost.safetensors", family=SD15),
    ModelEntry(key="later", name="Later", path="a/b"),
)
UNFIT = {
    "vae-alone": Unfit("v.safetensors", Refusal("VAE of FLUX.2")),
    "unclear": undecided("z.safetensors", ZIMAGE, ZIMAGE.variants, "[models.unclear]"),
    "other-vae": Unfit("v.safetensors", Refusal("VAE of FLUX.2"), vae_for=ZIMAGE),
    "other-encoder": Unfit("e.gguf", Refusal("text encoder (T5)"), encoder_for=ZIMAGE),
    "quantised": Unfit(
        "z.safetensors", unreadable_weights("Z-Image model", "of type I8"), quantised=ZIMAGE
    ),
}


async def listed(tmp_path: Path) -> dict[str, dict[str, Any]]:
    """The models of the catalog above by key."""
    catalog = Catalog({each.key: each for each in ENTRIES}, {}, "sound", unfit_models=UNFIT)
    backend = SimpleNamespace(
        catalog=SimpleNamespace(current=catalog),
        settings=SimpleNamespace(models_dir=tmp_path),
        loaded=frozenset,
    )
    caller = cast("ApiKey", SimpleNamespace(nsfw=False))
    return {each["key"]: each for each in await models(cast("Backend", backend), caller)}


async def test_upscalers_are_told_with_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"")
    named = {"sharp": "a/b", "lost": "lost.safetensors", "adult": "c/d", "other": "e/f"}
    entries = {
        key: UpscalerEntry(key=key, name=key.title(), path=path, nsfw=key == "adult")
        for key, path in named.items()
    }
    found = Upscalers(entries, {"sharp": UpscalerFacts("ESRGAN", 4)}, {"other": "no upscaler"})
    catalog = Catalog({}, {}, "", upscalers=found)
    backend = SimpleNamespace(
        catalog=SimpleNamespace(current=catalog), settings=SimpleNamespace(models_dir=tmp_path)
    )
    caller = cast("ApiKey", SimpleNamespace(nsfw=False))
    told = {each["key"]: each for each in await upscalers(cast("Backend", backend), caller)}
    assert [*told] == ["sharp", "lost", "other"]
    assert [each["default"] for each in told.values()] == [True, False, False]
    assert [each["factor"] for each in told.values()] == [4, None, None]
    assert not told["sharp"]["problems"]
    assert "lost.safetensors" in told["lost"]["problems"][0]
    assert told["other"]["problems"] == ["no upscaler"]


async def test_a_model_that_cannot_be_used_is_of_no_family_unless_that_is_certain(
    tmp_path: Path,
) -> None:
    found = await listed(tmp_path)
    assert {key: (each["family"], each["base"]) for key, each in found.items()} == {
        "sound": ("sd15", "SD 1.5"),
        "vae-alone": (None, None),
        "unclear": ("zimage", "Z-Image"),
        "other-vae": ("zimage", "Z-Image"),
        "other-encoder": ("zimage", "Z-Image"),
        "quantised": ("zimage", "Z-Image"),
        "lost": (None, None),
        "lost-sd15": ("sd15", "SD 1.5"),
        "later": ("sdxl", "SDXL"),
    }


OF_THE_FAMILY = ("width", "height", "scheduler", "schedulers", "side", "max_pixels")
OF_THE_VARIANT = ("steps", "guidance_scale")


async def test_what_may_be_asked_of_a_model_is_null_where_its_family_is_not_known(
    tmp_path: Path,
) -> None:
    found = await listed(tmp_path)
    assert found["sound"].keys() == found["lost"].keys()
    for key, each in found.items():
        known = key not in {"lost", "vae-alone"}
        assert [each[name] is not None for name in OF_THE_FAMILY] == [known] * len(OF_THE_FAMILY)
        told = known and key != "unclear"
        assert [each[name] is not None for name in OF_THE_VARIANT] == [told] * len(OF_THE_VARIANT)
        assert (each["takes"] is not None) == (key in {"sound", "lost-sd15", "later"})
    assert (found["lost-sd15"]["width"], found["later"]["width"]) == (512, 1024)
    assert found["lost"]["negative_prompt"] == ""


CONTROLNETS = ControlNets(
    entries={
        each.key: each
        for each in (
            ControlNetEntry(key="canny", name="Canny", path="a/b"),
            ControlNetEntry(key="union", name="Union", path="union.safetensors", type="canny"),
            ControlNetEntry(key="flux", name="FLUX", path="flux.safetensors"),
            ControlNetEntry(key="lost", name="Lost depth", path="lost.safetensors"),
            ControlNetEntry(key="lewd", name="Lewd", path="a/c", nsfw=True),
            ControlNetEntry(key="off", name="Off", path="a/d", enabled=False),
        )
    },
    facts={"union": ControlNetFacts("union", "sd15")},
    unfit={"flux": "it is a ControlNet of FLUX.1"},
)
CATALOG = Catalog(
    {"demo": ModelEntry(key="demo", name="D", path="a/b"), "sound": ENTRIES[0]},
    {},
    "demo",
    controlnets=CONTROLNETS,
)


async def followed(tmp_path: Path, *, nsfw: bool = False) -> dict[str, dict[str, Any]]:
    (tmp_path / "union.safetensors").write_bytes(checkpoint_bytes({"a": (1,)}))
    (tmp_path / "flux.safetensors").write_bytes(checkpoint_bytes({"a": (1,)}))
    backend = SimpleNamespace(
        catalog=SimpleNamespace(current=CATALOG), settings=SimpleNamespace(models_dir=tmp_path)
    )
    caller = cast("ApiKey", SimpleNamespace(nsfw=nsfw))
    return {each["key"]: each for each in await controlnets(cast("Backend", backend), caller)}


async def test_what_a_controlnet_follows_and_with_which_models(tmp_path: Path) -> None:
    found = await followed(tmp_path)
    told = ("type", "kind", "base", "models")
    assert {key: tuple(each[name] for name in told) for key, each in found.items()} == {
        "canny": ("canny", None, "SDXL", ["demo"]),  # its file, which is not here, may say more
        "union": ("canny", "union", "SD 1.5", ["sound"]),
        "flux": ("other", None, None, []),
        "lost": ("depth", None, None, []),
        "off": ("other", None, "SDXL", ["demo"]),
    }
    assert {key for key, each in found.items() if each["available"]} == {"union"}
    assert found["flux"]["problems"] == ["it is a ControlNet of FLUX.1"]
    assert found["lost"]["problems"]
    assert found["off"]["enabled"] is False
    assert all(each.keys() == CONTROLNET.keys() for each in found.values())


async def test_those_that_are_nsfw_are_for_keys_that_may_know_of_them(tmp_path: Path) -> None:
    assert "lewd" not in await followed(tmp_path)
    assert "lewd" in await followed(tmp_path, nsfw=True)


async def test_the_command_line_lists_the_same(tmp_path: Path) -> None:
    found = await followed(tmp_path, nsfw=True)
    listed = {row["key"]: row for row in rows("controlnets", CATALOG, tmp_path)}
    for name in ("type", "types", "kind", "base", "problems", "enabled"):
        assert {key: row[name] for key, row in listed.items()} == {
            key: each[name] for key, each in found.items()
        }
    assert [listed[key]["family"] for key in ("canny", "union", "flux")] == ["sdxl", "sd15", None]
