"""Upscalers of the catalog: dropped in, written down, recognised, refused."""

from pathlib import Path

import pytest

from catalog import Catalog, LiveCatalog, UpscalerFacts
from catalog.kept import KeptFacts
from tests.catalog.home import SDXL, Home, checkpoint_bytes

COMPACT = checkpoint_bytes(
    {
        "body.0.weight": [4, 3, 3, 3],
        "body.0.bias": [4],
        "body.1.weight": [4],
        "body.2.weight": [12, 4, 3, 3],
        "body.2.bias": [12],
    }
)
ESRGAN = {
    "conv_first.weight": [8, 3, 3, 3],
    "body.0.rdb1.conv1.weight": [4, 8, 3, 3],
    "conv_body.weight": [8, 8, 3, 3],
    "conv_up1.weight": [8, 8, 3, 3],
    "conv_up2.weight": [8, 8, 3, 3],
    "conv_last.weight": [3, 8, 3, 3],
}
FOUR = checkpoint_bytes(ESRGAN)
TWO = checkpoint_bytes({**ESRGAN, "conv_first.weight": [8, 12, 3, 3]})
ONE = checkpoint_bytes({**ESRGAN, "conv_first.weight": [8, 48, 3, 3]})
LORA = checkpoint_bytes({"lora_unet_down.lora_down.weight": [4, 4]})


def put(home: Home, path: str, raw: bytes = COMPACT) -> Path:
    return home.put(home.models_dir / path, raw)


def table(home: Home, text: str) -> None:
    home.put(home.catalog_dir / "upscalers.toml", text.encode())


def offered(catalog: Catalog, *, nsfw: bool = False) -> list[str]:
    return [entry.key for entry in catalog.upscalers.offered(nsfw=nsfw)]


def reasons(catalog: Catalog) -> list[str]:
    return [problem.reason for problem in catalog.problems]


def test_a_file_dropped_in_is_offered(home: Home) -> None:
    put(home, "upscalers/Sharp_x2.safetensors")
    catalog = home.read()
    [entry] = catalog.upscalers.entries.values()
    assert (entry.key, entry.name) == ("sharp_x2", "Sharp_x2")
    assert entry.path == "upscalers/Sharp_x2.safetensors"
    assert offered(catalog) == ["sharp_x2"]
    assert catalog.upscalers.facts == {"sharp_x2": UpscalerFacts("Compact", 2)}
    assert (catalog.problems, catalog.files) == ((), 1)


@pytest.mark.parametrize(("raw", "factor"), [(COMPACT, 2), (TWO, 2), (FOUR, 4)])
def test_the_file_says_how_many_times_it_enlarges(home: Home, raw: bytes, factor: int) -> None:
    put(home, "upscalers/a.safetensors", raw)
    assert home.read().upscalers.facts["a"].factor == factor


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (checkpoint_bytes(SDXL), "it is a checkpoint, not an upscaler"),
        (LORA, "it is a LoRA, not an upscaler"),
        (checkpoint_bytes({"clip_l": [2, 768], "clip_g": [2, 1280]}), "it is an embedding"),
        (checkpoint_bytes({"decoder.up.0.block.0.conv1.weight": [1]}), "it is a VAE"),
        (checkpoint_bytes({"unet1.conv1.conv.0.weight": [1]}), "must be one of Compact, HAT, Swin"),
        (ONE, "it restores images without enlarging them"),
        (b"PK\x03\x04" + bytes(60), "it is a PyTorch file or a ZIP archive"),
    ],
)
def test_what_is_no_upscaler_is_refused_by_name(home: Home, raw: bytes, reason: str) -> None:
    put(home, "upscalers/other.safetensors", raw)
    table(home, '[upscalers.mine]\nname = "Mine"\npath = "mine.safetensors"\n')
    put(home, "mine.safetensors", raw)
    catalog = home.read()
    assert offered(catalog) == []
    assert reason in catalog.upscalers.unfit["mine"]
    written, dropped = sorted(reasons(catalog), key=lambda said: "mine.safetensors" not in said)
    assert written.startswith("not offered: mine.safetensors: ")
    assert dropped.startswith("not offered: ")
    assert all(reason in said for said in (written, dropped))


