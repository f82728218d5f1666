"""An image encoder's configuration chooses neither code nor sizes."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from bot.errors import JobFailed
from bot.request import Reference
from tests.engine import ip_adapter
from tests.engine.factories import TINY, catalog, digests, paint, picture, plain_pipeline, request


@pytest.fixture
def folder(models_dir: Path, tmp_path: Path) -> Path:
    ip_adapter.build(tmp_path / "ip", plain_pipeline(models_dir / TINY).unet)
    return tmp_path / "ip"


def painted(engine: Engine, folder: Path, **said: Any) -> list[str]:
    """What is painted with the fields `said` in a copy of the configuration in `folder`."""
    copy = Path(shutil.copytree(folder, folder.with_name(f"{folder.name}-{len(said)}")))
    path = copy / ip_adapter.ENCODER / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**config, **said}), encoding="utf-8")
    asked = request(reference=Reference(picture((100, 64), seed=8), 0.7))
    return digests(paint(engine, asked, catalog(reference=ip_adapter.entry(copy))))


def test_a_kernel_that_it_names_is_not_looked_for(
    engine: Engine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import transformers.modeling_utils as loading

    expected = painted(engine, folder)
    asked: list[object] = []

    def seen(implementation: object, *_: object, **__: object) -> bool:
        asked.append(implementation)
        return False

    monkeypatch.setattr(loading, "is_kernel", seen)
    found = painted(engine, folder, attn_implementation="someone/kernel", dtype="float64")
    assert found == expected
    assert "someone/kernel" not in asked


@pytest.mark.parametrize(
    ("field", "value"),
    [("image_size", 10**9), ("architectures", ["SiglipVisionModel"]), ("auto_map", {"a": "b"})],
)
def test_what_is_not_supported_is_refused_by_name(
    engine: Engine, folder: Path, field: str, value: object
) -> None:
    with pytest.raises(JobFailed) as failure:
        painted(engine, folder, **{field: value})
    assert failure.value.code == "reference.configuration"
    assert failure.value.params["field"] == f"image_encoder.{field}"
