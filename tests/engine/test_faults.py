"""A file that cannot be looked at now is not missing: the job is tried again, or told why."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.engine import Engine
from bot.engine.hub import Hub
from bot.engine.sources import NotHere, Sources
from bot.engine.subject import Subject
from bot.errors import JobFailed
from catalog import AdapterEntry, EmbeddingEntry, ModelEntry
from tests.engine.factories import TINY, catalog, kohya_lora, model, paint, request
from tests.faulty_disk import failing

PASSING = ["EMFILE", "EIO", "ESTALE"]


@pytest.fixture
def own(models_dir: Path, tmp_path: Path) -> Iterator[tuple[Engine, Path]]:
    """An engine of its own, and its folder of models with the model `own`."""
    folder = tmp_path / "models"
    shutil.copytree(models_dir / TINY, folder / "own")
    engine = Engine(models_dir=folder, hashes_file=tmp_path / "h.json")
    yield engine, folder
    engine.close()


OWN = model("own", "own")
FOLDERS = ["", "unet", "tokenizer"]
FILES = [
    "model_index.json",
    "unet/config.json",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/config.json",
    "text_encoder/config.json",
    "scheduler/scheduler_config.json",
    "tokenizer/vocab.json",
]
LOOKS = [*((path, ()) for path in (*FOLDERS, *FILES)), *((path, ("open",)) for path in FILES[1:])]
"""What fails, and at which calls."""


@pytest.mark.long
def test_a_model_that_cannot_be_read_now_is_tried_again(own: tuple[Engine, Path]) -> None:
    engine, folder = own
    for path, calls in LOOKS:
        with failing(folder / "own" / path, "EIO", *calls) as refused:
            with pytest.raises(OSError, match="own"):
                paint(engine, request(model="own"), catalog([OWN]))
            assert refused
    assert paint(engine, request(model="own"), catalog([OWN])).images
    lora = kohya_lora(folder / "loras" / "a.safetensors")
    with failing(lora, "EIO") as refused:
        engine.prefetch([AdapterEntry(key="x", name="X", path=str(lora))])
    assert refused


def test_a_model_that_may_not_be_read_is_not_called_missing(own: tuple[Engine, Path]) -> None:
    engine, folder = own
    for path, calls in LOOKS:
        with (
            failing(folder / "own" / path, "EACCES", *calls),
            pytest.raises(JobFailed) as failure,
        ):
            paint(engine, request(model="own"), catalog([OWN]))
        assert failure.value.code == "model.unreadable", path
        assert "Permission denied" in str(failure.value.params["reason"]), path


def subject(kind: str) -> Subject:
    return Subject(kind, "x", lambda _: None, lambda: None)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["loras/a.safetensors", "loras/pack", "org/name"])
@pytest.mark.parametrize("call", ["stat", "listdir"])
def test_an_adapter_and_an_embedding(tmp_path: Path, path: str, call: str) -> None:
    """call: a folder may be there and not be listed."""
    looked_at = {"org/name": "hub/models--org--name/snapshots/abc"}.get(path, path)
    file = tmp_path / looked_at
    file = file if file.suffix else file / "a.safetensors"
    kohya_lora(file)
    if path == "loras/a.safetensors" and call == "listdir":
        return
    sources = Sources(tmp_path, Hub(tmp_path / "hub", "http://127.0.0.1:1"), half=False)
    adapter = AdapterEntry(key="x", name="X", path=path)
    embedding = EmbeddingEntry(key="x", name="X", path=path)
    for name in PASSING:
        with failing(tmp_path / looked_at, name, call):
            with pytest.raises(OSError, match=tmp_path.name) as failure:
                sources.adapter(adapter, subject("adapter"))
            assert not isinstance(failure.value, JobFailed)
            with pytest.raises(OSError, match=tmp_path.name):
                sources.embedding(embedding, subject("embedding"))
            with pytest.raises(OSError, match=tmp_path.name):
                sources.adapter_here(adapter)
    with failing(tmp_path / looked_at, "EACCES", call):
        with pytest.raises(JobFailed) as refusal:
            sources.adapter(adapter, subject("adapter"))
        assert refusal.value.code == "adapter.unreadable"
        assert refusal.value.params["reason"] == "Permission denied"
        with pytest.raises(JobFailed) as refusal:
            sources.embedding(embedding, subject("embedding"))
        assert refusal.value.code == "embedding.unreadable"
        assert sources.adapter_here(adapter) is None


def test_whether_a_model_is_here_cannot_be_told(models_dir: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(models_dir / TINY, tmp_path / "own"))
    online = Sources(tmp_path, Hub(tmp_path / "hub", "http://127.0.0.1:1"), half=False)
    sources = online.without_downloads()
    entry = ModelEntry(key="x", name="X", path="own")
    named = subject("model")
    assert sources.checkpoint(entry, named).root == folder
    with failing(folder, "EIO"), pytest.raises(OSError, match="own"):
        sources.checkpoint(entry, named)
    with failing(folder, "EACCES"), pytest.raises(JobFailed):
        sources.checkpoint(entry, named)
    shutil.rmtree(folder)
    with pytest.raises(NotHere):
        sources.checkpoint(entry, named)


@pytest.mark.long
def test_which_fault_is_named_does_not_depend_on_the_model_in_memory(
    own: tuple[Engine, Path], tmp_path: Path
) -> None:
    """The header of every file comes before the numbers of any."""
    engine, _ = own
    bad = kohya_lora(tmp_path / "nan.safetensors", size=float("nan"))
    page = tmp_path / "page.safetensors"
    page.write_text("<!DOCTYPE html>")
    offered = catalog([OWN], bad=bad, page=page)
    wanted = request(("bad", 1.0), ("page", 1.0), model="own")
    for _ in range(2):  # without a model, then with it
        with pytest.raises(JobFailed) as failure:
            paint(engine, wanted, offered)
        assert failure.value.code == "adapter.not_safetensors"
        assert failure.value.params["adapter"] == "page"
        paint(engine, request(model="own"), offered)
