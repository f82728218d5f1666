"""Parameters in formats of their own: fp32 beside 16 bits, and 8 bits with a scale for each row."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch

torch.set_num_threads(1)

ROWS, COLUMNS = 48, 32


class Block(torch.nn.Module):
    """A first layer, a large one, and a norm; and angles that are made, not trained."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(COLUMNS, COLUMNS)
        self.large = torch.nn.Linear(COLUMNS, ROWS)
        self.norm_q = torch.nn.LayerNorm(ROWS)
        self.register_buffer("angles", torch.linspace(0, 1, 5, dtype=torch.float32))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = self.large(self.first(x))
        return hidden


def block() -> Block:
    from accelerate import init_empty_weights

    with init_empty_weights(include_buffers=False):
        return Block()


def tensors(dtype: torch.dtype, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    made = {}
    for name, tensor in Block().state_dict().items():
        if name == "angles":
            continue
        made[name] = (torch.randn(tensor.shape, generator=generator) * 0.02).to(dtype)
    return made


def part_of(formats: Any, weights: dict[str, torch.Tensor], cached: bool = True) -> Any:
    from bot.engine.weights import Part, WeightCache

    part = Part(block(), formats, "cpu")
    cache = WeightCache(2**20 if cached else 0, gpu=None)
    part.hold(cache.take("pristine", part.layout, lambda: weights, lambda: None))
    return part


def awake(formats: Any, weights: dict[str, torch.Tensor], cached: bool = True) -> Any:
    part = part_of(formats, weights, cached)
    part.wake(lambda: None)
    return part


def held(part: Any) -> dict[str, torch.Tensor]:
    """Every tensor of the module, copied."""
    module = part.module
    return {
        name: tensor.detach().clone()
        for name, tensor in (*module.named_parameters(), *module.named_buffers())
    }


def decoded(part: Any) -> torch.Tensor:
    """What the weight of `large` stands for."""
    large = part.module.large
    meant: torch.Tensor = large.weight.float() * large.scales
    return meant


def int8(dtype: torch.dtype = torch.float16) -> Any:
    from bot.engine.weights import Formats

    return Formats(dtype, int8=r"large")


def delta(size: float, seed: int = 5) -> torch.Tensor:
    return torch.randn(ROWS, COLUMNS, generator=torch.Generator().manual_seed(seed)) * size


def full(change: torch.Tensor) -> Any:
    from bot.engine.patches.algorithms import Full
    from bot.engine.patches.changes import WeightChange

    return WeightChange("denoiser", "large.weight", change.nbytes, Full(change))


def test_one_dtype_lies_in_the_buffer_as_ever() -> None:
    from bot.engine.weights import Formats, Layout

    layout = Layout.of(torch.nn.Linear(3, 50, device="meta"), Formats(torch.float16))
    assert [(s.start, s.size) for s in layout.slots.values()] == [(0, 300), (512, 100)]
    assert layout.size == 768
    assert layout.in_eight_bits(()) is layout
    assert Formats(torch.float16).plain
    assert str(Formats(torch.float16)) == "float16"


@pytest.mark.parametrize("cached", [True, False])
def test_norms_stay_in_fp32_beside_16_bits(cached: bool) -> None:
    """As diffusers' `_keep_in_fp32_modules`, which names components of a path."""
    from bot.engine.weights import Formats

    formats = Formats(torch.bfloat16, fp32=("norm_q", "norm"))
    weights = tensors(torch.float32)
    part = awake(formats, weights, cached)
    found = held(part)
    assert found["norm_q.weight"].dtype is torch.float32
    assert torch.equal(found["norm_q.weight"], weights["norm_q.weight"])
    assert torch.equal(found["large.weight"], weights["large.weight"].bfloat16())
    assert found["first.bias"].dtype is torch.bfloat16
    part.park()
    assert {p.dtype for p in part.module.norm_q.parameters()} == {torch.float32}
    assert {p.device.type for p in part.module.parameters()} == {"meta"}
    part.wake(lambda: None)
    assert all(torch.equal(held(part)[name], tensor) for name, tensor in found.items())
    assert not formats.plain
    assert str(formats) == "bfloat16, norm_q norm in float32"


def test_a_norm_in_fp32_is_patched_in_fp32() -> None:
    from bot.engine.patches.changes import BiasChange
    from bot.engine.weights import Formats

    weights = tensors(torch.float32)
    part = part_of(Formats(torch.bfloat16, fp32=("norm_q",)), weights)
    change = torch.full((ROWS,), 1e-4)
    part.set_changes({"norm_q.bias": [(1.0, BiasChange("denoiser", "norm_q.bias", change, 1.0))]})
    part.wake(lambda: None)
    assert torch.equal(part.module.norm_q.bias, weights["norm_q.bias"] + 1e-4)
    part.set_changes({})
    part.wake(lambda: None)
    assert torch.equal(part.module.norm_q.bias, weights["norm_q.bias"])


def test_two_choices_of_formats_do_not_share_what_is_kept_in_ram() -> None:
    from bot.engine.weights import Formats, Layout, WeightCache

    cache = WeightCache(2**20, gpu=None)
    weights = tensors(torch.float32)
    for formats in (Formats(torch.bfloat16), Formats(torch.bfloat16, fp32=("norm_q",))):
        layout = Layout.of(block(), formats)
        kept = cache.take("same", layout, lambda: weights, lambda: None)
        assert kept.tensor("norm_q.weight").dtype is layout.slots["norm_q.weight"].dtype


def test_what_a_module_makes_keeps_its_dtype() -> None:
    """The angles of a rotary embedding are made in fp32, and read in fp32 by transformers."""
    from bot.engine.weights import Formats

    part = awake(Formats(torch.float16), tensors(torch.float16))
    assert part.module.angles.dtype is torch.float32
    assert torch.equal(part.module.angles, torch.linspace(0, 1, 5))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("cached", [True, False])
def test_a_row_in_8_bits_is_its_largest_number_over_127(dtype: torch.dtype, cached: bool) -> None:
    weights = tensors(dtype)
    part = awake(int8(dtype), weights, cached)
    large = part.module.large
    weight = weights["large.weight"].float()
    scales = weight.abs().amax(1, keepdim=True) / torch.tensor(127.0)
    assert large.weight.dtype is torch.int8
    assert torch.equal(large.scales, scales)
    assert torch.equal(large.weight.float(), (weight / scales).round())
    assert torch.equal(large.weight.abs().amax(1), torch.full((ROWS,), 127, dtype=torch.int8))
    assert part.module.first.weight.dtype is dtype
    assert large.bias.dtype is dtype


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_layer_in_8_bits_multiplies_by_what_its_numbers_stand_for(dtype: torch.dtype) -> None:
    part = awake(int8(dtype), tensors(dtype))
    large = part.module.large
    x = torch.randn(6, COLUMNS, generator=torch.Generator().manual_seed(1)).to(dtype)
    expected = torch.nn.functional.linear(x, decoded(part).to(dtype), large.bias)
    for inference in (True, False):
        with torch.inference_mode(inference), torch.no_grad():
            found = large(x)
        assert found.dtype is dtype
        assert torch.equal(found, expected)


@pytest.mark.long
def test_a_layer_in_8_bits_compiles_to_the_same() -> None:
    part = awake(int8(torch.float32), tensors(torch.float32))
    x = torch.randn(6, COLUMNS)
    compiled: Any = torch.compile(part.module, backend="eager", fullgraph=True)
    with torch.inference_mode():
        assert torch.equal(compiled(x), part.module(x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("cached", [True, False])
def test_a_patched_matrix_is_the_sum_from_the_pristine_one_encoded(
    dtype: torch.dtype, cached: bool
) -> None:
    from bot.engine.weights.eight_bits import encode

    weights = tensors(dtype)
    pristine = weights["large.weight"].clone()
    part = awake(int8(dtype), weights, cached)
    before = held(part)
    changes = [(1.0, delta(2e-3)), (-0.5, delta(5e-4, 6))]
    part.set_changes({"large.weight": [(weight, full(change)) for weight, change in changes]})
    part.wake(lambda: None)
    total = pristine.float()
    for weight, change in changes:
        total = total + weight * change
    numbers, scales = torch.empty(ROWS, COLUMNS, dtype=torch.int8), torch.empty(ROWS, 1)
    encode(total, numbers, scales)
    assert torch.equal(part.module.large.weight, numbers)
    assert torch.equal(part.module.large.scales, scales)
    assert torch.equal(weights["large.weight"], pristine)
    part.set_changes({})
    part.wake(lambda: None)
    assert all(torch.equal(held(part)[name], tensor) for name, tensor in before.items())


def random_set(chance: random.Random) -> dict[str, list[tuple[float, Any]]]:
    """Up to three changes, of kinds that read the base and that do not."""
    from bot.engine.patches.algorithms import IA3, LoRA
    from bot.engine.patches.changes import BiasChange, Decomposed, WeightChange

    def some(*shape: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(chance.randrange(4))
        return torch.randn(shape, generator=generator) * 0.1

    low = LoRA(some(4, COLUMNS), some(ROWS, 4), None, 0.5)
    kinds = [
        WeightChange("denoiser", "large.weight", 0, low),
        WeightChange("denoiser", "large.weight", 0, IA3(1 + some(ROWS), on_input=False)),
        Decomposed("denoiser", "large.weight", 0, low, 1 + some(ROWS), 0),
        full(delta(1e-3)),
    ]
    wanted: dict[str, list[tuple[float, Any]]] = {}
    for _ in range(chance.randrange(4)):
        weighted = (chance.choice([0.5, 1.0, -1.0]), chance.choice(kinds))
        wanted.setdefault("large.weight", []).append(weighted)
    if chance.random() < 0.5:
        bias = BiasChange("denoiser", "large.bias", some(ROWS), 1.0)
        wanted["large.bias"] = [(1.0, bias)]
    return wanted


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("cached", [True, False])
def test_100_sets_leave_nothing_behind(dtype: torch.dtype, cached: bool) -> None:
    chance = random.Random(3)
    weights = tensors(dtype)
    part = awake(int8(dtype), weights, cached)
    pristine = held(part)
    addresses = [parameter.data_ptr() for parameter in part.module.parameters()]
    for number in range(100):
        wanted = random_set(chance)
        part.set_changes(wanted)
        match chance.randrange(6):
            case 0:
                part.park()
            case 1:
                part.give_up()
                addresses = []
        part.wake(lambda: None)
        addresses = addresses or [parameter.data_ptr() for parameter in part.module.parameters()]
        if number % 10 == 0:
            fresh = part_of(int8(dtype), weights, cached)
            fresh.set_changes(wanted)
            fresh.wake(lambda: None)
            assert all(torch.equal(held(part)[n], each) for n, each in held(fresh).items())
    part.set_changes({})
    part.wake(lambda: None)
    assert all(torch.equal(held(part)[name], tensor) for name, tensor in pristine.items())


def test_a_parked_layer_in_8_bits_says_so() -> None:
    part = awake(int8(), tensors(torch.float16))
    parameters = list(part.module.parameters())
    part.park()
    assert {p.untyped_storage().nbytes() for p in parameters} == {0}
    assert {p.device.type for p in part.module.parameters()} == {"meta"}
    with pytest.raises((RuntimeError, NotImplementedError)):
        part.module(torch.zeros(1, COLUMNS, dtype=torch.float16)).tolist()
    part.wake(lambda: None)
    assert all(now is was for now, was in zip(part.module.parameters(), parameters, strict=True))


def test_a_stopped_job_leaves_weights_that_are_filled_again() -> None:
    from bot.engine.patches.changes import BiasChange

    weights = tensors(torch.float16)
    part = awake(int8(), weights)
    pristine = held(part)
    calls = 0

    def stop() -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt

    bias = BiasChange("denoiser", "large.bias", torch.ones(ROWS), 1.0)
    both = {"large.weight": [(1.0, full(delta(1e-3)))], "large.bias": [(1.0, bias)]}
    part.set_changes(both)
    with pytest.raises(KeyboardInterrupt):
        part.wake(stop)
    assert not part.filled
    part.set_changes({})
    part.wake(lambda: None)
    assert all(torch.equal(held(part)[name], tensor) for name, tensor in pristine.items())


@pytest.mark.parametrize("limit", [1, 4096, 10_000, 2**27])
def test_the_windows_that_plain_weights_pass_through_change_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: int
) -> None:
    from safetensors.torch import save_file

    from bot.engine.networks import stored
    from bot.engine.weights import Part, PristineWeights, cache

    weights = tensors(torch.float16)
    expected = held(awake(int8(), weights))
    monkeypatch.setattr(cache, "WINDOW", limit)
    save_file(weights, tmp_path / "block.safetensors")
    part = Part(block(), int8(), "cpu")
    found = stored([tmp_path / "block.safetensors"])
    part.hold(PristineWeights("pristine", part.layout, None, found))
    part.wake(lambda: None)
    assert all(torch.equal(held(part)[name], tensor) for name, tensor in expected.items())
    through_ram = awake(int8(), weights)
    assert all(torch.equal(held(through_ram)[name], each) for name, each in expected.items())


@pytest.mark.parametrize("int8", [(), ("large.weight",), ("first.weight", "large.weight")])
def test_windows_are_neighbours_and_nothing_is_left_out(int8: tuple[str, ...]) -> None:
    from bot.engine.weights import Formats, Layout

    layout = Layout.of(block(), Formats(torch.float16)).in_eight_bits(int8)
    for limit in (1, 3000, 2**20):
        windows = list(layout.windows(limit))
        names = [name for _, group in windows for name in group.slots]
        assert names == list(layout.slots)
        assert sum(group.size for _, group in windows) == layout.size
        for begin, group in windows:
            assert group.size <= limit or len(group.slots) == 1
            for name, slot in group.slots.items():
                assert layout.slots[name] == slot.moved(begin)
                assert slot.end <= group.size


def test_only_a_plain_linear_layer_may_be_in_8_bits() -> None:
    """The attention of torch reads the weight of its output layer beside it."""
    from bot.engine.weights import Formats, Part

    module = torch.nn.Sequential(torch.nn.MultiheadAttention(8, 2, device="meta"))
    with pytest.raises(ValueError, match=r"0\.out_proj is a NonDynamicallyQuantizableLinear"):
        Part(module, Formats(torch.float16, int8=r".+"), "cpu")


def test_adapters_find_a_layer_in_8_bits_as_the_linear_one_that_it_is() -> None:
    from bot.engine.patches import Target

    part = part_of(int8(), tensors(torch.float16))
    before = Target.of("denoiser", "large", block().large)
    assert before == Target.of("denoiser", "large", part.module.large)
    assert before is not None
