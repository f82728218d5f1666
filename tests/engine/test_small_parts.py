"""Schedulers, hashes, headers, the tiny model: each on its own."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bot.engine.hashing import HashCache
from catalog import SCHEDULERS
from tests.engine.factories import TINY

ROOT = Path(__file__).parents[2]

SDXL = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "timestep_spacing": "leading",
    "steps_offset": 1,
}


def test_the_catalog_offers_exactly_what_the_engine_has(models_dir: Path) -> None:
    from bot.engine import sampling

    assert set(SCHEDULERS) == set(sampling.SCHEDULERS)


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("steps", [1, 4, 7, 30, 51, 100])
def test_every_scheduler_takes_the_steps_asked_for(models_dir: Path, name: str, steps: int) -> None:
    from bot.engine import sampling

    scheduler = sampling.build(name, SDXL, steps)
    scheduler.set_timesteps(steps)
    evaluations = len(scheduler.timesteps)
    assert scheduler.order == (2 if name == "Heun" else 1)
    assert evaluations == (2 * steps - 1 if name == "Heun" else steps)
    text = json.dumps(sampling.describe(scheduler), allow_nan=False)
    assert json.loads(text)["beta_schedule"] == "scaled_linear"


def test_a_models_own_sampler_does_not_leak_into_the_one_asked_for(models_dir: Path) -> None:
    from bot.engine import sampling

    own = {**SDXL, "use_karras_sigmas": True, "algorithm_type": "sde-dpmsolver++"}
    own |= {"prediction_type": "v_prediction", "clip_sample": True}
    for name in SCHEDULERS:
        config = sampling.build(name, own, 8).config
        assert config["prediction_type"] == "v_prediction"
        assert bool(config.get("use_karras_sigmas")) == name.endswith("Karras")
        assert ("sde" in config.get("algorithm_type", "")) == ("SDE" in name)
        assert not config.get("clip_sample")
    assert sampling.build("Euler trailing", own, 8).config.timestep_spacing == "trailing"
    assert sampling.build("Euler", own, 8).config.timestep_spacing == "leading"


def never(_: float) -> None:
    raise AssertionError("hashed again")


def ignore(_: float) -> None:
    pass


def test_a_file_is_hashed_once_until_it_changes(tmp_path: Path) -> None:
    file, book = tmp_path / "weights", tmp_path / "deep" / "hashes.json"
    file.write_bytes(b"first")
    fractions: list[float] = []
    digest = HashCache(book).of_file(file, fractions.append)
    assert digest == hashlib.sha256(b"first").hexdigest()
    assert fractions == [1.0]
    assert HashCache(book).of_file(file, never) == digest
    file.write_bytes(b"other bytes")
    assert HashCache(book).of_file(file, ignore) == hashlib.sha256(b"other bytes").hexdigest()
    assert {path.name for path in book.parent.iterdir()} == {"hashes.json", "hashes.json.lock"}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": 1}', "\x00"])
def test_a_broken_book_only_costs_time(tmp_path: Path, content: str) -> None:
    file, book = tmp_path / "weights", tmp_path / "hashes.json"
    file.write_bytes(b"first")
    book.write_text(content)
    assert HashCache(book).of_file(file, ignore) == hashlib.sha256(b"first").hexdigest()
    assert HashCache(book).of_file(file, never)


def test_a_folder_is_hashed_as_sha256sum_prints_it(tmp_path: Path) -> None:
    names = ["b", "sub/a"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    lines = [f"{hashlib.sha256(name.encode()).hexdigest()}  {name}\n" for name in names]
    fractions: list[float] = []
    book = HashCache(tmp_path / "hashes.json")
    digest = book.of_files(tmp_path, [tmp_path / name for name in names], fractions.append)
    assert digest == hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_the_digests_of_an_adapter_are_kept_until_it_changes(tmp_path: Path) -> None:
    file, book = tmp_path / "adapter", tmp_path / "hashes.json"
    file.write_bytes(b"a long header, tensors")
    assert HashCache(book).known(file, file.stat()) is None
    HashCache(book).of_file(file, ignore)
    assert HashCache(book).known(file, file.stat()) is None  # not both
    HashCache(book).note(file, file.stat(), ("whole", "data"))
    assert HashCache(book).known(file, file.stat()) == ("whole", "data")
    assert HashCache(book).of_file(file, never) == "whole"
    os.utime(file, ns=(1, 1))
    assert HashCache(book).known(file, file.stat()) is None


def test_what_one_cache_finds_the_others_know(tmp_path: Path) -> None:
    """Several engines keep their digests in one file: none writes over what another found."""
    book = tmp_path / "hashes.json"
    files = [tmp_path / name for name in ("a", "b")]
    for file in files:
        file.write_bytes(file.name.encode())
    first, second = HashCache(book), HashCache(book)
    first.of_file(files[0], ignore)
    second.of_file(files[1], ignore)
    for cache in (first, second, HashCache(book)):
        for file in files:
            assert cache.whole(file) == hashlib.sha256(file.name.encode()).hexdigest()


@pytest.mark.long
def test_caches_of_several_processes_lose_nothing_to_each_other(tmp_path: Path) -> None:
    note = (
        "import sys; from pathlib import Path; from bot.engine.hashing import HashCache\n"
        "cache = HashCache(Path(sys.argv[1])); print(flush=True); input()\n"
        "for n in range(60): cache._note({f'{sys.argv[2]}{n}': 'stamp=digest'})\n"
    )
    book = tmp_path / "hashes.json"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", note, str(book), name],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for name in ("a", "b")
    ]
    for process in running:
        assert process.stdout is not None
        process.stdout.readline()  # it has read the file
    for process in running:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    for process in running:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert len(json.loads(book.read_text())) == 120


def test_what_was_hashed_elsewhere_is_not_hashed_again(tmp_path: Path) -> None:
    file, book = tmp_path / "weights", tmp_path / "hashes.json"
    file.write_bytes(b"first")
    HashCache(book).note_file(file, "elsewhere")
    assert HashCache(book).of_file(file, never) == "elsewhere"
    os.utime(file, ns=(1, 1))
    assert HashCache(book).whole(file) is None


def test_hashing_can_be_stopped(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"first")
    with pytest.raises(AssertionError):
        HashCache(tmp_path / "hashes.json").of_file(file, never)
    assert not (tmp_path / "hashes.json").exists()


def test_the_tiny_model_is_always_the_same(models_dir: Path, tmp_path: Path) -> None:
    import torch

    from tests.engine.families.sdxl import tiny_model

    torch.manual_seed(99)
    tiny_model.build(tmp_path / "again")
    digests = [
        hashlib.sha256((folder / "unet/diffusion_pytorch_model.safetensors").read_bytes())
        for folder in (models_dir / TINY, tmp_path / "again")
    ]
    assert digests[0].hexdigest() == digests[1].hexdigest()


def test_the_tiny_model_knows_words(models_dir: Path) -> None:
    from transformers import CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(models_dir / TINY / "tokenizer")
    assert len(tokenizer("a fox in the snow").input_ids) == 2 + 5


@pytest.mark.parametrize(
    ("gib", "profile"),
    [
        *((7.6, "8gb"), (9.8, "8gb"), (10.7, "11gb"), (11.6, "11gb")),
        *((15.6, "16gb"), (19.6, "16gb"), (23.5, "full"), (79.0, "full")),
    ],
)
def test_a_cards_profile_is_told_by_what_the_driver_says_it_has(gib: float, profile: str) -> None:
    from bot.engine.memory import Profile, profile_for

    assert profile_for("auto", int(gib * 2**30)) == profile
    assert profile_for("8gb", int(gib * 2**30)) is Profile.GB8


def test_the_largest_picture_in_one_piece_fits_the_smallest_card_of_a_profile() -> None:
    """By the figures in the family's memory.py, with 0.7 GiB for what torch does not count."""
    from bot.engine.families.sdxl.memory import WHOLE
    from bot.engine.memory import SMALLEST, plan

    for profile, least in SMALLEST.items():
        planned = plan(profile, WHOLE, 1024, 1024, upcast=False)
        weights = 4.8 * (not planned.park_denoiser) + 0.2
        weights += 1.5 * (not planned.park_text_encoders) + 0.7 * (not planned.park_reference)
        assert weights + 4.3 * WHOLE[profile] / 1024**2 + 0.7 <= least, profile


def test_a_cpu_needs_twice_the_memory_for_numbers_twice_as_wide(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.engine.environment import Place

    monkeypatch.setattr(Place, "ram", 24 * 2**30)
    assert Place("cpu", "float32").capacity == 12 * 2**30
    assert Place("cpu", "bfloat16").capacity == 24 * 2**30
