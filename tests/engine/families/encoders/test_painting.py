"""A text encoder of its own gives the same image in whatever files it comes, for every family that
takes one."""

import hashlib
import json
import logging
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import torch

from bot.engine import Engine
from bot.engine.hashing import HashCache, of_listing
from bot.engine.memory import ROOM
from bot.engine.weights.blocks import unpacked
from catalog.families import TEXT_ENCODER, VAE
from tests.catalog.weight_files.headers import shapes_of
from tests.engine.factories import catalog, digests, model, paint, pair, request, resident, save
from tests.engine.families.encoders.files import (
    ASKED,
    LAYOUTS,
    READING,
    alone,
    causal,
    of_llama,
    spelt,
    stated,
)
from tests.engine.families.flux2.files import scaled, stored, write
from tests.gguf_files import blocks, plain, stands_for, written
from tests.parameters import mostly_long


@pytest.mark.parametrize("layout", mostly_long(LAYOUTS[::-1], usual=4))
@pytest.mark.parametrize("family", mostly_long(READING, usual=["flux2"]))
def test_the_image_is_that_of_the_pipeline_with_this_text_encoder(
    painter: Engine,
    folders: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    family: str,
    layout: str,
) -> None:
    caplog.set_level(logging.WARNING, "bot.engine")
    encoder = spelt(layout, folders / f"{family}-other", tmp_path)
    own, wanted, found = (
        paint(painter, ASKED, catalog([model("x", path, family=family, text_encoder_path=instead)]))
        for path, instead in ((family, None), (f"{family}-other", None), (family, str(encoder)))
    )
    assert digests(found) == digests(wanted) != digests(own)
    assert not caplog.records
    assert own.recipe.text_encoder is None
    assert found.recipe.text_encoder
    assert found.recipe.text_encoder.name == encoder.name
    assert found.recipe.parts == ()
    if encoder.is_file():
        sha256 = hashlib.sha256(encoder.read_bytes()).hexdigest()
        assert found.recipe.text_encoder.sha256 == sha256


@pytest.mark.parametrize("family", mostly_long(READING, usual=["flux2"]))
def test_a_transformer_alone_takes_no_other(
    painter: Engine, folders: Path, tmp_path: Path, family: str
) -> None:
    config = Path(shutil.copytree(folders / family, tmp_path / "config"))
    file = alone(family, config, tmp_path / "base.safetensors")
    for weights in (config / TEXT_ENCODER).glob("*.safetensors"):
        weights.unlink()
    encoder = spelt("file of llama.cpp", folders / f"{family}-other", tmp_path)
    fields = {"config": str(config), "text_encoder_path": str(encoder), "family": family}
    found, wanted = (
        paint(painter, ASKED, catalog([model("x", str(path), **more)]))
        for path, more in ((file, fields), (folders / f"{family}-other", {"family": family}))
    )
    assert digests(found) == digests(wanted)
    assert [part.name.rpartition("/")[2] for part in found.recipe.parts] == ["vae"]


@pytest.mark.parametrize("family", mostly_long(READING, usual=["flux2"]))
def test_the_models_own_is_not_needed(
    painter: Engine, folders: Path, tmp_path: Path, family: str
) -> None:
    """Whether its weights are gone, broken or of a kind that is not read."""
    folder, other = Path(shutil.copytree(folders / family, tmp_path / "own")), f"{family}-other"
    for network in (TEXT_ENCODER, VAE):
        for weights in (folder / network).glob("*.safetensors"):
            weights.unlink()
        config = folder / network / "config.json"
        said = json.loads(config.read_text(encoding="utf-8"))
        said["quantization_config"] = {"quant_method": "bitsandbytes"}
        config.write_text(json.dumps(said), encoding="utf-8")
    broken = folder / VAE / "diffusion_pytorch_model.safetensors"
    broken.write_bytes(b"no weights at all")
    encoder = spelt("file", folders / other, tmp_path)
    vae = write(tmp_path / "vae.safetensors", stored(folders / family, VAE))
    instead = {"text_encoder_path": str(encoder), "vae_path": str(vae)}
    bare, whole, wanted = (
        paint(painter, ASKED, catalog([model("x", str(path), family=family, **fields)]))
        for path, fields in ((folder, instead), (folders / family, instead), (other, {}))
    )
    assert digests(bare) == digests(whole) == digests(wanted)
    found = [file for end in ("json", "txt", "safetensors") for file in folder.rglob(f"*.{end}")]
    read = [file for file in found if file != broken]
    names = ((file, file.relative_to(folder).as_posix()) for file in read)
    listed = [(name, hashlib.sha256(file.read_bytes()).hexdigest()) for file, name in names]
    assert bare.recipe.checkpoint
    assert bare.recipe.checkpoint.sha256 == of_listing(listed)


