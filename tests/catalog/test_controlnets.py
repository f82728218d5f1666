"""ControlNets of the catalog: dropped in, written down, recognised, refused."""

from pathlib import Path
from typing import Any

import pytest

from catalog import Catalog, ControlNetFacts, LiveCatalog, ModelEntry, problems_of, read_catalog
from catalog.control_types import OF_UNIONS
from catalog.families import FAMILIES
from catalog.kept import KeptFacts
from catalog.switching import without
from tests.catalog.home import SDXL, Home, checkpoint_bytes

WHOLE = "diffusion_pytorch_model"
OF_SDXL = {
    "controlnet_cond_embedding.conv_in.weight": [4, 3, 3, 3],
    "conv_in.weight": [4, 4, 3, 3],
    "add_embedding.linear_1.weight": [1, 2816],
    "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight": [1, 2048],
}
CONTROL = checkpoint_bytes(OF_SDXL)
UNION = checkpoint_bytes(
    {**OF_SDXL, "task_embedding": [8, 4], "control_add_embedding.linear_1.weight": [1, 8]}
)
OF_SD15 = checkpoint_bytes(
    {
        "control_model.input_hint_block.0.weight": [4, 3, 3, 3],
        "control_model.input_blocks.0.0.weight": [4, 4, 3, 3],
        "control_model.middle_block.1.transformer_blocks.0.attn2.to_k.weight": [1, 768],
    }
)
T2I = checkpoint_bytes({"conv_in.weight": [1, 768, 3, 3], "body.0.block1.weight": [1, 1, 3, 3]})
LORA = checkpoint_bytes({"lora_unet_down.lora_down.weight": [4, 4]})
DEPTH = '[depth]\npath = "depth-anything/Depth-Anything-V2-Small-hf"\n'


def put(home: Home, path: str, raw: bytes = CONTROL) -> Path:
    return home.put(home.models_dir / path, raw)


def table(home: Home, text: str) -> None:
    home.put(home.catalog_dir / "controlnets.toml", text.encode())


def model(family: str = "sdxl", **fields: Any) -> ModelEntry:
    key = "demo" if fields.get("demo") else "m"
    return ModelEntry(key=key, name="M", path="org/m", family=FAMILIES[family], **fields)


def offered(
    catalog: Catalog, *, nsfw: bool = False, family: str = "sdxl", demo: bool = False
) -> list[str]:
    found = catalog.controlnets.offered(nsfw=nsfw, model=model(family, demo=demo))
    return [entry.key for entry in found]


def reasons(catalog: Catalog) -> list[str]:
    return [problem.reason for problem in catalog.problems]


def test_a_file_dropped_in_is_offered_for_its_family(home: Home) -> None:
    put(home, "controlnets/Canny_XL.safetensors")
    put(home, "controlnets/control_v11p_sd15_openpose.safetensors", OF_SD15)
    put(home, "controlnets/t2i.sketch.safetensors", T2I)
    catalog = home.read()
    assert offered(catalog) == ["canny_xl", "t2i.sketch"]
    assert offered(catalog, family="sd15") == ["control_v11p_sd15_openpose"]
    entry = catalog.controlnets.entries["canny_xl"]
    assert (entry.name, entry.path) == ("Canny_XL", "controlnets/Canny_XL.safetensors")
    assert {key: catalog.controlnets.type_of(key) for key in catalog.controlnets.entries} == {
        "canny_xl": "canny",
        "control_v11p_sd15_openpose": "openpose",
        "t2i.sketch": "scribble",
    }
    assert (catalog.problems, catalog.files) == ((), 3)
    assert catalog.controlnets.depth is None


