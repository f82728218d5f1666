"""A text encoder of its own gives the same image in whatever files it comes, for every family that
takes one."""

import hashlib
import json
import logging
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import torch

from bot.engine import Engine
from bot.engine.hashing import HashCache, of_listing
from bot.engine.memory import ROOM
from bot.engine.weights.blocks import unpacked
from bot.errors import JobFailed
from catalog.families import FAMILIES, TEXT_ENCODER, VAE
from tests.catalog.weight_files.headers import shapes_of
from tests.engine.factories import catalog, digests, model, paint, pair, request, resident, save
from tests.engine.families.anima.files import authors as of_anima
from tests.engine.families.flux2.files import Tensors, below, scaled, stored, write
from tests.engine.families.test_complete import TINY
from tests.engine.hub_server import contents, hub_server
from tests.gguf_files import blocks, plain, stands_for, written
from tests.parameters import mostly_long

READING: Final = tuple(key for key, family in FAMILIES.items() if family.encoder)
ASKED: Final = request(model="x", guidance=1.0, steps=1)
LAYOUTS: Final = (
    *("folder", "pipeline", "file", "file of the bare model", "file with a head"),
    *("file of llama.cpp", "file of llama.cpp in a folder", "inside another"),
)
QWEN3: Final = {"general.architecture": "qwen3"}
_LLAMA: Final = (
    ("model.layers.", "blk."),
    ("model.embed_tokens.", "token_embd."),
    ("model.norm.", "output_norm."),
    ("post_attention_layernorm.", "ffn_norm."),
    ("input_layernorm.", "attn_norm."),
    ("self_attn.o_proj.", "attn_output."),
    *((f"self_attn.{each}_proj.", f"attn_{each}.") for each in "qkv"),
    *((f"self_attn.{each}_norm.", f"attn_{each}_norm.") for each in "qk"),
    *((f"mlp.{each}_proj.", f"ffn_{each}.") for each in ("gate", "up", "down")),
)


def of_llama(tensors: Tensors) -> Tensors:
    """A causal model of transformers in the names of llama.cpp."""
    found = {}
    for name, tensor in tensors.items():
        for theirs, own in _LLAMA:
            name = name.replace(theirs, own)
        found[name] = tensor
    return found


