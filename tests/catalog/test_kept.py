"""What files said is kept between two runs, and never outlives the file that said it."""

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from catalog import Catalog, KeptFacts, LiveCatalog, headers, kept
from catalog.sidecars import beside
from catalog.sidecars.files import read_object
from catalog.weight_files import read_header, read_model_header
from tests.catalog.home import ONE_MODEL, Home, weights_bytes

T = TypeVar("T")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were read, in order."""
    names: list[str] = []

    def noting(read: Callable[[Path], T]) -> Callable[[Path], T]:
        def noted(path: Path) -> T:
            names.append(path.name)
            return read(path)

        return noted

    monkeypatch.setattr(headers, "read_header", noting(read_header))
    monkeypatch.setattr(headers, "read_model_header", noting(read_model_header))
    monkeypatch.setattr(beside, "read_object", noting(read_object))
    return names


def start(home: Home) -> Catalog:
    facts = KeptFacts(home.root / "data" / "facts.jsonl")
    return LiveCatalog(home.catalog_dir, home.models_dir, kept=facts).current


def titled(title: str) -> bytes:
    return weights_bytes({"modelspec.title": title})


def filled(home: Home) -> Path:
    home.weights("checkpoints/base.safetensors")
    home.weights("embeddings/word.safetensors")
    home.put(home.models_dir / "loras" / "broken.safetensors", b"\0" * 20)
    file = home.put(home.models_dir / "loras" / "ink.safetensors", titled("Ink 1"))
    home.put(file.with_suffix(".json"), b'{"activation text": "inky"}')
    return file


def test_a_second_start_reads_no_file_and_finds_the_same(home: Home, opened: list[str]) -> None:
    filled(home)
    first = start(home)
    read = sorted(set(opened))
    opened.clear()
    again = start(home)
    assert read == [
        "base.safetensors",
        "broken.safetensors",
        "ink.json",
        "ink.safetensors",
        "word.safetensors",
    ]
    assert opened == []
    for name in ("models", "adapters", "problems", "adapter_facts", "unfit_models", "default"):
        assert getattr(again, name) == getattr(first, name)
    assert again.embeddings.entries == first.embeddings.entries


def test_what_the_networks_of_an_entry_said_is_kept(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.put(home.models_dir / "far/model_index.json", b'{"_class_name": "ZImagePipeline"}')
    home.put(home.models_dir / "e/config.json", b'{"model_type": "qwen3", "hidden_size": 1024}')
    home.put(home.models_dir / "v/config.json", b'{"_class_name": "AutoencoderKL"}')
    networks = {"text_encoder_path": "e", "vae_path": "v"}
    for field, path in networks.items():
        home.write(
            f'{ONE_MODEL}[models.far]\nname = "Far"\npath = "far"\nvariant = "base"\n'
            f'{field} = "{path}"\n'
        )
        first = start(home).unfit_models
        assert first["far"].what
        with monkeypatch.context() as later:
            for name in ("encoder_facts", "autoencoder_facts"):
                later.setattr(headers, name, lambda _: pytest.fail("read again"))
            assert start(home).unfit_models == first


def replaced(file: Path) -> None:
    """By another of the same size and mtime, as `cp -p` does."""
    status = file.stat()
    other = file.with_suffix(".new")
    other.write_bytes(titled("Ink 2"))
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(file)


def changed(file: Path) -> None:
    file.write_bytes(titled("Ink 2"))


def touched(file: Path) -> None:
    os.utime(file, (1, 1))


@pytest.mark.parametrize(("change", "name"), [(replaced, "Ink 2"), (changed, "Ink 2")])
def test_a_changed_file_is_read_again(
    home: Home, opened: list[str], change: Callable[[Path], None], name: str
) -> None:
    file = filled(home)
    start(home)
    opened.clear()
    change(file)
    assert start(home).adapters["ink"].name == name
    assert opened == ["ink.safetensors"]


def test_a_touched_file_is_read_again(home: Home, opened: list[str]) -> None:
    file = filled(home)
    start(home)
    opened.clear()
    touched(file)
    start(home)
    assert opened == ["ink.safetensors"]


def test_a_changed_sidecar_is_read_again_alone(home: Home, opened: list[str]) -> None:
    file = filled(home)
    start(home)
    opened.clear()
    home.put(file.with_suffix(".json"), b'{"activation text": "wash"}')
    assert start(home).adapters["ink"].trigger_words == ("wash",)
    assert opened == ["ink.json"]


def test_a_new_configuration_of_peft_makes_its_file_read_again(
    home: Home, opened: list[str]
) -> None:
    file = home.put(home.models_dir / "loras" / "oft" / "adapter_model.safetensors", titled("Oft"))
    start(home)
    opened.clear()
    home.put(file.with_name("adapter_config.json"), b'{"peft_type": "LORA", "r": 4}')
    start(home)
    assert opened == ["adapter_model.safetensors"]


def test_a_new_configuration_beside_a_checkpoint_makes_it_read_again(
    home: Home, opened: list[str]
) -> None:
    file = home.weights("checkpoints/base.safetensors")
    start(home)
    opened.clear()
    home.put(file.with_suffix(".yaml"), b"model: {}")
    start(home)
    assert "base.safetensors" in opened


def test_renamed_and_removed_files_leave_nothing_behind(home: Home, opened: list[str]) -> None:
    file = filled(home)
    start(home)
    opened.clear()
    file.rename(file.with_name("wash.safetensors"))
    (home.models_dir / "checkpoints" / "base.safetensors").unlink()
    assert "wash" in start(home).adapters
    assert opened == ["wash.safetensors"]
    lines = (home.root / "data" / "facts.jsonl").read_text()
    assert "wash.safetensors" in lines
    assert "ink" not in lines.replace("Ink", "")
    assert "base.safetensors" not in lines


@pytest.mark.parametrize(
    "damage", [lambda raw: raw.replace(b"Ink", b"Ash"), lambda raw: raw[:9], lambda _: b"\xff"]
)
def test_a_damaged_file_is_ignored_and_replaced(
    home: Home,
    opened: list[str],
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[bytes], bytes],
) -> None:
    filled(home)
    start(home)
    facts = home.root / "data" / "facts.jsonl"
    whole = facts.read_bytes()
    facts.write_bytes(damage(whole))
    opened.clear()
    with caplog.at_level(logging.INFO):
        assert start(home).adapters["ink"].name == "Ink 1"
    assert "ink.safetensors" in opened
    assert "reading every file" in caplog.text or "is damaged" in caplog.text
    assert sorted(facts.read_bytes().splitlines()) == sorted(whole.splitlines())


def test_facts_of_other_code_are_not_used(
    home: Home, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(home)
    start(home)
    opened.clear()
    monkeypatch.setattr(kept, "_version", lambda: "other")
    start(home)
    assert "ink.safetensors" in opened


def test_every_source_of_the_catalog_counts_in_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "catalog"
    shutil.copytree(Path(kept.__file__).parent, root, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(kept, "__file__", str(root / "kept.py"))
    version = kept._version.__wrapped__
    before = version()
    with (root / "weight_files" / "training.py").open("a") as source:
        source.write("\n")
    assert version() != before


def test_a_folder_that_cannot_be_written_costs_a_warning(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    filled(home)
    (home.root / "data").write_bytes(b"a file, where a folder should be")
    assert start(home).adapters["ink"].name == "Ink 1"
    assert "cannot be written" in caplog.text
