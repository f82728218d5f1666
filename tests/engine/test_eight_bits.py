"""Weights in 8 bits: what they stand for, and how far that is from what they were."""

import pytest
import torch

torch.set_num_threads(1)


def test_rows_of_zeros_and_of_tiny_numbers_stay_what_they_are() -> None:
    from bot.engine.weights.eight_bits import encode

    weight = torch.zeros(4, 8)
    weight[1] = 2.5e-43  # its scale has one significant bit
    weight[2, 3] = float("nan")
    weight[3, 4] = float("inf")
    numbers, scales = torch.empty(4, 8, dtype=torch.int8), torch.empty(4, 1)
    encode(weight, numbers, scales)
    assert not numbers[0].any()
    assert not scales[0].any()
    assert numbers[1].tolist() == [127] * 8
    assert not scales[2:].isfinite().any()


def test_pieces_of_a_matrix_are_encoded_as_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    from bot.engine.weights import eight_bits

    weight = torch.randn(48, 32, generator=torch.Generator().manual_seed(5))
    found = []
    for most in (2**24, 5 * 32, 1):
        monkeypatch.setattr(eight_bits, "AT_ONCE", most)
        numbers, scales = torch.empty(48, 32, dtype=torch.int8), torch.empty(48, 1)
        eight_bits.encode(weight, numbers, scales)
        found.append((numbers, scales))
    assert all(torch.equal(a, b) for each in found for a, b in zip(each, found[0], strict=True))


def stands_for(weight: torch.Tensor) -> torch.Tensor:
    from bot.engine.weights.eight_bits import encode

    numbers = torch.empty(weight.shape, dtype=torch.int8)
    scales = torch.empty(len(weight), 1)
    encode(weight, numbers, scales)
    return numbers * scales


def error(found: torch.Tensor, weight: torch.Tensor, x: torch.Tensor) -> float:
    """Of W·x, as a fraction of it."""
    return float(((found - weight) @ x).norm() / (weight @ x).norm())


@pytest.mark.parametrize(("sigma", "noise"), [(2e-3, 0.11), (5e-4, 0.45), (1e-4, 1.8)])
def test_a_lora_is_kept_in_the_mean(sigma: float, noise: float) -> None:
    """Encoding anew after patching: the sum is as well represented as the bare matrix, and what an
    adapter adds is neither lost nor swollen, however small it is beside a step of the numbers."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    weight, x = normal(1024, 1024) * 0.02, normal(1024, 64)
    added = normal(1024, 32) @ normal(32, 1024)
    added *= sigma / added.std()
    bare, patched = stands_for(weight), stands_for(weight + added)
    assert error(bare, weight, x) == pytest.approx(0.008, abs=5e-4)
    assert error(patched, weight + added, x) == pytest.approx(0.008, abs=5e-4)
    difference = patched - bare
    kept = float((difference * added).sum() / added.square().sum())
    assert kept == pytest.approx(1.0, abs=0.005)
    rest = (difference - added).norm() / added.norm()
    assert float(rest) == pytest.approx(noise, rel=0.1)


def test_8_bit_floats_of_the_same_size_would_be_three_times_as_far_off() -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(1024, 1024, generator=generator) * 0.02
    x = torch.randn(1024, 64, generator=generator)
    scale = weight.abs().amax(1, keepdim=True) / 448
    floats = (weight / scale).to(torch.float8_e4m3fn).float() * scale
    assert error(floats, weight, x) > 3 * error(stands_for(weight), weight, x)
