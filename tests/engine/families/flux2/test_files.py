"""The same weights come out of every kind of file that a FLUX.2 klein circulates in."""

import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.loaders.single_file_utils import convert_flux2_transformer_checkpoint_to_diffusers

from bot.engine import Engine
from bot.errors import JobFailed
from tests.engine.factories import catalog, digests, model, paint, request, resident
from tests.engine.families.flux2.conftest import BASE, KLEIN
from tests.engine.families.flux2.files import (
    Tensors,
    authors,
    authors_vae,
    below,
    scaled,
    stored,
    write,
)
from tests.gguf_files import plain, written
from tests.parameters import mostly_long

ASKED = request(model="x", guidance=1.0, steps=1)


def loaded(engine: Engine, path: Path | str, **fields: Any) -> dict[str, str | None]:
    """The digest of each network of a model."""
    paint(engine, ASKED, catalog([model("x", str(path), **fields)]))
    return {name: part.digest for name, part in resident(engine).parts.items()}


@pytest.fixture
def klein(folders: Path) -> Path:
    return folders / KLEIN


@pytest.fixture
def expected(painter: Engine, klein: Path) -> dict[str, str | None]:
    return loaded(painter, klein)


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.WARNING, "bot.engine")
    return caplog


def same(found: Tensors, wanted: Mapping[str, torch.Tensor]) -> bool:
    return found.keys() == wanted.keys() and all(torch.equal(found[n], wanted[n]) for n in found)


def test_the_names_written_here_are_the_authors(klein: Path) -> None:
    ours = stored(klein, "transformer")
    assert same(convert_flux2_transformer_checkpoint_to_diffusers(authors(ours)), ours)


@pytest.mark.parametrize(
    "prefix",
    mostly_long(["", "model.diffusion_model.", "diffusion_model.", "transformer."], usual=2),
)
def test_a_single_file_of_the_transformer(
    painter: Engine,
    klein: Path,
    tmp_path: Path,
    expected: dict[str, str | None],
    warned: pytest.LogCaptureFixture,
    prefix: str,
) -> None:
    tensors = stored(klein, "transformer")
    named = tensors if prefix == "transformer." else authors(tensors)
    file = write(tmp_path / "klein.safetensors", below(prefix, named))
    assert loaded(painter, file, config=str(klein)) == expected
    assert not warned.records
    recipe = paint(painter, ASKED, catalog([model("x", str(file), config=str(klein))])).recipe
    assert [part.name.rpartition("/")[2] for part in recipe.parts] == ["text_encoder", "vae"]


def test_a_gguf_file_of_the_transformer(
    painter: Engine,
    klein: Path,
    tmp_path: Path,
    expected: dict[str, str | None],
    warned: pytest.LogCaptureFixture,
) -> None:
    named = authors(stored(klein, "transformer"))
    file = written(tmp_path / "k.gguf", {name: plain(tensor) for name, tensor in named.items()})
    assert loaded(painter, file, config=str(klein)) == expected
    assert not warned.records


def test_a_single_file_of_everything(
    painter: Engine,
    klein: Path,
    tmp_path: Path,
    expected: dict[str, str | None],
    warned: pytest.LogCaptureFixture,
) -> None:
    whole = {
        **below("model.diffusion_model.", authors(stored(klein, "transformer"))),
        **below("text_encoders.qwen3_4b.transformer.", stored(klein, "text_encoder")),
        **below("vae.", authors_vae(stored(klein, "vae"))),
    }
    file = write(tmp_path / "klein.safetensors", whole)
    assert loaded(painter, file, config=str(klein)) == expected
    assert not warned.records
    recipe = paint(painter, ASKED, catalog([model("x", str(file), config=str(klein))])).recipe
    assert recipe.parts == ()


@pytest.mark.parametrize("end", [".weight_scale", ".scale_weight"])
def test_scaled_8_bit_floats_are_multiplied_out(
    painter: Engine, klein: Path, tmp_path: Path, end: str
) -> None:
    said, kept = scaled(authors(stored(klein, "transformer")), end)
    ours, plain = (
        loaded(painter, write(tmp_path / name, tensors), config=str(klein))
        for name, tensors in (("fp8.safetensors", said), ("plain.safetensors", kept))
    )
    assert ours == plain
    assert ours != loaded(painter, klein)


def encoders(folder: Path) -> dict[str, Tensors]:
    """The text encoder's file as it is found."""
    whole = stored(folder, "text_encoder")
    head = {"lm_head.weight": whole["model.embed_tokens.weight"].clone()}
    read = [f"model.layers.{layer}." for layer in range(27)] + ["model.embed_tokens."]
    return {
        "of the causal model": whole,
        "with an untied head": {**whole, **head},
        "of the bare model": {n.removeprefix("model."): t for n, t in whole.items()},
        "of what is read": {n: t for n, t in whole.items() if n.startswith(tuple(read))},
    }


@pytest.mark.parametrize("kind", mostly_long(range(4), usual=2))
def test_a_text_encoder_with_or_without_what_is_not_read(
    painter: Engine,
    klein: Path,
    tmp_path: Path,
    expected: dict[str, str | None],
    warned: pytest.LogCaptureFixture,
    kind: int,
) -> None:
    folder = Path(shutil.copytree(klein, tmp_path / "copy"))
    write(folder / "text_encoder" / "model.safetensors", [*encoders(klein).values()][kind])
    assert loaded(painter, folder) == expected
    assert not warned.records


