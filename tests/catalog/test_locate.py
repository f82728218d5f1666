"""What a path resolves to, and that it never leaves the models folder."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from catalog import AdapterEntry, Location, ModelEntry, locate, problems_of
from catalog.locate import BUILTINS_DIR
from tests.catalog.home import Home, weights_bytes
from tests.catalog.test_judging import SDXL_UNET
from tests.parameters import examples


def snapshot(home: Home, repository: str, commit: str, *files: str, ref: str = "") -> Path:
    folder = home.models_dir / "hub" / f"models--{repository.replace('/', '--')}"
    where = folder / "snapshots" / commit
    where.mkdir(parents=True)
    for name in files:
        home.put(where / name, weights_bytes())
    if ref:
        home.put(folder / "refs" / ref, commit.encode())
    return where


def test_what_comes_with_the_code_is_found_by_its_name_and_nothing_around_it(home: Home) -> None:
    assert locate("builtin:flat", home.models_dir) == Location("folder", BUILTINS_DIR / "flat")
    file = BUILTINS_DIR / "ink.safetensors"
    assert locate("builtin:ink.safetensors", home.models_dir) == Location("file", file)
    for name in ("other", "", ".", "README.md", "flat/unet", "../catalog", "./flat"):
        assert locate(f"builtin:{name}", home.models_dir) == Location("missing"), name


def test_a_file_and_a_folder_seen_from_the_models_folder(home: Home) -> None:
    file = home.weights("checkpoints/a.safetensors")
    assert locate("checkpoints/a.safetensors", home.models_dir) == Location("file", file)
    assert locate("checkpoints", home.models_dir) == Location("folder", file.parent)
    assert locate("checkpoints/b.safetensors", home.models_dir).kind == "missing"


def test_a_file_that_is_not_safetensors_is_missing(home: Home) -> None:
    home.put(home.models_dir / "a.ckpt", b"pickle")
    assert locate("a.ckpt", home.models_dir).kind == "missing"
    assert locate(str(home.models_dir / "a.ckpt"), home.models_dir).kind == "missing"


def test_absolute_and_home_paths_may_point_anywhere(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = home.put(tmp_path / "elsewhere" / "a.safetensors", weights_bytes())
    assert locate(str(file), home.models_dir) == Location("file", file)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert locate("~/elsewhere/a.safetensors", home.models_dir) == Location("file", file)
    assert locate("~no-such-user-here/a", home.models_dir).kind == "missing"


def test_a_folder_has_to_hold_the_named_file(home: Home) -> None:
    home.weights("loras/pack/a.safetensors")
    assert locate("loras/pack", home.models_dir, "a.safetensors").kind == "folder"
    assert locate("loras/pack", home.models_dir, "b.safetensors").kind == "missing"


def test_a_hub_id_is_downloaded_until_it_is_cached(home: Home) -> None:
    assert locate("org/name", home.models_dir) == Location("download")
    where = snapshot(home, "org/name", "abc", "model_index.json", ref="main")
    assert locate("org/name", home.models_dir) == Location("cached", where)


def test_a_cached_snapshot_has_to_hold_the_named_file(home: Home) -> None:
    where = snapshot(home, "org/name", "abc", "a.safetensors")
    assert locate("org/name", home.models_dir, "a.safetensors") == Location("cached", where)
    assert locate("org/name", home.models_dir, "b.safetensors") == Location("download")
    snapshot(home, "org/empty", "abc")
    assert locate("org/empty", home.models_dir) == Location("download")


def test_of_several_snapshots_main_is_used_unless_another_revision_is_named(home: Home) -> None:
    first = snapshot(home, "org/name", "aaa", "a.safetensors")
    second = snapshot(home, "org/name", "bbb", "a.safetensors", ref="main")
    assert locate("org/name", home.models_dir).path == second
    assert locate("org/name", home.models_dir, revision="aaa").path == first
    assert locate("org/name", home.models_dir, revision="main").path == second
    assert locate("org/name", home.models_dir, revision="ccc") == Location("download")


def test_a_revision_does_not_lead_to_another_repository(home: Home) -> None:
    snapshot(home, "org/name", "aaa", "a.safetensors")
    snapshot(home, "org/other", "bbb", "a.safetensors")
    there = "../../models--org--other/snapshots/bbb"
    assert locate("org/name", home.models_dir, revision=there) == Location("download")


def test_the_download_cache_may_be_a_link_to_another_disk(home: Home, tmp_path: Path) -> None:
    (tmp_path / "disk" / "models--org--name" / "snapshots" / "abc").mkdir(parents=True)
    home.put(tmp_path / "disk/models--org--name/snapshots/abc/model_index.json", b"{}")
    (home.models_dir / "hub").symlink_to(tmp_path / "disk")
    assert locate("org/name", home.models_dir).kind == "cached"


@pytest.mark.parametrize(
    "path",
    ["loras/gone", "checkpoints/gone.safetensors", "name", "a/b/c", "a--b/c", "a/..", "a b/c", ""],
)
def test_what_is_neither_there_nor_a_hub_id_is_missing(home: Home, path: str) -> None:
    assert locate(path, home.models_dir).kind == "missing"


def test_availability_is_what_needs_no_download(home: Home) -> None:
    home.weights("loras/a.safetensors")
    assert locate("loras/a.safetensors", home.models_dir).available
    assert locate("builtin:flat", home.models_dir).available
    assert not locate("org/name", home.models_dir).available
    assert not locate("loras/b.safetensors", home.models_dir).available


@pytest.mark.parametrize("name", ["../secret.safetensors", "x/../../secret.safetensors", "\0"])
def test_a_relative_path_does_not_climb_out(home: Home, tmp_path: Path, name: str) -> None:
    home.put(tmp_path / "secret.safetensors", weights_bytes())
    (home.models_dir / "x").mkdir()
    assert locate(name, home.models_dir).kind == "missing"
    assert locate("x", home.models_dir, name).kind == "missing"
    assert locate(str(home.models_dir), home.models_dir, name).kind == "missing"


def test_a_link_does_not_lead_a_relative_path_out(home: Home, tmp_path: Path) -> None:
    secret = home.put(tmp_path / "secret" / "a.safetensors", weights_bytes())
    (home.models_dir / "loras" / "link.safetensors").symlink_to(secret)
    (home.models_dir / "folder").symlink_to(secret.parent)
    (home.models_dir / "own").mkdir()
    (home.models_dir / "own" / "a.safetensors").symlink_to(secret)
    where = snapshot(home, "org/name", "abc")
    (where / "a.safetensors").symlink_to(secret)
    assert locate("loras/link.safetensors", home.models_dir).kind == "missing"
    assert locate("folder", home.models_dir).kind == "missing"
    assert locate("folder/a.safetensors", home.models_dir).kind == "missing"
    assert locate("own", home.models_dir, "a.safetensors").kind == "missing"
    assert locate("org/name", home.models_dir, "a.safetensors").kind == "download"


def test_a_loop_of_links_is_missing(home: Home) -> None:
    (home.models_dir / "loop").symlink_to(home.models_dir / "loop")
    assert locate("loop", home.models_dir).kind == "missing"
    assert locate("loop/a", home.models_dir).kind != "file"


PIECES = st.sampled_from(
    [
        "..",
        ".",
        "",
        "loras",
        "in",
        "out",
        "up",
        "a.safetensors",
        "hub",
        "~",
        "C:",
        "x\0",
        "\\",
        "..\\",
    ]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(150))
@given(
    path=st.lists(PIECES, max_size=6).map("/".join) | st.text(max_size=40),
    weight_name=st.none() | st.lists(PIECES, max_size=4).map("/".join) | st.text(max_size=20),
    revision=st.none() | st.lists(PIECES, max_size=4).map("/".join) | st.text(max_size=20),
)
@example(path="in/../../out/a.safetensors", weight_name=None, revision=None)
@example(path="in/..\\..\\out", weight_name="a.safetensors", revision=None)
@example(path="org/name", weight_name=None, revision="../../../../out")
@example(path="up/out", weight_name="a.safetensors", revision=None)
def test_locate_never_leaves_the_models_folder(
    tmp_path_factory: pytest.TempPathFactory,
    path: str,
    weight_name: str | None,
    revision: str | None,
) -> None:
    root = tmp_path_factory.getbasetemp() / "fuzz"
    models_dir = root / "models"
    if not root.exists():
        for folder in (
            "models/in",
            "models/loras",
            "out",
            "models/hub/models--org--name/snapshots",
        ):
            (root / folder).mkdir(parents=True)
        for name in ("models/in", "models/loras", "out"):
            (root / name / "a.safetensors").write_bytes(weights_bytes())
        (models_dir / "up").symlink_to("..")
        (models_dir / "in" / "out").symlink_to(root / "out")
    found = locate(path, models_dir, weight_name, revision)
    if found.path and not Path(path).is_absolute() and not path.startswith("~"):
        used = found.path / weight_name if weight_name and found.path.is_dir() else found.path
        assert os.path.realpath(used).startswith(os.path.realpath(models_dir))


def model(path: str, **fields: str) -> ModelEntry:
    return ModelEntry.model_validate({"key": "k", "name": "N", "path": path, **fields})


def adapter(path: str, **fields: str) -> AdapterEntry:
    return AdapterEntry.model_validate({"key": "k", "name": "N", "path": path, **fields})


class TestProblems:
    def test_nothing_is_wrong_with_what_is_there_or_can_be_fetched(self, home: Home) -> None:
        home.weights("loras/a.safetensors")
        home.pipeline("own", "sdxl")
        home.pipeline("modular", "anima")
        home.put(home.models_dir / "vae" / "config.json", b"{}")
        home.weights("vae/diffusion_pytorch_model.safetensors")
        for entry in (
            model("builtin:flat"),
            model("builtin:ink.safetensors", vae_path="builtin:flat", config="builtin:flat"),
            model("org/name", vae_path="org/vae", config="org/config"),
            model("own", vae_path="vae", config="own"),
            model("own", vae_path="loras"),
            model("own", config="nowhere at all"),
            model("modular", family="anima", variant="base"),
            model("loras/a.safetensors"),
            model("loras", weight_name="a.safetensors"),
            model("loras"),
            adapter("loras/a.safetensors"),
            adapter("loras"),
            adapter("org/name", weight_name="a.safetensors"),
        ):
            assert problems_of(entry, home.models_dir, {}) == (), entry

    @pytest.mark.parametrize(
        ("entry", "said"),
        [
            (model("loras/gone.safetensors"), "does not exist"),
            (model("no such thing"), "does not exist"),
            (model("/gone/a.safetensors"), "path '/gone/a.safetensors' does not exist"),
            (model("builtin:x"), "path must be one of builtin:clay.safetensors, builtin:control"),
            (model("none"), "path '{}/none' contains no model_index.json"),
            (model("two"), "weight_name must name one of the files in '{}/two': a.safetensors, b."),
            (model("own"), "path '{}/own' is incomplete: it lacks the weights of unet"),
            (model("outer"), "but its folder 'inner' does: name '{}/outer/inner'"),
            (model("both"), "path '{}/both' contains no model_index.json"),
            (
                model("org/m", vae_path="outer"),
                "but its folder 'inner' does: name '{}/outer/inner'",
            ),
            (model("org/m", vae_path="deep"), "one of the files in '{}/deep': a/b/c.safetensors"),
            (model("org/m", vae_path="round"), "but its folder 'kept' does: name '{}/round/kept'"),
            (model("lone"), "path '{}/lone' is incomplete: it lacks the configuration of text_enc"),
            (model("text.txt"), "is neither a .safetensors nor a .gguf file"),
            (model("link"), "leads outside"),
            (model("checkpoints/cut.safetensors"), "is cut off"),
            (model("org/m", vae_path="gone.safetensors"), "vae_path"),
            (model("org/m", vae_path="none"), "contains no config.json and no whole"),
            (model("org/m", vae_path="two"), "vae_path must name one of the files in"),
            (model("org/m", vae_path="bare"), "contains no whole .safetensors or .gguf file"),
            (model("org/m", vae_path="shard"), "lacks vae/model-00001-of-00002.safetensors"),
            (model("org/m", config="gone/a/b"), "config must be a hub id or an existing folder"),
            (model("org/m", config="loras"), "contains no model_index.json"),
            (model("org/m", config="lone"), "config '{}/lone' is incomplete: it lacks the config"),
            (adapter("loras", weight_name="b.safetensors"), "contains no 'b.safetensors'"),
            (adapter("checkpoints", weight_name="cut.safetensors"), "is cut off"),
            (adapter("two"), "weight_name must name a file in"),
            (adapter("none"), "contains no .safetensors file"),
            (adapter("~no-such-user-here/x"), "is not a path or a hub id"),
        ],
    )
    def test_what_is_wrong_is_said(
        self, home: Home, tmp_path: Path, entry: ModelEntry | AdapterEntry, said: str
    ) -> None:
        home.weights("loras/a.safetensors")
        home.weights("two/a.safetensors")
        home.weights("two/b.safetensors")
        home.put(home.models_dir / "none" / "readme", b"")
        home.put(home.models_dir / "bare" / "config.json", b"{}")
        home.put(home.models_dir / "shard/vae/config.json", b"{}")
        home.weights("shard/vae/model-00002-of-00002.safetensors")
        home.put(home.models_dir / "text.txt", b"x")
        home.put(home.models_dir / "checkpoints" / "cut.safetensors", weights_bytes()[:-1])
        home.put(home.models_dir / "own/unet/config.json", json.dumps(SDXL_UNET).encode())
        home.pipeline("own", "sdxl", ("text_encoder", "text_encoder_2", "vae"))
        home.put(home.models_dir / "lone/model_index.json", b"{}")
        for path in ("outer/inner", "both/one", "both/other"):
            home.pipeline(path, "zimage")
        home.put(home.models_dir / "round/kept/config.json", b"{}")
        home.weights("deep/a/b/c.safetensors")
        home.weights("round/kept/diffusion_pytorch_model.safetensors")
        (home.models_dir / "link").symlink_to(tmp_path)
        (problem,) = problems_of(entry, home.models_dir, {})
        assert said.format(home.models_dir) in problem
