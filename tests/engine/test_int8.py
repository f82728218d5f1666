"""Models whose large matrices are in 8 bits, as a whole: bytes, adapters, memory, recipe."""

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from bot.errors import PaintStopped, StopReason
from tests.engine.factories import (
    CONTEXT,
    SHAPES,
    catalog,
    digests,
    kohya,
    kohya_lora,
    paint,
    request,
    resident,
    save,
)

Opened = Callable[..., Engine]


@pytest.fixture
def opened(models_dir: Path) -> Iterator[Opened]:
    """Opens engines that are closed at the end."""
    engines = []

    def new(**options: Any) -> Engine:
        hashes = models_dir / "hashes.json"
        engines.append(Engine(models_dir=models_dir, hashes_file=hashes, **options))
        return engines[-1]

    yield new
    for engine in engines:
        engine.close()


def eight_bit_layers(engine: Engine, network: str) -> list[str]:
    from bot.engine.weights.eight_bits import EightBitLinear

    modules = resident(engine).network(network).named_modules()
    return [name for name, module in modules if isinstance(module, EightBitLinear)]


def test_sdxl_is_in_8_bits_only_where_the_owner_says_so(engine: Engine, opened: Opened) -> None:
    usual = paint(engine, request())
    smallest = opened(memory="8gb")
    painting = paint(smallest, request())
    assert digests(painting) == digests(usual)
    assert eight_bit_layers(smallest, "unet") == []
    assert not [name for name in painting.recipe.environment if name.endswith("_dtype")]
    eight = opened(weights="int8")
    painting = paint(eight, request())
    assert digests(painting) != digests(usual)
    layers = eight_bit_layers(eight, "unet")
    assert layers
    assert all(".transformer_blocks." in name for name in layers)
    assert eight_bit_layers(eight, "text_encoder")
    assert eight_bit_layers(eight, "vae") == []
    environment = painting.recipe.environment
    assert environment["unet_dtype"] == "float32, int8"
    assert environment["text_encoder_2_dtype"] == "float32, int8"
    assert "vae_dtype" not in environment
    changed = painting.recipe.changed_since(usual.recipe)
    assert {"unet_dtype", "text_encoder_dtype", "text_encoder_2_dtype"} <= {*changed}


def test_the_choice_goes_by_the_setting_and_the_profile() -> None:
    from bot.engine.memory import Profile, in_eight_bits

    small = frozenset({Profile.GB8})
    assert in_eight_bits("auto", Profile.GB8, small)
    assert not in_eight_bits("auto", Profile.GB11, small)
    assert not in_eight_bits("full", Profile.GB8, small)
    assert in_eight_bits("int8", Profile.FULL, frozenset())


def test_the_report_names_the_families_in_8_bits(opened: Opened) -> None:
    assert "sdxl" not in opened().device_report().in_eight_bits
    assert opened(weights="full").device_report().in_eight_bits == ()
    assert "sdxl" in opened(weights="int8").device_report().in_eight_bits


@pytest.mark.long
@pytest.mark.parametrize("model_cache", [0, 2**30])
def test_history_leaves_no_trace(
    opened: Opened, models_dir: Path, tmp_path: Path, model_cache: int
) -> None:
    """Other adapters, another model, cancelled jobs, parked networks: the same bytes."""
    offered = catalog(
        a=kohya_lora(tmp_path / "a.safetensors", seed=1),
        b=kohya_lora(tmp_path / "b.safetensors", seed=2, text=False),
    )
    wanted = [request(), request(("a", 1.0)), request(("a", 0.4), ("b", 0.8))]
    options = {"weights": "int8", "model_cache": model_cache}
    fresh = [digests(paint(opened(**options), each, offered)) for each in wanted]
    assert len({digest for found in fresh for digest in found}) == 3
    for memory in ("full", "8gb"):
        used = opened(memory=memory, **options)
        for turn, number in enumerate((1, 0, 2, 0, 1, 2)):
            if turn % 2:
                paint(used, request(("b", 1.0), model="other"), offered)
            stopping(used, wanted[0], offered, 4 + turn)
            assert digests(paint(used, wanted[number], offered)) == fresh[number], (memory, turn)
        used.rest()
        assert digests(paint(used, wanted[1], offered)) == fresh[1]


def stopping(engine: Engine, wanted: Any, offered: Any, after: int) -> None:
    calls = 0

    def check_stop() -> None:
        nonlocal calls
        calls += 1
        if calls > after:
            raise PaintStopped(StopReason.CANCELLED)

    with suppress(PaintStopped):  # a job may be over before
        paint(engine, wanted, offered, check_stop=check_stop)


def test_a_lora_changes_the_encoded_matrix_from_the_pristine_one(
    opened: Opened, models_dir: Path, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file

    from bot.engine.weights.eight_bits import encode

    known = "lora_unet_" + CONTEXT.replace(".", "_")
    file = kohya(known, SHAPES[CONTEXT])
    offered = catalog(one=save(tmp_path / "one.safetensors", file))
    engine = opened(weights="int8")
    paint(engine, request(("one", 0.5)), offered)
    layer = resident(engine).network("unet").get_submodule(CONTEXT)
    total = load_file(models_dir / "tiny/unet/diffusion_pytorch_model.safetensors")[
        f"{CONTEXT}.weight"
    ]
    up, down = file[f"{known}.lora_up.weight"], file[f"{known}.lora_down.weight"]
    total.addmm_(up, down, alpha=0.5 * 2.0 / 4)  # weight · alpha / rank
    rows = len(total)
    numbers, scales = torch.empty(total.shape, dtype=torch.int8), torch.empty(rows, 1)
    encode(total, numbers, scales)
    assert torch.equal(layer.weight, numbers)
    assert torch.equal(layer.scales, scales)


@pytest.mark.long
def test_the_picture_is_close_to_that_of_full_weights(opened: Opened, tmp_path: Path) -> None:
    """On the tiny untrained model; figures of the trained demo model are in docs/figures.md."""
    offered = catalog(a=kohya_lora(tmp_path / "a.safetensors", seed=1))
    engines = [opened(weights=weights) for weights in ("full", "int8")]
    for wanted in (request(steps=8), request(("a", 0.7), steps=8)):
        one, other = (paint(engine, wanted, offered).images[0] for engine in engines)
        assert psnr(one, other) > 30


def psnr(one: Any, other: Any) -> float:
    """Peak signal-to-noise ratio of two images, in dB."""
    import numpy as np

    a, b = (np.asarray(image.image, dtype=np.float64) for image in (one, other))
    return 10 * math.log10(255**2 / float(((a - b) ** 2).mean()))
