"""The networks of today's families in formats of their own, against the stock classes.

Tiny networks with random weights, built from the classes of diffusers and transformers.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bot.engine import Engine

torch.set_num_threads(1)


@pytest.fixture(scope="module", autouse=True)
def libraries() -> None:
    Engine(models_dir=Path(), hashes_file=Path()).warm_up()


def flux2() -> Any:
    from diffusers import Flux2Transformer2DModel

    return Flux2Transformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=24,
        timestep_guidance_channels=32,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=False,
    )


def run_flux2(module: Any, dtype: torch.dtype) -> Any:
    generator = torch.Generator().manual_seed(2)
    image = torch.randn(1, 12, 16, generator=generator).to(dtype)
    text = torch.randn(1, 5, 24, generator=generator).to(dtype)
    places = [
        torch.cartesian_prod(*map(torch.arange, axes)) for axes in ((1, 3, 4, 1), (1, 1, 1, 5))
    ]
    return module(
        hidden_states=image,
        encoder_hidden_states=text,
        timestep=torch.tensor([0.7], dtype=dtype),
        img_ids=places[0],
        txt_ids=places[1],
        return_dict=False,
    )[0]


def z_image() -> Any:
    from diffusers import ZImageTransformer2DModel

    return ZImageTransformer2DModel(
        in_channels=4,
        dim=32,
        n_layers=2,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=16,
        axes_dims=[4, 6, 6],
        axes_lens=[64, 32, 32],
    )


def run_z_image(module: Any, dtype: torch.dtype) -> Any:
    generator = torch.Generator().manual_seed(2)
    latents = torch.randn(4, 1, 8, 8, generator=generator).to(dtype)
    text = torch.randn(6, 16, generator=generator).to(dtype)
    return module([latents], torch.tensor([0.3], dtype=dtype), [text], return_dict=False)[0][0]


def krea2() -> Any:
    from diffusers import Krea2Transformer2DModel

    return Krea2Transformer2DModel(
        in_channels=8,
        num_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=48,
        timestep_embed_dim=16,
        text_hidden_dim=32,
        num_text_layers=2,
        text_num_attention_heads=2,
        text_num_key_value_heads=2,
        text_intermediate_size=48,
        num_layerwise_text_blocks=1,
        num_refiner_text_blocks=1,
        axes_dims_rope=(4, 6, 6),
    )


def run_krea2(module: Any, dtype: torch.dtype) -> Any:
    generator = torch.Generator().manual_seed(2)
    image = torch.randn(1, 6, 8, generator=generator).to(dtype)
    text = torch.randn(1, 5, 2, 32, generator=generator).to(dtype)
    return module(
        image, text, torch.tensor([0.4], dtype=dtype), torch.zeros(11, 3), return_dict=False
    )[0]


def qwen3() -> Any:
    from transformers import Qwen3Config, Qwen3Model

    return Qwen3Model(
        Qwen3Config(
            vocab_size=64,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=16,
        )
    )


def run_qwen3(module: Any, _: torch.dtype) -> Any:
    return module(torch.arange(9)[None], output_hidden_states=True).hidden_states[-1]


Build = Callable[[], Any]
Run = Callable[[Any, torch.dtype], Any]
NETWORKS: list[tuple[Build, Run, str]] = [
    (flux2, run_flux2, r"(?:single_)?transformer_blocks\.\d+\..+"),
    (
        z_image,
        run_z_image,
        r"(?:layers|noise_refiner|context_refiner)\.\d+\.(?:attention|feed_forward)\..+",
    ),
    (qwen3, run_qwen3, r"layers\.\d+\..+"),
    (krea2, run_krea2, r"transformer_blocks\.\d+\..+"),
]


def seeded(build: Build) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build().eval()


def part_of(build: Build, formats: Any, weights: dict[str, torch.Tensor]) -> Any:
    from accelerate import init_empty_weights

    from bot.engine.weights import Part, PristineWeights

    with init_empty_weights(include_buffers=False):
        module = build()
    part = Part(module, formats, "cpu")
    part.hold(PristineWeights("pristine", part.layout, None, weights))
    part.wake(lambda: None)
    return part


@pytest.mark.parametrize(
    ("build", "run", "int8"), NETWORKS, ids=["klein", "Z-Image", "Qwen3", "Krea 2"]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_network_in_8_bits_computes_with_what_its_weights_stand_for(
    build: Build, run: Run, int8: str, dtype: torch.dtype
) -> None:
    from bot.engine.weights import Formats
    from bot.engine.weights.eight_bits import EightBitLinear

    stock = seeded(build)
    part = part_of(build, Formats(dtype, int8=int8), dict(stock.state_dict()))
    eight = {
        name: module
        for name, module in part.module.named_modules()
        if isinstance(module, EightBitLinear)
    }
    linears = [name for name, m in stock.named_modules() if isinstance(m, torch.nn.Linear)]
    assert 7 <= len(eight) <= len(linears)
    with torch.inference_mode():
        bare = run(part_of(build, Formats(dtype), dict(stock.state_dict())).module, dtype)
        for name, layer in eight.items():
            stock.get_submodule(name).weight.copy_(layer.weight.float() * layer.scales)
        meant = run(part_of(build, Formats(dtype), dict(stock.state_dict())).module, dtype)
        found = run(part.module, dtype)
    assert torch.equal(found, meant)
    assert found.isfinite().all()
    apart = float((found - bare).float().norm() / bare.float().norm())
    assert 0 < apart < 0.05


def test_krea_2_keeps_its_norms_in_fp32_as_diffusers_does(tmp_path: Path) -> None:
    from diffusers import Krea2Transformer2DModel

    from bot.engine.weights import Formats

    own = seeded(krea2)
    own.save_pretrained(tmp_path)
    stock = Krea2Transformer2DModel.from_pretrained(tmp_path, torch_dtype=torch.bfloat16)
    formats = Formats(torch.bfloat16, fp32=tuple(Krea2Transformer2DModel._keep_in_fp32_modules))
    part = part_of(krea2, formats, dict(own.state_dict()))
    expected = {name: tensor.dtype for name, tensor in stock.named_parameters()}
    assert {*expected.values()} == {torch.float32, torch.bfloat16}
    assert {name: tensor.dtype for name, tensor in part.module.named_parameters()} == expected
    with torch.inference_mode():
        assert torch.equal(run_krea2(part.module, torch.bfloat16), run_krea2(stock, torch.bfloat16))


@pytest.mark.parametrize("build", [flux2, z_image, qwen3])
def test_klein_and_z_image_keep_no_module_in_fp32(build: Build) -> None:
    assert not getattr(type(seeded(build)), "_keep_in_fp32_modules", None)