@pytest.mark.long
class TestShared:
    """One file of Qwen3-4B, which two families read to different layers."""

    @pytest.fixture
    def file(self, folders: Path, tmp_path: Path) -> Path:
        return spelt("file", folders / "zimage-other", tmp_path)

    @staticmethod
    def entry(family: str, file: Path) -> Any:
        return model(family, family, family=family, text_encoder_path=str(file))

    def test_each_reads_its_own_of_it(
        self, opened: Callable[..., Engine], folders: Path, tmp_path: Path, file: Path
    ) -> None:
        mixed = Path(shutil.copytree(folders / "flux2", tmp_path / "mixed"))
        shutil.copytree(
            folders / "zimage-other" / TEXT_ENCODER, mixed / TEXT_ENCODER, dirs_exist_ok=True
        )
        offered = catalog([self.entry(key, file) for key in ("flux2", "zimage")])
        apart = catalog(
            [
                model("flux2", str(mixed), family="flux2"),
                model("zimage", "zimage-other", family="zimage"),
            ]
        )
        engine, held = opened(model_cache=2**27), {}
        for key in ("flux2", "zimage", "flux2"):
            asked = request(model=key, guidance=1.0, steps=1)
            found = paint(engine, asked, offered)
            held[key] = resident(engine).parts[TEXT_ENCODER].digest
            assert digests(found) == digests(paint(engine, asked, apart))
            assert resident(engine).parts[TEXT_ENCODER].digest == held[key]
        assert held["flux2"] != held["zimage"]

    @pytest.mark.parametrize(
        "order",
        [("flux2", "zimage"), pytest.param(("zimage", "flux2"), marks=pytest.mark.long)],
    )
    def test_it_is_in_ram_once(
        self,
        opened: Callable[..., Engine],
        folders: Path,
        file: Path,
        order: tuple[str, str],
    ) -> None:
        lora = folders / "lora.safetensors"
        path, (out, width) = "layers.3.mlp.up_proj", (32, 16)
        down, up = pair((out, width))
        lora = save(
            lora,
            {
                f"text_encoder.model.{path}.lora_A.weight": down,
                f"text_encoder.model.{path}.lora_B.weight": up,
            },
        )
        offered = catalog([self.entry(key, file) for key in order], lora=lora)
        one, other = opened(model_cache=2**27), opened(model_cache=0)

        def asked(key: str) -> Any:
            adapters = (("lora", 2.0),) if key == "zimage" else ()
            return request(*adapters, model=key, guidance=1.0, steps=1)

        memory, sizes = [], []
        for key in (*order, *order):
            found = digests(paint(one, asked(key), offered))
            assert found == digests(paint(other, asked(key), offered))
            # No part is named here: it would hold its weights.
            memory.append(resident(one).parts[TEXT_ENCODER]._weights.memory)
            sizes.append(resident(one).parts[TEXT_ENCODER].layout.size)
        # Whichever came first, the deeper one is what stays.
        assert memory[1] is memory[3]
        assert memory[2] is memory[3]
        assert memory[3].buffer.nbytes == max(sizes)

    def test_its_digest_is_computed_once(
        self, opened: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch, file: Path
    ) -> None:
        noted: list[str] = []
        note = HashCache._note

        def watched(self: HashCache, found: Any) -> None:
            noted.extend(found)
            note(self, found)

        monkeypatch.setattr(HashCache, "_note", watched)
        engine = opened()
        said = []
        for key in ("flux2", "zimage"):
            asked = request(model=key, guidance=1.0, steps=1)
            recipe = paint(engine, asked, catalog([self.entry(key, file)])).recipe
            said.append(recipe.text_encoder)
        assert said[0] == said[1] is not None
        assert noted.count(f"{file}:0") == 1


@pytest.mark.parametrize("family", mostly_long(READING, usual=["flux2"]))
def test_scaled_8_bit_floats_are_multiplied_out(
    painter: Engine, folders: Path, tmp_path: Path, family: str
) -> None:
    found = []
    for number, tensors in enumerate(scaled(causal(folders / family), ".weight_scale")):
        file = write(tmp_path / f"{number}.safetensors", tensors)
        entry = model("x", family, family=family, text_encoder_path=str(file))
        found.append(digests(paint(painter, ASKED, catalog([entry]))))
    assert (
        found[0]
        == found[1]
        != digests(paint(painter, ASKED, catalog([model("x", family, family=family)])))
    )


