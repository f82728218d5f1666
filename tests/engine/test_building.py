"""Networks are built without weights: nothing is drawn for them, and buffers keep their values."""

from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch

from bot.engine import Engine

torch.set_num_threads(1)


@pytest.fixture(scope="module", autouse=True)
def libraries() -> None:
    Engine(models_dir=Path(), hashes_file=Path()).warm_up()


def unet() -> Any:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        block_out_channels=(8, 8), norm_num_groups=4, layers_per_block=1, cross_attention_dim=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), attention_head_dim=2,
    )  # fmt: skip


def clip() -> Any:
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    return CLIPTextModelWithProjection(
        CLIPTextConfig(hidden_size=8, intermediate_size=8, num_hidden_layers=1, vocab_size=9)
    )


def qwen3() -> Any:
    from transformers import Qwen3Config, Qwen3Model

    return Qwen3Model(Qwen3Config(hidden_size=8, intermediate_size=8, num_hidden_layers=1))


def batch_norm() -> Any:
    return torch.nn.BatchNorm2d(4)


BUILDS = [unet, clip, qwen3, batch_norm]


@pytest.mark.parametrize("build", BUILDS)
def test_parameters_have_no_memory_and_buffers_their_values(build: Callable[[], Any]) -> None:
    from bot.engine.building import without_weights

    stock = build()
    with without_weights():
        bare = build()
    assert {parameter.device.type for parameter in bare.parameters()} == {"meta"}
    shapes = {name: parameter.shape for name, parameter in bare.named_parameters()}
    assert shapes == {name: parameter.shape for name, parameter in stock.named_parameters()}
    buffers = dict(bare.named_buffers())
    assert buffers.keys() == dict(stock.named_buffers()).keys()
    assert all(torch.equal(buffers[name], buffer) for name, buffer in stock.named_buffers())


@pytest.mark.parametrize("build", [unet, clip, qwen3])
def test_nothing_is_initialised(build: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from bot.engine.building import without_weights

    def drawn(*_: Any, **__: Any) -> None:
        raise AssertionError("a parameter was initialised")

    for name in ("uniform_", "normal_", "zero_", "fill_", "trunc_normal_"):
        if hasattr(torch.Tensor, name):
            monkeypatch.setattr(torch.Tensor, name, drawn)
    with without_weights():
        build()
    with pytest.raises(AssertionError, match="initialised"):
        build()


def test_torch_is_as_before_after_a_network_that_could_not_be_built() -> None:
    from bot.engine.building import without_weights

    def failing() -> None:
        with without_weights():
            raise ValueError("a configuration that does not fit")

    with pytest.raises(ValueError, match="does not fit"):
        failing()
    layer = torch.nn.Linear(2, 2)
    assert layer.weight.device.type == "cpu"
    assert layer.weight.abs().max() <= 0.5**0.5


def test_what_has_weights_waits_while_another_thread_builds_without() -> None:
    from bot.engine.building import BUILDING, without_weights

    built: list[torch.nn.Linear] = []

    def with_weights() -> None:
        with BUILDING:
            built.append(torch.nn.Linear(2, 2))

    other = Thread(target=with_weights)
    with without_weights():
        other.start()
        other.join(0.1)
        assert not built
    other.join()
    assert built[0].weight.device.type == "cpu"