def test_a_folder_in_the_layout_of_diffusers_is_offered_by_its_name(home: Home) -> None:
    put(home, "controlnets/depth-xl/config.json", b"{}")
    put(home, f"controlnets/depth-xl/{WHOLE}.safetensors")
    put(home, f"controlnets/depth-xl/{WHOLE}.fp16.safetensors")
    put(home, f"controlnets/no-layout/{WHOLE}.safetensors")
    catalog = home.read()
    assert offered(catalog) == ["depth-xl"]
    entry = catalog.controlnets.entries["depth-xl"]
    assert (entry.name, entry.path) == ("depth-xl", "controlnets/depth-xl")
    assert catalog.controlnets.type_of("depth-xl") == "depth"
    table(home, '[controlnets.mine]\nname = "Mine"\npath = "controlnets/depth-xl"\n')
    assert offered(home.read()) == ["mine"]


def test_a_union_says_what_it_follows(home: Home) -> None:
    put(home, "controlnets/all_in_one.safetensors", UNION)
    table(
        home,
        '[controlnets.union]\nname = "Union"\npath = "org/controlnet-union"\n'
        '[controlnets.promax]\nname = "P"\npath = "org/union"\nweight_name = "promax.safetensors"\n'
        '[controlnets.plain]\nname = "Plain"\npath = "org/x"\ntype = "mlsd"\n',
    )
    controlnets = home.read().controlnets
    assert controlnets.facts["all_in_one"] == ControlNetFacts("union", "sdxl", OF_UNIONS[8])
    assert controlnets.type_of("all_in_one") == "canny"
    told = {key: controlnets.types_of(key) for key in controlnets.entries}
    assert told == {
        "union": OF_UNIONS[6],
        "promax": OF_UNIONS[8],
        "plain": ("mlsd",),
        "all_in_one": OF_UNIONS[8],
    }


@pytest.mark.parametrize(
    ("raw", "reason", "mend"),
    [
        (checkpoint_bytes(SDXL), "it is an SDXL checkpoint, not a ControlNet", "move it"),
        (LORA, "it is a LoRA, not a ControlNet", "move it"),
        (checkpoint_bytes({"lora_controlnet": [0]}), "it is a ControlLoRA, which cannot", ""),
        (b"PK\x03\x04" + bytes(60), "it is a PyTorch file or a ZIP archive", ""),
    ],
)
def test_what_is_no_controlnet_is_refused_by_name(
    home: Home, raw: bytes, reason: str, mend: str
) -> None:
    put(home, "controlnets/other.safetensors", raw)
    table(home, '[controlnets.mine]\nname = "Mine"\npath = "mine.safetensors"\n')
    put(home, "mine.safetensors", raw)
    catalog = home.read()
    assert offered(catalog) == []
    assert reason in catalog.controlnets.unfit["mine"]
    written, dropped = sorted(catalog.problems, key=lambda p: "mine.safetensors" not in p.reason)
    assert written.reason.startswith("not offered: mine.safetensors: ")
    assert dropped.reason.startswith("not offered: ")
    assert all(reason in said.reason for said in (written, dropped))
    assert bool(dropped.mend) == bool(mend)


def test_what_lies_among_the_checkpoints_is_told_where_it_belongs(home: Home) -> None:
    put(home, "checkpoints/canny.safetensors")
    [unfit] = home.read().unfit_models.values()
    assert unfit.refusal.what == "ControlNet"
    assert unfit.refusal.advice.startswith("move it to the folder controlnets")


def test_pickles_are_named_unless_they_were_converted(home: Home) -> None:
    put(home, "controlnets/control_sd15_canny.pth", b"\x80\x02")
    put(home, "controlnets/converted.pth", b"\x80\x02")
    put(home, "controlnets/converted.safetensors")
    catalog = home.read()
    assert offered(catalog) == ["converted"]
    [said] = reasons(catalog)
    assert "pickle" in said


