"""The candidates for a GPU, as far as a CPU can run them."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from diffusers.image_processor import VaeImageProcessor

from benchmarks import bench_model, sdxl_weights
from benchmarks.bench_model import KEYS, Bench
from benchmarks.gpu.candidates import CANDIDATES, Candidate, vae
from benchmarks.gpu.candidates.layouts import side_by_side
from bot.engine import pixels
from bot.engine.weights import Formats, Part
from tests.benchmarks.fake_cuda import FakeCuda
from tests.benchmarks.tiny import TINY

pytestmark = pytest.mark.long

BY_NAME = {candidate.name: candidate for candidate in CANDIDATES}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    weights = tmp_path_factory.mktemp("weights")
    options = SimpleNamespace(shape=TINY, weights=weights, device="cpu")
    with bench_model.opened(options, KEYS[:1]) as opened:  # type: ignore[arg-type]
        yield opened.offering(*(opened.lora(number) for number in (1, 2)))


def request_of(bench: Bench) -> Any:
    worn = bench.wearing(*(Path(key) for key in bench.catalog.adapters))
    return bench.request(steps=2, adapters=worn)


def painted(bench: Bench) -> Any:
    return bench.paint(request_of(bench)).images[0].image


def far(one: Any, other: Any) -> int:
    """The largest difference of two images."""
    return int(np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16)).max())


def held(bench: Bench) -> Any:
    """What a candidate may have replaced."""
    flags = [
        getattr(torch.backends.cuda.matmul, name)
        for name in ("allow_tf32", "allow_fp16_accumulation")
    ] + [getattr(torch.backends.cudnn, n) for n in ("allow_tf32", "benchmark", "deterministic")]
    processors = {name: id(each) for name, each in bench.resident.denoiser.attn_processors.items()}
    parameters = [
        (parameter.data_ptr(), parameter.stride())
        for name in ("unet", "vae")
        for parameter in bench.resident.network(name).parameters()
    ]
    functions = (pixels.decode, pixels._processor, Part._patch, bench.painter._kernels)
    return flags, processors, parameters, functions


@pytest.mark.parametrize("name", [c.name for c in CANDIDATES if not c.compiles])
def test_a_candidate_paints_and_leaves_everything_as_it_was(
    bench: Bench, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate: Candidate = BY_NAME[name]
    before = painted(bench)
    state = held(bench)
    if "graph" in name:
        cuda = FakeCuda(monkeypatch)
    with candidate.apply(bench):
        image = painted(bench)
        assert held(bench) != state or name == "vae-tf32"
        with pytest.raises(ZeroDivisionError), candidate.apply(bench):
            raise ZeroDivisionError  # and within itself
        assert painted(bench).tobytes() == image.tobytes()
    if "graph" in name:
        assert "captured" in cuda.log
        monkeypatch.undo()
    if name == "batched-addmm":  # its sums are not to be seen after it
        assert all(part._filled is None for part in bench.resident.parts.values())
    assert far(image, before) <= (0 if candidate.same_bits else 12)
    assert held(bench) == state
    assert painted(bench).tobytes() == before.tobytes()
    assert held(bench) == state


def test_names_are_unique() -> None:
    assert len(BY_NAME) == len(CANDIDATES)


def test_bytes_on_the_device_are_those_of_diffusers() -> None:
    sixteen = torch.arange(2**16, dtype=torch.int32).to(torch.int16)
    halves = (torch.arange(255) + 0.5) / 255 * 2 - 1
    bits = halves.view(torch.int32)
    near = (bits[:, None] + torch.arange(-128, 128)).int().view(torch.float32)
    for values in (sixteen.view(torch.float16), sixteen.view(torch.bfloat16), near.flatten()):
        finite = values[values.isfinite()]
        finite = finite[: len(finite) // 3 * 3].reshape(1, 3, 1, -1)
        processor = VaeImageProcessor()
        theirs = np.asarray(processor.postprocess(finite, output_type="pil")[0])
        (ours,) = vae._OnDevice(processor).postprocess(finite, output_type="pil")
        assert np.array_equal(np.asarray(ours), theirs)


def test_a_scaled_decoder_computes_the_same_with_smaller_activations() -> None:
    torch.manual_seed(0)
    model = AutoencoderKL(
        block_out_channels=(32, 64),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
    )
    decoder = model.decoder.double().eval().requires_grad_(False)
    largest: list[float] = []
    decoder.conv_norm_out.register_forward_pre_hook(
        lambda _, given: largest.append(float(given[0].abs().max()))
    )
    latents = torch.randn(1, 4, 8, 8, dtype=torch.float64)
    before = decoder(latents)
    vae.scale_decoder(decoder, 2.0**-4)
    assert torch.allclose(decoder(latents), before, rtol=0, atol=1e-12)
    assert largest[1] == pytest.approx(largest[0] / 16)


def test_projections_are_fused_only_where_they_lie_side_by_side(bench: Bench) -> None:
    painted(bench)
    attentions = [
        module
        for name, module in bench.resident.denoiser.named_modules()
        if name.endswith(("attn1", "attn2"))
    ]
    sizes = set()
    for attention in attentions:
        layers = [attention.to_k.weight, attention.to_v.weight]
        fused = side_by_side(layers)
        if fused is not None:
            assert torch.equal(fused, torch.cat(layers))
            sizes.add(tuple(fused.shape))
    assert sizes
    assert side_by_side([torch.ones(2, 2), torch.ones(2, 2)]) is None


def test_the_full_size_model_can_fuse_every_attention() -> None:
    unet = sdxl_weights.on_meta(sdxl_weights.TRUE.parts()["unet"])
    slots = Part(unet, Formats(torch.float16), "cpu").layout.slots
    found = 0
    for name in slots:
        if name.endswith("to_q.weight"):
            query, key, value = (
                slots[name.replace("to_q", f"to_{each}")] for each in ("q", "k", "v")
            )
            if "attn1" in name:
                assert query.start + query.size == key.start
            assert key.start + key.size == value.start
            found += 1
    assert found == 140