@pytest.mark.parametrize("family", mostly_long(READING, usual=["flux2"]))
def test_blocks_of_llama_cpp_are_unpacked_as_far_as_they_are_read(
    painter: Engine, folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    chance, packed, meant = random.Random(7), {}, {}
    tensors = causal(folders / family)
    for name, tensor in of_llama(tensors).items():
        meant[name], packed[name] = tensor, plain(tensor)
        if tensor.ndim == 2 and tensor.shape[1] % 32 == 0:
            raw = blocks(chance, "Q8_0", tensor.numel() // 32)
            packed[name] = ("Q8_0", tuple(tensor.shape), raw)
            meant[name] = torch.tensor(stands_for("Q8_0", raw)).view(tensor.shape)
    read: list[Any] = []

    def watched(*given: Any) -> Any:
        read.append(given)
        return unpacked(*given)

    monkeypatch.setattr("bot.engine.networks.unpacked", watched)
    file = written(tmp_path / "q8.gguf", packed, metadata=stated(tensors))
    # What reads images tells the model, where no metadata do.
    meant |= {name: tensor for name, tensor in tensors.items() if ".visual." in name}
    other = write(tmp_path / "meant.safetensors", meant)
    found, wanted = (
        paint(
            painter,
            ASKED,
            catalog([model("x", family, family=family, text_encoder_path=str(path))]),
        )
        for path in (file, other)
    )
    assert digests(found) == digests(wanted)
    network = resident(painter).network(TEXT_ENCODER)
    layers = len(network.encoder.block if family == "chroma" else network.layers)
    assert len(read) == layers  # one matrix in each
    assert layers <= sum(kind == "Q8_0" for kind, _, _ in packed.values())


@pytest.mark.parametrize("family", mostly_long(READING, usual=1))
@pytest.mark.long
def test_in_8_bits_it_is_as_the_models_own(
    opened: Callable[..., Engine], folders: Path, tmp_path: Path, family: str
) -> None:
    encoder = spelt("file of llama.cpp", folders / f"{family}-other", tmp_path)
    engine = opened(weights="int8")
    found, wanted = (
        paint(engine, ASKED, catalog([model("x", path, family=family, text_encoder_path=instead)]))
        for path, instead in ((family, str(encoder)), (f"{family}-other", None))
    )
    assert digests(found) == digests(wanted)
    assert found.recipe.environment[f"{TEXT_ENCODER}_dtype"].endswith("int8")


@pytest.mark.parametrize("family", mostly_long(["flux2", "zimage"], usual=1))
@pytest.mark.long
def test_a_block_at_a_time_it_is_as_whole(
    opened: Callable[..., Engine],
    painter: Engine,
    folders: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    family: str,
) -> None:
    from bot.engine.families import FAMILIES as ENGINES

    encoder = spelt("file of llama.cpp", folders / f"{family}-other", tmp_path)
    offered = catalog([model("x", family, family=family, text_encoder_path=str(encoder))])
    expected = digests(paint(painter, ASKED, offered))
    profile = min(ENGINES[family].too_large_on)
    monkeypatch.setitem(ROOM, profile, 0)
    small = opened(memory=profile.value, weights="full")
    assert digests(paint(small, ASKED, offered)) == expected
    assert resident(small).parts[TEXT_ENCODER]._arrangement.by_turns


TRUE: Final = {
    "flux2": ("qwen3-4b", "qwen3-4b-original"),
    "zimage": ("qwen3-4b", "qwen3-4b-original"),
    "anima": ("qwen3-06b", "qwen3-06b-original"),
    "chroma": ("t5-xxl", "t5-xxl-original"),
    # llama.cpp has what reads images in another file, and the rest as of Qwen3.
    "krea2": ("qwen3-vl-4b", "qwen3-4b-original"),
}
"""Family → the published text encoder in tests/catalog/weight_files/headers, and in the names of
llama.cpp."""


@pytest.mark.parametrize("spelling", [0, 1])
@pytest.mark.parametrize("family", mostly_long(READING, usual=["flux2"]))
def test_every_tensor_of_the_published_one_is_read(family: str, spelling: int) -> None:
    from bot.engine.families import FAMILIES as ENGINES
    from bot.engine.subject import Subject
    from tools.headers.models import MODELS

    engine = ENGINES[family]
    _, options = MODELS[f"encoder-{TRUE[family][0]}"]
    known = {key: value for key, value in options.items() if key != "tie_word_embeddings"}
    subject = Subject("model", "x", lambda _: None, lambda: None)
    module = engine.build(TEXT_ENCODER, engine.checked_config(TEXT_ENCODER, known, subject))
    wanted = {name: tuple(each.shape) for name, each in module.named_parameters()}
    tensors = {
        name: torch.empty(shape, device="meta")
        for name, shape in shapes_of(f"encoder-{TRUE[family][spelling]}").items()
        if not engine.unread(TEXT_ENCODER, name)
    }
    found = engine.renamed(TEXT_ENCODER, module, tensors, wanted.keys())
    assert {name: tuple(each.shape) for name, each in found.items()} == wanted
