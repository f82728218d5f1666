"""An error of the operating system is never taken for an absent file."""

import logging
from pathlib import Path

import pytest

from catalog import (
    AdapterEntry,
    CatalogError,
    EmbeddingEntry,
    LiveCatalog,
    ModelEntry,
    locate,
    locate_entry,
    problems_of,
    read_catalog,
)
from catalog.disk import is_file, is_folder, may_pass, names_in, status_of
from catalog.snapshot import CatalogUnreadable
from tests.catalog.home import ONE_MODEL, Home, checkpoint_bytes
from tests.faulty_disk import failing

PASSING = ["EMFILE", "ENFILE", "EIO", "ESTALE", "EINTR", "ETIMEDOUT"]
LASTING = ["EACCES", "EPERM"]
ENTRY = '[models.own]\nname = "Own"\npath = "{}"\n'


@pytest.mark.parametrize("look", [status_of, is_file, is_folder, names_in])
def test_only_what_is_absent_is_taken_for_absent(tmp_path: Path, look: object) -> None:
    assert callable(look)
    assert not look(tmp_path / "none")
    for name in [*PASSING, *LASTING]:
        with failing(tmp_path / "none", name), pytest.raises(OSError, match="none"):
            look(tmp_path / "none")
    for name in ("ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG"):
        with failing(tmp_path / "none", name):
            assert not look(tmp_path / "none")
    if look is not names_in:
        assert not look(tmp_path / "with\0nul")


def places(home: Home) -> dict[str, Path]:
    """Paths as entries name them → what is looked at on the disk for each."""
    file = home.weights("checkpoints/a.safetensors")
    folder = home.weights("packs/one/model.safetensors").parent
    cached = home.weights("hub/models--org--name/snapshots/abc/a.safetensors").parent
    return {
        "checkpoints/a.safetensors": file,
        str(file): file,
        "packs/one": folder,
        "org/name": cached,
    }


@pytest.mark.parametrize("name", [*PASSING, *LASTING])
def test_a_place_that_cannot_be_looked_at_is_neither_missing_nor_to_be_downloaded(
    home: Home, name: str
) -> None:
    for path, looked_at in places(home).items():
        with failing(looked_at, name):
            found = locate(path, home.models_dir)
            assert found.kind == "unreadable", path
            assert found.error is not None
            if may_pass(found.error):
                with pytest.raises(OSError, match=str(looked_at)):
                    found.settled()
            else:
                assert found.settled() is found
        assert locate(path, home.models_dir).available


@pytest.mark.parametrize(
    "folder", ["hub/models--org--name/snapshots", "hub/models--org--name/refs"]
)
def test_a_cache_that_cannot_be_listed_is_not_empty(home: Home, folder: str) -> None:
    home.weights("hub/models--org--name/snapshots/abc/a.safetensors")
    home.put(home.models_dir / "hub/models--org--name/refs/main", b"abc")
    with failing(home.models_dir / folder, "EIO"):
        assert locate("org/name", home.models_dir).kind == "unreadable"


@pytest.mark.parametrize("name", [*PASSING, *LASTING])
def test_problems_name_the_error(home: Home, name: str) -> None:
    for path, looked_at in places(home).items():
        for entry in (
            ModelEntry(key="x", name="X", path=path),
            AdapterEntry(key="x", name="X", path=path),
            EmbeddingEntry(key="x", name="X", path=path),
        ):
            with failing(looked_at, name) as refused:
                (problem,) = problems_of(entry, home.models_dir, {})
                assert refused
            assert "cannot be read" in problem
            assert "not exist" not in problem


def test_a_vae_or_configuration_that_cannot_be_looked_at_is_said(home: Home) -> None:
    home.pipeline("base", "sdxl")
    vae = home.weights("vae.safetensors")
    entry = ModelEntry(key="x", name="X", path="base", vae_path="vae.safetensors", config="base")
    with failing(vae, "EACCES"):
        assert locate_entry(entry, home.models_dir, {}).kind == "unreadable"
        (problem,) = problems_of(entry, home.models_dir, {})
    assert problem == "vae_path 'vae.safetensors' cannot be read: Permission denied"