def test_an_entry_names_its_file_and_outweighs_the_drop_in(home: Home) -> None:
    put(home, "controlnets/a.safetensors")
    table(
        home,
        '[controlnets.sharp]\nname = "Sharp"\npath = "controlnets/a.safetensors"\n'
        '[controlnets.later]\nname = "Later"\npath = "org/repo"\n'
        '[controlnets.other]\nname = "Other"\npath = "org/sd15"\nfamily = "sd15"\n'
        '[controlnets.off]\nname = "Off"\npath = "org/off"\nenabled = false\n'
        '[controlnets.adult]\nname = "Adult"\npath = "org/adult"\nnsfw = true\n',
    )
    catalog = home.read()
    assert offered(catalog) == ["sharp", "later"]
    assert offered(catalog, nsfw=True) == ["sharp", "later", "adult"]
    assert offered(catalog, family="sd15") == ["other"]
    controlnets = catalog.controlnets
    assert [e.key for e in controlnets.search("lat", nsfw=False, model=model())] == ["later"]
    assert controlnets.search("lat", nsfw=False, model=model("sd15")) == ()
    assert controlnets.search("adult", nsfw=False, model=model()) == ()
    assert controlnets.nearest("latr", nsfw=False, model=model()) == ("later",)
    assert catalog.problems == ()


def test_the_file_counts_for_more_than_the_entry(home: Home) -> None:
    put(home, "a.safetensors", OF_SD15)
    table(home, '[controlnets.a]\nname = "A"\npath = "a.safetensors"\nfamily = "sdxl"\n')
    catalog = home.read()
    assert (offered(catalog), offered(catalog, family="sd15")) == ([], ["a"])


def test_those_of_the_demo_are_for_demo_models_alone(home: Home) -> None:
    put(home, "real.safetensors")
    table(
        home,
        '[controlnets.real]\nname = "Real"\npath = "real.safetensors"\n'
        '[controlnets.demo]\nname = "Demo"\npath = "org/demo"\nenabled = false\ndemo = true\n'
        'models = ["demo"]\n',
    )
    assert offered(home.read(), demo=True) == []
    shown = read_catalog(home.catalog_dir, home.models_dir, demos="offered")
    assert (offered(shown), offered(shown, demo=True)) == (["real"], ["demo"])
    first = read_catalog(home.catalog_dir, home.models_dir, demos="default")
    assert [*first.controlnets.entries] == ["demo", "real"]
    [said] = reasons(first)
    assert said == "models names 'demo', which is not in models.toml"


def test_a_wrong_entry_is_left_out_and_said(home: Home) -> None:
    table(
        home,
        '[controlnets.a]\nname = "A"\npath = "a.pth"\n'
        '[controlnets.b]\nname = "B"\npath = "org/b"\nweight = 1\n'
        '[controlnets.c]\nname = "C"\npath = "org/c"\n'
        '[controlnets.d]\nname = "D"\npath = "org/d"\ntype = "cany"\n'
        '[controlnets.e]\nname = "E"\npath = "org/e"\nfamily = "anima"\n'
        "[dept]\nx = 1\n",
    )
    catalog = home.read()
    assert offered(catalog) == ["c"]
    top, pickle, unknown, kind, family = reasons(catalog)
    assert (
        "only controlnets and depth and pose may be at the top level (did you mean depth?)" in top
    )
    assert "only .safetensors is ever loaded" in pickle
    assert unknown.startswith("weight is not a known field")
    assert "must be one of canny, depth, openpose" in kind
    assert "must be one of" in family
    assert "sdxl" in family
    assert "anima" not in family.partition("got")[0]


def test_what_tells_depth_is_named_beside_them(home: Home) -> None:
    table(home, DEPTH)
    depth = home.read().controlnets.depth
    assert depth
    assert depth.path == "depth-anything/Depth-Anything-V2-Small-hf"
    table(home, "[depth]\nfolder = 1\n")
    catalog = home.read()
    assert catalog.controlnets.depth is None
    assert [problem.key for problem in catalog.problems] == ["depth"]


def test_what_tells_poses_is_named_beside_them(home: Home) -> None:
    table(home, '[pose]\npath = "usyd-community/vitpose-base-simple"\n')
    pose = home.read().controlnets.pose
    assert pose
    assert pose.path == "usyd-community/vitpose-base-simple"
    table(home, "[pose]\nfolder = 1\n")
    catalog = home.read()
    assert catalog.controlnets.pose is None
    assert [problem.key for problem in catalog.problems] == ["pose"]


