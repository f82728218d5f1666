"""Models in .gguf files are painted as the numbers that their blocks stand for."""

import random
from pathlib import Path

import pytest

from bot.engine import Engine
from bot.errors import JobFailed
from catalog.weight_files.gguf import BLOCKS
from tests.engine.factories import (
    TINY,
    catalog,
    digests,
    kohya_lora,
    model,
    paint,
    request,
    save,
    single_file,
)
from tests.engine.hub_server import contents, hub_server
from tests.gguf_files import SIZES, Tensor, blocks, gguf, plain, stands_for, written

MATRICES = ("attn1.to_q.weight", "attn1.to_v.weight", "ff.net.2.weight")
"""Of the UNet; what a block stands for is computed number by number here."""


def packed(models_dir: Path, folder: Path, kinds: tuple[str, ...]) -> tuple[Path, Path]:
    """The tiny model with its matrices in blocks of all `kinds`, and what that stands for.

    The numbers are random: only what they are read as matters here.
    """
    import torch
    from safetensors.torch import load_file

    chance = random.Random(4)
    tensors: dict[str, Tensor] = {}
    meant = {}
    whole = load_file(single_file(models_dir / TINY, folder / "whole.safetensors"))
    for number, (name, tensor) in enumerate(whole.items()):
        kind = kinds[number % len(kinds)]
        side = SIZES[kind][0]
        if name.endswith(MATRICES) and tensor.shape[1] % side == 0:
            raw = blocks(chance, kind, tensor.numel() // side)
            tensors[name] = (kind, tuple(tensor.shape), raw)
            meant[name] = torch.tensor(stands_for(kind, raw)).view(tensor.shape)
        else:
            meant[name] = tensor.to([torch.float32, torch.float16, torch.bfloat16][number % 3])
            tensors[name] = plain(meant[name])
    assert {kind for kind, _, _ in tensors.values()} == {*kinds, "F32", "F16", "BF16"}
    return (
        written(folder / "model.gguf", tensors, metadata={"general.architecture": "sdxl"}),
        save(folder / "meant.safetensors", meant),
    )


KINDS = tuple(kind for kind in BLOCKS if SIZES[kind][0] == 32)


def test_a_checkpoint_is_painted_as_what_it_stands_for(
    engine: Engine, models_dir: Path, tmp_path: Path
) -> None:
    file, meant = packed(models_dir, tmp_path, KINDS)
    offered = catalog(
        [model(each.stem, str(each), config=TINY) for each in (file, meant)],
        a=kohya_lora(tmp_path / "a.safetensors"),
    )
    for adapters in ((), (("a", 0.7),)):
        one, other = (
            paint(engine, request(*adapters, model=key), offered) for key in ("model", "meant")
        )
        assert digests(one) == digests(other)
        assert one.recipe.checkpoint
        assert one.recipe.checkpoint.sha256 != other.recipe.checkpoint.sha256  # type: ignore[union-attr]
    assert digests(one) != digests(paint(engine, request(("a", 0.7)), offered))


@pytest.mark.long
def test_one_of_a_folder_is_found_by_its_name_or_alone(
    engine: Engine, models_dir: Path, tmp_path: Path
) -> None:
    file, meant = packed(models_dir, tmp_path, KINDS)
    folder = tmp_path / "several"
    folder.mkdir()
    file.rename(folder / "big-Q8_0.gguf")
    offered = catalog(
        [
            model("meant", str(meant), config=TINY),
            model("alone", str(folder), config=TINY),
            model("named", str(folder), weight_name="big-Q8_0.gguf", config=TINY),
        ]
    )
    expected = digests(paint(engine, request(model="meant"), offered))
    for key in ("alone", "named"):
        assert digests(paint(engine, request(model=key), offered)) == expected, key
    (folder / "other-Q4_0.gguf").write_bytes(b"x")
    assert digests(paint(engine, request(model="named"), offered)) == expected
    with pytest.raises(JobFailed) as failure:
        paint(engine, request(model="alone"), offered)
    assert failure.value.code == "model.choose_file"
    assert failure.value.params["files"] == "big-Q8_0.gguf, other-Q4_0.gguf"


@pytest.mark.long
def test_one_file_of_a_repository_is_downloaded(
    engine: Engine, models_dir: Path, tmp_path: Path
) -> None:
    file, meant = packed(models_dir, tmp_path, KINDS)
    there = catalog([model("meant", str(meant), config=TINY)])
    expected = digests(paint(engine, request(model="meant"), there))
    entry = model("remote", "org/files", weight_name="deep/big-Q8_0.gguf", config="org/model")
    offered, asked = catalog([entry]), request(model="remote")
    with hub_server() as hub:
        hub.repositories["org/model"] = contents(models_dir / TINY)
        hub.repositories["org/files"] = {
            "deep/big-Q8_0.gguf": file.read_bytes(),
            "deep/big-Q4_0.gguf": b"never downloaded",
            "deep/big.safetensors": b"never downloaded",
            "README.md": b"never downloaded",
        }
        own = Engine(
            models_dir=tmp_path / "models", hashes_file=tmp_path / "h.json", hub_endpoint=hub.url
        )
        assert digests(paint(own, asked, offered)) == expected
        weights = [name for name in hub.fetched() if not name.endswith((".json", ".txt"))]
        assert weights == ["deep/big-Q8_0.gguf"]
        hub.repositories["org/files"] = {"big-Q8_0.gguf": file.read_bytes()}
        only = model("remote", "org/files", config="org/model", revision="main")
        fresh = Engine(
            models_dir=tmp_path / "again", hashes_file=tmp_path / "g.json", hub_endpoint=hub.url
        )
        assert digests(paint(fresh, asked, catalog([only]))) == expected
        for each in (own, fresh):
            each.close()
    offline = Engine(models_dir=tmp_path / "models", hashes_file=tmp_path / "h.json")
    assert digests(paint(offline, asked, offered)) == expected
    offline.close()


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
@pytest.mark.long
def test_a_denoiser_alone_is_completed_by_its_configuration(
    engine: Engine, models_dir: Path, tmp_path: Path, prefix: str
) -> None:
    """As they circulate: in Stability's names, usually without what comes before them."""
    from safetensors.torch import load_file

    before = "model.diffusion_model."
    whole = load_file(single_file(models_dir / TINY, tmp_path / "whole.safetensors"))
    alone = {
        prefix + name.removeprefix(before): plain(tensor)
        for name, tensor in whole.items()
        if name.startswith(before)
    }
    file = written(tmp_path / "unet.GGUF", alone, metadata={"general.architecture": "sdxl"})
    painting = paint(engine, request(model="m"), catalog([model("m", str(file), config=TINY)]))
    assert digests(painting) == digests(paint(engine, request()))
    assert [part.name for part in painting.recipe.parts] == [
        f"{TINY}/{network}" for network in ("text_encoder", "text_encoder_2", "vae")
    ]


@pytest.mark.long
def test_a_vae_may_be_one(engine: Engine, models_dir: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    vae = load_file(models_dir / "other" / "vae" / "diffusion_pytorch_model.safetensors")
    file = written(tmp_path / "vae.gguf", {name: plain(each) for name, each in vae.items()})
    found, expected = (
        digests(paint(engine, request(model="m"), catalog([model("m", TINY, vae_path=path)])))
        for path in (str(file), str(models_dir / "other" / "vae"))
    )
    assert found == expected != digests(paint(engine, request()))


@pytest.mark.long
def test_it_may_be_stored_in_8_bits_on_the_device(models_dir: Path, tmp_path: Path) -> None:
    file, meant = packed(models_dir, tmp_path, KINDS)
    hashes = tmp_path / "hashes.json"
    offered = catalog([model(each.stem, str(each), config=TINY) for each in (file, meant)])
    eight = Engine(models_dir=models_dir, hashes_file=hashes, weights="int8")
    found = [digests(paint(eight, request(model=key), offered)) for key in ("model", "meant")]
    eight.close()
    assert found[0] == found[1]


def refused(engine: Engine, path: Path) -> JobFailed:
    with pytest.raises(JobFailed) as failure:
        paint(engine, request(model="m"), catalog([model("m", str(path), config=TINY)]))
    return failure.value


def test_what_cannot_be_read_is_refused_by_name(
    engine: Engine, models_dir: Path, tmp_path: Path
) -> None:
    file, _ = packed(models_dir, tmp_path, ("Q8_0",))
    whole = file.read_bytes()
    file.write_bytes(whole[:-100])
    cut = refused(engine, file)
    assert cut.code == "model.not_gguf"
    assert cut.params["file"] == "model.gguf"
    assert "cut off" in str(cut.params["reason"])
    odd = {"model.diffusion_model.x.weight": ("IQ4_XS", (1, 256), bytes(136))}
    file.write_bytes(gguf(odd))
    unknown = refused(engine, file)
    assert unknown.code == "model.quantised"
    assert "IQ4_XS" in str(unknown.params["reason"])


def test_a_file_of_another_kind_is_no_gguf_file(
    engine: Engine, models_dir: Path, tmp_path: Path
) -> None:
    pickled = tmp_path / "model.gguf"
    pickled.write_bytes(b"PK\x03\x04" + bytes(1000))
    assert refused(engine, pickled).code == "model.not_gguf"
