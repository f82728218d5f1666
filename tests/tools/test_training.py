"""Training from scratch to shipped files, with so few steps that nothing is learned."""

import functools
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from bot.request import ControlUse
from catalog import AdapterEntry, Catalog, ControlNetEntry, ControlNets, ModelEntry
from catalog.headers import HeaderCache
from catalog.weight_files import read_header
from tests.engine.factories import paint, picture, request

pytestmark = pytest.mark.long


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The training script, cut down to a few steps on a few images."""
    import torch

    from tools import train_demo
    from tools.demo import adapters, unet, vae

    torch.set_num_threads(1)
    for module in (unet, adapters):
        monkeypatch.setattr(module, "CHUNK", 4)
    # It is fitted to 200 images on each call, always the same ones.
    fitted = functools.cache(vae.code)
    for module in (unet, vae):
        monkeypatch.setattr(module, "code", fitted)
    monkeypatch.setattr(vae, "SHARES", {"flat": 4, "ink": 2})
    stages = ("VAE", "DECODER", "TEXT", "UNET", "INK", "CONTROLNET", "UPSCALER")
    for name in (f"{stage}_STEPS" for stage in stages):
        monkeypatch.setattr(train_demo, name, 2)
    plans = tuple(replace(plan, steps=2) for plan in adapters.PLANS)
    monkeypatch.setattr(train_demo, "PLANS", plans)
    monkeypatch.setattr(train_demo, "CHUNKS", {"flat": 10, "ink": 1})
    monkeypatch.setattr(train_demo, "ADAPTER_CHUNKS", 1)
    return train_demo


def test_a_loop_that_was_stopped_ends_like_one_that_was_not(tmp_path: Path) -> None:
    import torch

    from tools.demo.loop import Loop

    def train(folder: Path, stops: tuple[int, ...]) -> torch.Tensor:
        for stop in stops:
            weight = torch.nn.Parameter(torch.zeros(4))
            loop = Loop(folder, "x", [weight], steps=stops[-1], rate=0.1, keep=0.9)

            def loss_of(
                step: int,
                generator: torch.Generator,
                weight: torch.Tensor = weight,
                stop: int = stop,
            ) -> torch.Tensor:
                if step == stop:
                    raise KeyboardInterrupt
                return ((weight - torch.randn(4, generator=generator)) ** 2).sum()

            try:
                loop.run(7, loss_of)
            except KeyboardInterrupt:
                continue
        return weight.detach()

    whole = tmp_path / "whole"
    broken = tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    # State is saved every 500 steps; what came after is trained again, in the same way.
    assert torch.equal(train(whole, (520,)), train(broken, (510, 520)))


def test_everything_is_trained_and_written_and_can_be_painted_with(
    short: Any, tmp_path: Path
) -> None:
    training = short.Training(tmp_path / "state")
    training.write(tmp_path / "demo")
    families = {"sketch": "LoRA", "neon": "LoKr", "pixel": "LoHa", "clay": "LoCon"}
    for key, family in families.items():
        file = tmp_path / "demo" / f"{key}.safetensors"
        facts = HeaderCache().facts(file)
        assert (facts.algorithm, facts.base, facts.candidates) == (family, "SDXL", (key,))
        # As kohya's trainer hashes it: everything after the header.
        data = file.read_bytes()
        numbers = data[8 + int.from_bytes(data[:8], "little") :]
        assert read_header(file).metadata["sshs_model_hash"] == hashlib.sha256(numbers).hexdigest()

    flat, ink = str(tmp_path / "demo" / "flat"), str(tmp_path / "demo" / "ink.safetensors")
    models = {
        "flat": ModelEntry(key="flat", name="Flat", path=flat, min_side=64),
        "ink": ModelEntry(key="ink", name="Ink", path=ink, config=flat, vae_path=flat, min_side=64),
    }
    adapters = {
        key: AdapterEntry(key=key, name=key, path=str(tmp_path / "demo" / f"{key}.safetensors"))
        for key in families
    }
    edges = ControlNetEntry(
        key="edges", name="Edges", path=str(tmp_path / "demo" / "controlnet.safetensors")
    )
    use = ControlUse("edges", picture(), "canny")
    engine = Engine(models_dir=tmp_path, hashes_file=tmp_path / "hashes.json")
    offered = Catalog(models, adapters, "flat", controlnets=ControlNets({"edges": edges}))
    for model in models:
        wanted = request(*((key, 0.5) for key in families), model=model)
        painting = paint(engine, replace(wanted, controls=(use,)), offered)
        assert painting.warnings == ()
    engine.close()