@pytest.mark.parametrize("name", ["EIO", "EACCES"])
@pytest.mark.parametrize("path", ["own", "org/own"])
def test_a_folder_of_a_vae_that_cannot_be_looked_at_is_said(
    home: Home, path: str, name: str
) -> None:
    home.pipeline("base", "sdxl")
    folder = home.models_dir / {"org/own": "hub/models--org--own/snapshots/abc"}.get(path, path)
    home.put(folder / "vae/config.json", b"{}")
    home.put(folder / "vae/model.safetensors", checkpoint_bytes())
    entry = ModelEntry(key="x", name="X", path="base", vae_path=path)
    assert locate_entry(entry, home.models_dir, {}).available
    for calls in ((), ("listdir", "scandir")):
        with failing(folder / "vae", name, *calls):
            assert locate_entry(entry, home.models_dir, {}).kind == "unreadable"
            (problem,) = problems_of(entry, home.models_dir, {})
        assert problem.startswith(f"vae_path '{path}' cannot be read: ")


@pytest.mark.parametrize("name", ["EMFILE", "EIO", "ESTALE"])
@pytest.mark.parametrize(
    "looked_at", ["packs", "checkpoints", "loras", "loras/peft", "embeddings", "vae.safetensors"]
)
def test_the_last_good_catalog_is_kept_while_something_cannot_be_looked_at(
    home: Home, caplog: pytest.LogCaptureFixture, name: str, looked_at: str
) -> None:
    home.put(home.models_dir / "packs/own.safetensors", checkpoint_bytes())
    home.weights("checkpoints/a.safetensors")
    home.weights("loras/a.safetensors")
    home.weights("loras/peft/adapter_model.safetensors")
    home.weights("embeddings/a.safetensors")
    home.weights("vae.safetensors")
    text = ONE_MODEL + ENTRY.format("packs/own.safetensors") + 'vae_path = "vae.safetensors"\n'
    home.write(text)
    live = LiveCatalog(home.catalog_dir, home.models_dir)
    good = live.current
    home.write(text + "# touched\n")
    with failing(home.models_dir / looked_at, name), caplog.at_level(logging.ERROR):
        assert not live.refresh()
        assert not live.refresh()
    assert live.current is good
    assert caplog.text.count("Keeping the last good catalog") == 1
    assert live.refresh()
    assert live.current.models.keys() == good.models.keys()


@pytest.mark.parametrize(
    "looked_at",
    ["packs", "checkpoints", "loras", "loras/peft", "loras/a.safetensors", "embeddings"],
)
def test_what_may_not_be_read_takes_nothing_else_away(home: Home, looked_at: str) -> None:
    home.weights("checkpoints/a.safetensors")
    home.weights("loras/a.safetensors")
    home.weights("loras/b.safetensors")
    home.weights("loras/peft/adapter_model.safetensors")
    home.weights("embeddings/a.safetensors")
    home.write(ONE_MODEL + ENTRY.format("packs/own.safetensors"))
    with failing(home.models_dir / looked_at, "EACCES"):
        catalog = read_catalog(home.catalog_dir, home.models_dir)
    assert "base" in catalog.models
    if looked_at != "loras":
        assert "b" in catalog.adapters
    if looked_at != "packs":  # `problems_of` says it
        assert any("Permission denied" in str(problem) for problem in catalog.problems)


def test_a_file_of_embeddings_that_may_not_be_read_is_not_absent(home: Home) -> None:
    home.write(ONE_MODEL)
    file = home.put(home.catalog_dir / "embeddings.toml", b"")
    with failing(file, "EACCES"), pytest.raises(CatalogError, match="Permission denied"):
        read_catalog(home.catalog_dir, home.models_dir)
    with failing(file, "EMFILE"), pytest.raises(CatalogUnreadable):
        read_catalog(home.catalog_dir, home.models_dir)


def test_a_model_with_a_configuration_that_may_not_be_read_is_not_said_to_be_fine(
    home: Home,
) -> None:
    config = home.pipeline("own", "sdxl") / "unet/config.json"
    entry = ModelEntry(key="own", name="Own", path="own")
    assert not problems_of(entry, home.models_dir, {})
    with failing(config, "EACCES"):
        (problem,) = problems_of(entry, home.models_dir, {})
    assert problem == "path 'own' cannot be read: Permission denied"