def test_a_text_encoder_in_two_files(
    painter: Engine, klein: Path, tmp_path: Path, expected: dict[str, str | None]
) -> None:
    folder = Path(shutil.copytree(klein, tmp_path / "copy"))
    tensors = [*stored(klein, "text_encoder").items()]
    (folder / "text_encoder" / "model.safetensors").unlink()
    for number, half in enumerate((tensors[::2], tensors[1::2]), 1):
        name = f"model-0000{number}-of-00002.safetensors"
        write(folder / "text_encoder" / name, dict(half))
    assert loaded(painter, folder) == expected


def test_a_text_encoder_in_scaled_8_bit_floats(
    painter: Engine, klein: Path, tmp_path: Path
) -> None:
    found = []
    for number, tensors in enumerate(scaled(stored(klein, "text_encoder"), ".weight_scale")):
        folder = Path(shutil.copytree(klein, tmp_path / str(number)))
        write(folder / "text_encoder" / "model.safetensors", tensors)
        found.append(loaded(painter, folder))
    assert found[0] == found[1]


def test_a_vae_of_its_own_with_its_statistics(
    painter: Engine, klein: Path, tmp_path: Path, expected: dict[str, str | None]
) -> None:
    tensors = stored(klein, "vae")
    file = write(tmp_path / "flux2-vae.safetensors", authors_vae(tensors))
    assert loaded(painter, klein, vae_path=str(file)) == expected
    other = {**tensors, "bn.running_var": tensors["bn.running_var"] * 2}
    changed = loaded(painter, klein, vae_path=str(write(tmp_path / "b.safetensors", other)))
    assert {name for name, digest in changed.items() if digest != expected[name]} == {"vae"}
    del other["bn.running_var"]
    with pytest.raises(JobFailed) as failure:
        loaded(painter, klein, vae_path=str(write(tmp_path / "c.safetensors", other)))
    assert failure.value.code == "model.incomplete"
    assert failure.value.params["part"] == "vae (bn.running_var)"


def test_files_of_others_are_refused_by_name(
    painter: Engine, klein: Path, tmp_path: Path, models_dir: Path
) -> None:
    dev = authors(stored(klein, "transformer"))
    dev["guidance_in.in_layer.weight"] = torch.zeros(32, 32)
    flux = {
        "double_blocks.0.img_attn.qkv.weight": torch.zeros(9, 3),
        "img_in.weight": torch.zeros(3, 64),
    }
    for tensors, what in ((dev, "FLUX.2 dev transformer"), (flux, "FLUX.1-like transformer")):
        file = write(tmp_path / "other.safetensors", tensors)
        with pytest.raises(JobFailed) as failure:
            loaded(painter, file, config=str(klein))
        assert failure.value.code == "model.other_family"
        assert failure.value.params["what"] == what
    folder = Path(shutil.copytree(klein, tmp_path / "dev"))
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, "_class_name": "Flux2Pipeline"}))
    with pytest.raises(JobFailed) as failure:
        loaded(painter, folder)
    assert failure.value.params["what"] == "FLUX.2 dev model"


BOTH = catalog([model("x", KLEIN), model("y", BASE)])
OF_BOTH = (ASKED, request(model="y", guidance=4.0, steps=2, negative="a dog"))


@pytest.mark.long
def test_switched_and_woken_networks_give_the_same(painter: Engine) -> None:
    first = [digests(paint(painter, each, BOTH)) for each in OF_BOTH]
    assert [digests(paint(painter, each, BOTH)) for each in OF_BOTH] == first
    painter._pipeline._residency.rest()  # type: ignore[union-attr]
    assert digests(paint(painter, OF_BOTH[1], BOTH)) == first[1]


@pytest.mark.parametrize("memory", mostly_long(["8gb", "11gb"], usual=0))
def test_parked_networks_give_the_same(painter: Engine, folders: Path, memory: str) -> None:
    first = [digests(paint(painter, each, BOTH)) for each in OF_BOTH]
    small = Engine(
        models_dir=folders,
        hashes_file=folders / "hashes.json",
        memory=memory,
        weights="full",
    )
    assert [digests(paint(small, each, BOTH)) for each in (*OF_BOTH, *OF_BOTH)] == first * 2
    small.close()


@pytest.mark.usefixtures("painter")
@pytest.mark.long
def test_on_a_card_of_11_gb_one_large_network_is_there_at_a_time(folders: Path) -> None:
    from bot.engine import pixels
    from bot.engine.families.flux2 import Flux2

    small = Engine(models_dir=folders, hashes_file=folders / "hashes.json", memory="11gb")
    seen: list[tuple[str, ...]] = []

    def there() -> None:
        if here := resident(small):
            seen.append(tuple(name for name, part in here.parts.items() if part.present))

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in ((Flux2, "encode"), (Flux2, "condition"), (pixels, "decode")):
            whole = getattr(owner, name)

            def watched(*args: Any, whole: Any = whole, **kwargs: Any) -> Any:
                result = whole(*args, **kwargs)
                there()
                return result

            patch.setattr(owner, name, watched)
        for prompt in ("a", "b"):
            paint(small, replace(ASKED, prompt=prompt), BOTH)
    small.close()
    painting = ("transformer", "vae"), ("vae",)
    assert seen == [("text_encoder",), *painting, ("text_encoder", "vae"), *painting]