def causal(folder: Path) -> Tensors:
    """The text encoder of the pipeline in a folder, in the names that files of Qwen3 have."""
    tensors = stored(folder, TEXT_ENCODER)
    return {f"model.{name.removeprefix('model.')}": tensor for name, tensor in tensors.items()}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For each family a tiny model `KEY`, and `KEY-other` with another text encoder."""
    root = tmp_path_factory.mktemp("encoders")
    for key in READING:
        TINY[key](root / key)
        other = Path(shutil.copytree(root / key, root / f"{key}-other"))
        changed = {n: t * 1.25 for n, t in stored(other, TEXT_ENCODER).items()}
        write(other / TEXT_ENCODER / "model.safetensors", changed)
    return root


@pytest.fixture(scope="module")
def painter(folders: Path) -> Iterator[Engine]:
    hashes = folders / "hashes.json"
    engine = Engine(models_dir=folders, hashes_file=hashes, memory="full", model_cache=2**27)
    yield engine
    engine.close()


@pytest.fixture
def opened(folders: Path, tmp_path: Path) -> Iterator[Callable[..., Engine]]:
    """Opens engines, which are closed at the end."""
    engines = []

    def new(**options: Any) -> Engine:
        hashes = tmp_path / "hashes.json"
        engines.append(Engine(models_dir=folders, hashes_file=hashes, **options))
        return engines[-1]

    yield new
    for engine in engines:
        engine.close()


def spelt(layout: str, folder: Path, tmp_path: Path) -> Path:
    """The text encoder of the pipeline in `folder` as `text_encoder_path` names it."""
    file, tensors = tmp_path / "qwen_3.safetensors", causal(folder)
    match layout:
        case "folder":
            return Path(shutil.copytree(folder / TEXT_ENCODER, tmp_path / "alone"))
        case "pipeline":
            return folder
        case "file":
            return write(file, tensors)
        case "file of the bare model":
            return write(file, {n.removeprefix("model."): t for n, t in tensors.items()})
        case "file with a head":
            head = {"lm_head.weight": tensors["model.embed_tokens.weight"].clone()}
            return write(file, {**tensors, **head})
        case "file of llama.cpp":
            packed = {name: plain(tensor) for name, tensor in of_llama(tensors).items()}
            return written(tmp_path / "Qwen3-F32.gguf", packed, metadata=QWEN3)
        case "file of llama.cpp in a folder":
            inside = tmp_path / "Qwen3-GGUF"
            inside.mkdir()
            shutil.copy(folder / TEXT_ENCODER / "config.json", inside)
            spelt("file of llama.cpp", folder, inside)
            return inside
        case _:
            flux = {"double_blocks.0.img_attn.qkv.weight": torch.zeros(9, 3)}
            return write(file, {**flux, **below("text_encoder.", tensors)})


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("family", READING)
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


def alone(family: str, folder: Path, target: Path) -> Path:
    """The transformer of a model as a file of its own."""
    tensors = stored(folder, "transformer")
    if family == "anima":
        tensors = of_anima(tensors, stored(folder, "text_conditioner"))
    return write(target, tensors)


@pytest.mark.parametrize("family", READING)
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


@pytest.mark.parametrize("family", READING)
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


@pytest.mark.parametrize("family", READING)
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


@pytest.mark.parametrize("family", READING)
def test_blocks_of_llama_cpp_are_unpacked_as_far_as_they_are_read(
    painter: Engine, folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    chance, packed, meant = random.Random(7), {}, {}
    for name, tensor in of_llama(causal(folders / family)).items():
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
    file = written(tmp_path / "q8.gguf", packed, metadata=QWEN3)
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
    layers = len(resident(painter).network(TEXT_ENCODER).layers)
    assert len(read) == layers  # one matrix in each
    assert layers <= sum(kind == "Q8_0" for kind, _, _ in packed.values())


@pytest.mark.parametrize("family", mostly_long(READING, usual=1))
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


def refusal(painter: Engine, family: str, encoder: Path, **fields: Any) -> JobFailed:
    entry = model("x", family, family=family, text_encoder_path=str(encoder), **fields)
    with pytest.raises(JobFailed) as failure:
        paint(painter, ASKED, catalog([entry]))
    return failure.value


def wide(tensors: Tensors, width: int) -> Tensors:
    """A model with so wide an embedding of a single token."""
    return {**tensors, "model.embed_tokens.weight": torch.zeros(1, width)}


@pytest.mark.parametrize("layout", ["folder", "file"])
@pytest.mark.parametrize("family", READING)
def test_one_of_another_size_is_refused_by_name(
    painter: Engine, folders: Path, tmp_path: Path, family: str, layout: str
) -> None:
    tensors = causal(folders / family)
    sizes = {1024: "Qwen3-0.6B", 2560: "Qwen3-4B", 4096: "Qwen3-8B", 32: "Qwen3"}
    for width, name in sizes.items():
        if name == FAMILIES[family].encoder:
            continue
        file = tmp_path / f"{width}" / "model.safetensors"
        write(file, wide(tensors, width))
        if layout == "folder":
            shutil.copy(folders / family / TEXT_ENCODER / "config.json", file.parent)
        failure = refusal(painter, family, file.parent if layout == "folder" else file)
        assert failure.code == "model.other_encoder"
        assert failure.params == {
            "model": "x",
            "needed": FAMILIES[family].encoder,
            "what": f"text encoder ({name})",
        }


def test_what_is_no_text_encoder_is_refused_by_name(
    painter: Engine, folders: Path, tmp_path: Path
) -> None:
    tensors = causal(folders / "zimage")
    gemma = {**tensors, "model.layers.0.post_feedforward_layernorm.weight": torch.ones(16)}
    lora = {f"lora_unet_a.lora_{end}.weight": torch.zeros(4, 4) for end in ("up", "down")}
    vision = {**tensors, "visual.merger.norm.weight": torch.ones(4)}
    for name, stated, what in (
        ("gemma", gemma, "text encoder (language model)"),
        ("lora", lora, "LoRA"),
        ("vision", vision, "text encoder (Qwen3-VL)"),
        ("vae", stored(folders / "zimage", "vae"), FAMILIES["zimage"].vae),
    ):
        failure = refusal(painter, "zimage", write(tmp_path / f"{name}.safetensors", stated))
        assert (failure.code, failure.params["what"]) == ("model.other_encoder", what)


def configured(folder: Path, target: Path, **fields: Any) -> Path:
    """A copy of the text encoder of a pipeline whose configuration says something else."""
    copy = Path(shutil.copytree(folder / TEXT_ENCODER, target))
    config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
    (copy / "config.json").write_text(json.dumps({**config, **fields}), encoding="utf-8")
    return copy


@pytest.mark.parametrize(
    ("fields", "code", "said"),
    [
        ({"model_type": "llama"}, "model.other_encoder", "text encoder of the type llama"),
        ({"hidden_size": 1024}, "model.other_encoder", "text encoder (Qwen3-0.6B)"),
        ({"hidden_act": "import os"}, "model.configuration", "text_encoder.hidden_act"),
        ({"quantization_config": {"quant_method": "fp8"}}, "model.quantised", "fp8"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(
    painter: Engine, folders: Path, tmp_path: Path, fields: dict[str, Any], code: str, said: str
) -> None:
    folder = configured(folders / "zimage", tmp_path / "e", **fields)
    failure = refusal(painter, "zimage", folder)
    assert failure.code == code
    assert said in " ".join(map(str, failure.params.values()))


def test_of_its_configuration_all_but_the_depth_counts(
    painter: Engine, folders: Path, tmp_path: Path
) -> None:
    """Which layers are read is what the denoiser was trained with."""
    own = digests(paint(painter, ASKED, catalog([model("x", "zimage", family="zimage")])))
    rope = {"rope_type": "default", "rope_theta": 5_000.0}
    for name, fields, same in (
        ("depth", {"num_hidden_layers": 30}, True),
        ("rope", {"rope_parameters": rope}, False),
    ):
        folder = configured(folders / "zimage", tmp_path / name, **fields)
        offered = catalog([model("x", "zimage", family="zimage", text_encoder_path=str(folder))])
        assert (digests(paint(painter, ASKED, offered)) == own) is same


def test_one_that_was_cut_for_another_family_is_incomplete(
    painter: Engine, folders: Path, tmp_path: Path
) -> None:
    tensors = {
        name: tensor
        for name, tensor in causal(folders / "zimage").items()
        if not name.startswith(tuple(f"model.layers.{number}." for number in range(27, 36)))
    }
    file = write(tmp_path / "cut.safetensors", tensors)
    assert paint(
        painter, ASKED, catalog([model("x", "flux2", family="flux2", text_encoder_path=str(file))])
    )
    failure = refusal(painter, "zimage", file)
    assert failure.code == "model.incomplete"
    assert failure.params["part"] == "text_encoder (layers.27.self_attn.q_proj.weight)"


class TestFromTheHub:
    @pytest.fixture
    def hub(self, folders: Path) -> Iterator[Any]:
        with hub_server() as server:
            server.repositories["org/zimage"] = contents(folders / "zimage")
            server.repositories["org/other"] = contents(folders / "zimage-other")
            encoder = contents(folders / "zimage-other" / TEXT_ENCODER)
            server.repositories["org/alone"] = encoder
            yield server

    @pytest.fixture
    def own(self, hub: Any, tmp_path: Path) -> Iterator[Engine]:
        hashes = tmp_path / "h.json"
        engine = Engine(
            models_dir=tmp_path / "models", hashes_file=hashes, hub_endpoint=hub.url, memory="full"
        )
        yield engine
        engine.close()

    @pytest.mark.parametrize("path", mostly_long(["org/other", "org/alone"], usual=1))
    def test_it_is_downloaded_and_the_one_of_the_configuration_is_not(
        self, own: Engine, hub: Any, painter: Engine, folders: Path, tmp_path: Path, path: str
    ) -> None:
        file = alone("zimage", folders / "zimage", tmp_path / "z.safetensors")
        entry = model("x", str(file), family="zimage", config="org/zimage", text_encoder_path=path)
        found = paint(own, ASKED, catalog([entry]))
        expected = paint(painter, ASKED, catalog([model("x", "zimage-other", family="zimage")]))
        assert digests(found) == digests(expected)
        assert found.recipe.text_encoder
        assert found.recipe.text_encoder.name == path
        below = "text_encoder/" if path == "org/other" else ""
        weights = [name for name in hub.fetched() if name.endswith(".safetensors")]
        vae = "vae/diffusion_pytorch_model.safetensors"
        assert sorted(weights) == sorted([f"{below}model.safetensors", vae])

    def test_of_a_repository_with_several_files_one_has_to_be_named(
        self, own: Engine, hub: Any, folders: Path
    ) -> None:
        files = ("Qwen3-4B-Q4_K_M.gguf", "Qwen3-4B-Q8_0.gguf")
        hub.repositories["org/gguf"] = dict.fromkeys((*files, "config.json"), b"{}")
        path = str(folders / "zimage")
        entry = model("x", path, family="zimage", text_encoder_path="org/gguf")
        with pytest.raises(JobFailed) as failure:
            paint(own, ASKED, catalog([entry]))
        assert (failure.value.code, failure.value.params) == (
            "model.choose_network",
            {
                "model": "x",
                "field": "text_encoder_path",
                "path": "org/gguf",
                "files": ", ".join(files),
            },
        )
        assert hub.fetched() == []

    def test_a_pipelines_own_is_downloaded_only_for_who_reads_it(
        self, own: Engine, hub: Any, painter: Engine, folders: Path, tmp_path: Path
    ) -> None:
        instead = {
            "text_encoder_path": str(folders / "zimage-other" / TEXT_ENCODER),
            "vae_path": str(folders / "zimage" / VAE),
        }
        fetched = []
        for fields, same in ((instead, "zimage-other"), ({}, "zimage")):
            hub.asked.clear()
            entry = model("x", "org/zimage", family="zimage", **fields)
            found = paint(own, ASKED, catalog([entry]))
            expected = paint(painter, ASKED, catalog([model("x", same, family="zimage")]))
            assert digests(found) == digests(expected)
            weights = [name for name in hub.fetched() if name.endswith(".safetensors")]
            fetched.append({name.partition("/")[0] for name in weights})
        assert fetched == [{"transformer"}, {TEXT_ENCODER, VAE}]

    def test_nothing_is_loaded_ahead_while_it_is_not_here(
        self, own: Engine, hub: Any, folders: Path
    ) -> None:
        path = str(folders / "zimage")
        own.preload(model("x", path, family="zimage", text_encoder_path="org/alone"), lambda: None)
        assert (hub.asked, own.loaded) == ([], None)
        local = str(folders / "zimage-other" / TEXT_ENCODER)
        own.preload(model("x", path, family="zimage", text_encoder_path=local), lambda: None)
        assert (hub.asked, own.loaded) == ([], "x")


TRUE: Final = {"flux2": "qwen3-4b", "zimage": "qwen3-4b", "anima": "qwen3-06b"}
"""Family → the published text encoder in tests/catalog/weight_files/headers."""


@pytest.mark.parametrize("spelling", ["", "-original"])
@pytest.mark.parametrize("family", READING)
def test_every_tensor_of_the_published_one_is_read(family: str, spelling: str) -> None:
    from bot.engine.families import FAMILIES as ENGINES
    from bot.engine.subject import Subject
    from tools.headers.models import MODELS

    engine = ENGINES[family]
    _, options = MODELS[f"encoder-{TRUE[family]}"]
    known = {key: value for key, value in options.items() if key != "tie_word_embeddings"}
    subject = Subject("model", "x", lambda _: None, lambda: None)
    module = engine.build(TEXT_ENCODER, engine.checked_config(TEXT_ENCODER, known, subject))
    wanted = {name: tuple(each.shape) for name, each in module.named_parameters()}
    tensors = {
        name: torch.empty(shape, device="meta")
        for name, shape in shapes_of(f"encoder-{TRUE[family]}{spelling}").items()
        if not engine.unread(TEXT_ENCODER, name)
    }
    found = engine.renamed(TEXT_ENCODER, module, tensors, wanted.keys())
    assert {name: tuple(each.shape) for name, each in found.items()} == wanted