def test_it_is_read_again_when_a_file_comes_or_changes(home: Home) -> None:
    live = LiveCatalog(home.catalog_dir, home.models_dir)
    assert offered(live.current) == []
    put(home, "controlnets/a.safetensors")
    assert live.refresh()
    assert offered(live.current) == ["a"]
    put(home, "controlnets/b/config.json", b"{}")
    put(home, f"controlnets/b/{WHOLE}.safetensors")
    assert live.refresh()
    assert offered(live.current) == ["a", "b"]
    put(home, f"controlnets/b/{WHOLE}.safetensors", OF_SD15)
    assert live.refresh()
    assert offered(live.current) == ["a"]
    table(home, '[controlnets.c]\nname = "C"\npath = "org/c"\n')
    assert live.refresh()
    assert offered(live.current) == ["c", "a"]
    assert not live.refresh()


def test_one_is_switched_off_like_any_entry(home: Home) -> None:
    put(home, "controlnets/a.safetensors")
    catalog = home.read()
    assert offered(without(catalog, {("controlnet", "a")})) == []
    assert offered(without(catalog, {("upscaler", "a")})) == ["a"]


def test_what_files_said_is_kept_for_the_next_start(home: Home, tmp_path: Path) -> None:
    put(home, "controlnets/a.safetensors", UNION)
    LiveCatalog(home.catalog_dir, home.models_dir, kept=KeptFacts.within(tmp_path / "kept"))
    kept = KeptFacts.within(tmp_path / "kept").load()
    path = str(home.models_dir / "controlnets" / "a.safetensors")
    assert [*kept.controlnets] == [path]
    again = LiveCatalog(home.catalog_dir, home.models_dir, kept=KeptFacts.within(tmp_path / "kept"))
    assert again.current.controlnets.facts["a"].types == OF_UNIONS[8]


def test_an_entry_that_cannot_be_used_says_why(home: Home) -> None:
    put(home, "layout/config.json", b"{}")
    put(home, f"layout/{WHOLE}-00001-of-00002.safetensors")
    put(home, "two/a.safetensors")
    put(home, "two/b.safetensors")
    put(home, "fine/config.json", b"{}")
    put(home, f"fine/{WHOLE}.safetensors")
    put(home, f"fine/{WHOLE}.fp16.safetensors")
    table(
        home,
        "".join(
            f'[controlnets.{key}]\nname = "X"\npath = "{key}"\n'
            for key in ("layout", "two", "fine", "gone")
        ),
    )
    catalog = home.read()
    said = {
        key: problems_of(entry, home.models_dir, {})
        for key, entry in catalog.controlnets.entries.items()
    }
    assert "it lacks diffusion_pytorch_model-00002-of-00002" in said["layout"][0]
    assert "weight_name must name a file" in said["two"][0]
    assert said["fine"] == ()
    assert "does not exist" in said["gone"][0]


def test_a_model_takes_it_where_one_is_here(home: Home) -> None:
    from catalog import abilities

    bare = home.read()
    put(home, "controlnets/a.safetensors")
    both = [abilities(model(), catalog, nsfw=False) for catalog in (bare, home.read())]
    assert [known and known.control for known in both] == [False, True]


def test_what_finds_things_is_named_beside_the_models(home: Home) -> None:
    """It is of no family, as what tells depth."""
    models = home.catalog_dir / "models.toml"
    before = models.read_text(encoding="utf-8") if models.exists() else ""
    assert home.read().detector is None
    home.put(models, f'{before}\n[detector]\npath = "org/finds"\nrevision = "main"\n'.encode())
    detector = home.read().detector
    assert detector is not None
    assert (detector.path, detector.revision) == ("org/finds", "main")
    home.put(models, f"{before}\n[detector]\nfolder = 1\n".encode())
    catalog = home.read()
    assert catalog.detector is None
    assert "detector" in [problem.key for problem in catalog.problems]