def test_pickles_are_named_unless_they_were_converted(home: Home) -> None:
    put(home, "upscalers/RealESRGAN_x4plus.pth", b"\x80\x02")
    put(home, "upscalers/converted.pth", b"\x80\x02")
    put(home, "upscalers/converted.safetensors")
    catalog = home.read()
    assert offered(catalog) == ["converted"]
    [said] = reasons(catalog)
    assert "pickle" in said


def test_an_entry_names_its_file_and_outweighs_the_drop_in(home: Home) -> None:
    put(home, "upscalers/a.safetensors")
    table(
        home,
        '[upscalers.sharp]\nname = "Sharp"\npath = "upscalers/a.safetensors"\n'
        '[upscalers.later]\nname = "Later"\npath = "org/repo"\nweight_name = "x.safetensors"\n'
        '[upscalers.off]\nname = "Off"\npath = "org/off"\nenabled = false\n'
        '[upscalers.adult]\nname = "Adult"\npath = "org/adult"\nnsfw = true\n',
    )
    catalog = home.read()
    assert offered(catalog) == ["sharp", "later"]
    assert offered(catalog, nsfw=True) == ["sharp", "later", "adult"]
    assert [e.key for e in catalog.upscalers.search("lat", nsfw=False)] == ["later"]
    assert catalog.upscalers.search("adult", nsfw=False) == ()
    assert catalog.problems == ()


def test_a_file_whose_key_an_entry_has_gets_another_and_both_are_read(home: Home) -> None:
    put(home, "upscalers/sharp.safetensors")
    put(home, "else/where.safetensors", FOUR)
    table(home, '[upscalers.sharp]\nname = "Sharp"\npath = "else/where.safetensors"\n')
    catalog = home.read()
    assert offered(catalog) == ["sharp", "sharp-2"]
    assert reasons(catalog) == ["offered as 'sharp-2': 'sharp' is taken"]
    assert {key: said.factor for key, said in catalog.upscalers.facts.items()} == {
        "sharp": 4,
        "sharp-2": 2,
    }
    assert catalog.files == 2


def test_a_wrong_entry_is_left_out_and_said(home: Home) -> None:
    table(
        home,
        '[upscalers.a]\nname = "A"\npath = "a.pth"\n'
        '[upscalers.b]\nname = "B"\npath = "org/b"\nscale = 4\n'
        '[upscalers.c]\nname = "C"\npath = "org/c"\n',
    )
    catalog = home.read()
    assert offered(catalog) == ["c"]
    pickle, unknown = reasons(catalog)
    assert "only .safetensors is ever loaded" in pickle
    assert unknown.startswith("scale is not a known field")


def test_it_is_read_again_when_a_file_comes_or_changes(home: Home) -> None:
    live = LiveCatalog(home.catalog_dir, home.models_dir)
    assert offered(live.current) == []
    put(home, "upscalers/a.safetensors")
    assert live.refresh()
    assert offered(live.current) == ["a"]
    table(home, '[upscalers.c]\nname = "C"\npath = "org/c"\n')
    assert live.refresh()
    assert offered(live.current) == ["c", "a"]
    assert not live.refresh()


def test_what_files_said_is_kept_for_the_next_start(home: Home, tmp_path: Path) -> None:
    put(home, "upscalers/a.safetensors")
    LiveCatalog(home.catalog_dir, home.models_dir, kept=KeptFacts.within(tmp_path / "kept"))
    kept = KeptFacts.within(tmp_path / "kept").load()
    assert [*kept.upscalers] == [str(home.models_dir / "upscalers" / "a.safetensors")]
