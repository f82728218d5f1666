"""In a separate process: what is imported when, and that nothing is ever printed."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
from pathlib import Path
from bot.engine import Engine

heavy = {"torch", "diffusers", "transformers", "peft", "accelerate", "huggingface_hub", "numpy"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
engine = Engine(models_dir=Path(sys.argv[1]), hashes_file=Path(sys.argv[1]) / "hashes.json")
assert engine.loaded is None
assert not heavy & set(sys.modules)

from tests.engine.factories import build_models, catalog, kohya_lora, paint, request

engine.warm_up()
engine.warm_up()
import torch

torch.set_num_threads(1)
build_models(Path(sys.argv[1]))
a = kohya_lora(Path(sys.argv[1]) / "a.safetensors")
b = kohya_lora(Path(sys.argv[1]) / "b.safetensors", seed=4)
words = ", ".join(["canary"] * 90)
offered = catalog(a=a, b=b)
wanted = request(("a", 1.0), ("b", 0.5), prompt=words, negative=words)
painting = paint(engine, wanted, offered)
assert painting.warnings == (), painting.warnings
assert painting.images[0].image.getcolors(16) is None, "a flat picture"
assert "canary" not in repr(painting)
"""


@pytest.mark.long
def test_a_whole_life_prints_nothing_and_imports_late(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
