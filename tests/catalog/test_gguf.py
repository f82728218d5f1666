"""Models in .gguf files, with and without an entry; nothing else is read from those."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from catalog import Catalog, LiveCatalog
from catalog.kept import KeptFacts
from catalog.weight_files.gguf import without_packing
from tests.catalog.home import ONE_MODEL, SDXL, Home
from tests.catalog.weight_files.headers import shapes_of
from tests.gguf_files import SIZES, gguf, text

Shapes = Mapping[str, Sequence[int]]
SD15 = {n: s for n, s in shapes_of("sd15").items() if "transformer_blocks.0.attn2" in n} | {
    "conv_in.weight": (1, 4, 1, 1),
    "time_embedding.linear_1.weight": (1, 1),
}
KLEIN = shapes_of("flux2-klein-4b-original")
Z_IMAGE = shapes_of("zimage")
DEV = shapes_of("flux1-dev-original")
SCHNELL = shapes_of("flux1-schnell-original")


def content(shapes: Shapes, kind: str = "Q8_0") -> bytes:
    """A file of such tensors without their numbers; matrices are packed as `kind`."""
    tensors = {}
    for name, shape in shapes.items():
        side, size = SIZES[kind]
        packed = len(shape) == 2 and shape[-1] % side == 0
        count = 1
        for each in shape:
            count *= each
        raw = bytes(count // side * size) if packed else bytes(2 * count)
        tensors[name] = (kind if packed else "F16", tuple(shape), raw)
    return gguf(tensors)


def put(home: Home, path: str, shapes: Shapes = SDXL, kind: str = "Q8_0") -> Path:
    return home.put(home.models_dir / path, content(shapes, kind))


def reasons(catalog: Catalog) -> list[str]:
    return [f"{problem.key}: {problem.reason}" for problem in catalog.problems]


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("flux-2-klein-4b-Q4_K_M", "flux-2-klein-4b"),
        ("z_image_turbo-Q8_0", "z_image_turbo"),
        ("z-image-turbo-UD-Q5_K_XL", "z-image-turbo"),
        ("a.BF16", "a"),
        ("a_fp16", "a"),
        ("a-IQ4_XS", "a"),
        ("a_q6_k", "a"),
        ("sd-v1-5-f32", "sd-v1-5"),
        ("Q8_0", "Q8_0"),
        ("sd-v1-5", "sd-v1-5"),
        ("aq4_0", "aq4_0"),
        ("a-Q4_0-b", "a-Q4_0-b"),
    ],
)
def test_how_it_is_packed_is_no_part_of_its_name(stem: str, name: str) -> None:
    assert without_packing(stem) == name


def test_one_among_the_checkpoints_is_offered(home: Home) -> None:
    put(home, "checkpoints/Fine-XL-Q8_0.gguf")
    put(home, "checkpoints/old.GGUF", SD15)
    read = home.read()
    assert reasons(read) == []
    assert read.unfit_models == {}
    fine, old = (model for model in read.offered_models(nsfw=True) if model.key != "base")
    assert (fine.key, fine.name, fine.path) == (
        *("fine-xl-q8_0", "Fine-XL", "checkpoints/Fine-XL-Q8_0.gguf"),
    )
    assert (fine.family.key, old.family.key, old.name) == ("sdxl", "sd15", "old")
    for name in ("Fine-XL", "fine-xl-q8_0", "Fine-XL-Q8_0.gguf", "sub\\FINE-XL-Q8_0.gguf"):
        assert read.models_called(name) == ("fine-xl-q8_0",), name


def test_two_that_are_packed_otherwise_are_told_apart(home: Home) -> None:
    """And the file that was there before keeps its key and its name."""
    put(home, "checkpoints/a-Q8_0.gguf")
    put(home, "checkpoints/a-Q4_0.gguf")
    put(home, "checkpoints/b-F16.gguf")
    put(home, "checkpoints/b.gguf")
    home.weights("checkpoints/b.safetensors")
    read = home.read()
    assert {model.key: model.name for model in read.models.values()} == {
        "base": "Base",
        "a-q4_0": "a-Q4_0.gguf",
        "a-q8_0": "a-Q8_0.gguf",
        "b": "b",
        "b-2": "b.gguf",
        "b-f16": "b-F16.gguf",
    }
    assert read.models["b"].path == "checkpoints/b.safetensors"
    assert reasons(read) == ["b-2: offered as 'b-2': 'b' is taken"]


def test_a_file_beside_it_says_more(home: Home) -> None:
    put(home, "checkpoints/a-Q8_0.gguf")
    home.put(home.models_dir / "checkpoints/a-Q8_0.json", b'{"description": "Fine."}')
    put(home, "checkpoints/b-Q8_0.gguf")
    home.put(home.models_dir / "checkpoints/b-Q8_0.gguf.json", b'{"description": "Finer."}')
    models = home.read().models
    assert [models[key].description for key in ("a-q8_0", "b-q8_0")] == ["Fine.", "Finer."]


@pytest.mark.parametrize(
    ("name", "shapes", "family", "variant"),
    [
        ("flux-2-klein-4b-Q4_K_M", KLEIN, "flux2", "distilled"),
        ("flux-2-klein-base-4b-Q8_0", KLEIN, "flux2", "base"),
        ("z_image_turbo-Q6_K", Z_IMAGE, "zimage", "turbo"),
        ("z_image-Q6_K", Z_IMAGE, "zimage", None),
        ("flux1-dev-Q4_K_S", DEV, "flux1", "dev"),
        ("flux1-kontext-dev-Q8_0", DEV, "flux1", "kontext"),
        ("flux1-Q8_0", SCHNELL, "flux1", "schnell"),
    ],
)
def test_family_and_variant_are_recognised(
    home: Home,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    shapes: Shapes,
    family: str,
    variant: str | None,
) -> None:
    monkeypatch.setattr("catalog.weight_files.gguf._Reader._check", lambda *_: None)
    tensors = {n: ("F16", tuple(shape), b"") for n, shape in shapes.items()}
    home.put(home.models_dir / f"checkpoints/{name}.gguf", gguf(tensors))
    read = home.read()
    _, entry = read.models.values()
    assert (entry.family.key, entry.name) == (family, without_packing(name))
    if variant is None:
        assert "neither its files nor its name says" in str(read.unfit_models[entry.key])
    else:
        assert read.unfit_models == {}
        assert entry.told_variant
        assert entry.told_variant.name == variant


def test_what_is_not_supported_is_refused_by_name(home: Home) -> None:
    flux = {"double_blocks.0.img_attn.qkv.weight": (1, 32), "img_in.weight": (1, 64)}
    put(home, "checkpoints/flux1-schnell-Q8_0.gguf", flux)
    put(home, "checkpoints/small-IQ4_XS.gguf", kind="IQ4_XS")
    encoder = {"token_embd.weight": (32, 32), "blk.0.attn_q.weight": (32, 32)}
    put(home, "checkpoints/t5-Q8_0.gguf", encoder)
    home.put(home.models_dir / "checkpoints/cut.gguf", content(SDXL)[:-100])
    part = text("split.count") + b"\x02\0\0\0" + b"\x03\0"
    one = content(SDXL)
    home.put(
        home.models_dir / "checkpoints/part.gguf",
        one[:16] + b"\x01" + bytes(7) + part + one[24:] + bytes(64),
    )
    read = home.read()
    assert [model.key for model in read.offered_models(nsfw=True)] == ["base"]
    assert {key: str(why) for key, why in read.unfit_models.items()} == {
        "flux1-schnell-q8_0": "flux1-schnell-Q8_0.gguf is a FLUX.1-like transformer; only"
        " checkpoints of SDXL, SD 1.5, FLUX.2 klein 4B, Z-Image, Anima, FLUX.1, Chroma and Krea"
        " 2 can be used",
        "small-iq4_xs": "small-IQ4_XS.gguf is an SDXL checkpoint (its weights cannot be read:"
        " model.diffusion_model.label_emb.0.0.weight is of type IQ4_XS; known are Q4_0, Q4_1, Q5_0,"
        " Q5_1, Q8_0, Q4_K, Q5_K, Q6_K); use a version of it in fp16, bf16, fp8, or one of the GGUF"
        " types that are read",
        "t5-q8_0": "t5-Q8_0.gguf is a file of a kind that is not known here; only checkpoints of"
        " SDXL, SD 1.5, FLUX.2 klein 4B, Z-Image, Anima, FLUX.1, Chroma and Krea 2 can be used",
    }
    assert [model.key for model in read.refused_models(nsfw=False)] == [*read.unfit_models]
    cut_off, in_parts = reasons(read)
    assert cut_off.startswith("cut: not offered: it is cut off")
    assert in_parts == (
        "part: not offered: it is one of 3 files that belong together; get them as one file"
    )


@pytest.mark.parametrize(
    ("folder", "what"),
    [("loras", "a LoRA"), ("embeddings", "an embedding"), ("upscalers", "an upscaler")],
)
def test_nothing_else_is_read_from_one(home: Home, folder: str, what: str) -> None:
    put(home, f"{folder}/a.gguf")
    home.put(home.models_dir / folder / "b.GGUF", b"x")
    home.write()
    read = home.read()
    assert (read.adapters, read.embeddings.entries, read.upscalers.entries) == ({}, {}, {})
    assert reasons(read) == [
        f"{key}: not offered: {what} cannot be a .gguf file; only models can" for key in "ab"
    ]
    mend = "get it as .safetensors, or move it to checkpoints if it is a model"
    assert {problem.mend for problem in read.problems} == {mend}


@pytest.mark.parametrize("table", ["loras", "embeddings", "upscalers"])
@pytest.mark.parametrize(
    "fields", ['path = "x/a.gguf"', 'path = "org/name"\nweight_name = "a.GGUF"']
)
def test_no_other_entry_may_name_one(home: Home, table: str, fields: str) -> None:
    home.put(home.catalog_dir / f"{table}.toml", f'[{table}.a]\nname = "A"\n{fields}\n'.encode())
    (said,) = reasons(home.read())
    field = "weight_name" if "weight_name" in fields else "path"
    assert said.startswith(f"a: {field} must not be a .gguf file: only models can be, got ")


ENTRIES = [
    'path = "far/a.gguf"',
    'path = "far"\nweight_name = "a.gguf"',
    'path = "far"',
    'path = "org/name"\nweight_name = "a.gguf"',
    'path = "org/name"\nweight_name = "deep/a.gguf"',
]


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_entry_may_name_one_wherever_it_is(home: Home, entry: str) -> None:
    file = put(home, "far/a.gguf", SD15)
    for name in ("a.gguf", "deep/a.gguf"):
        target = home.models_dir / "hub/models--org--name/snapshots/abc" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    home.write(f'{ONE_MODEL}[models.far]\nname = "Far"\n{entry}\n')
    read = home.read()
    assert reasons(read) == []
    assert read.unfit_models == {}
    assert read.models["far"].family.key == "sd15"


def test_of_several_in_a_folder_one_has_to_be_named(home: Home) -> None:
    """A .safetensors file beside it counts."""
    put(home, "far/a.gguf", SD15)
    home.put(
        home.models_dir / "far/b.safetensors",
        home.weights("checkpoints/x.safetensors").read_bytes(),
    )
    home.write(f'{ONE_MODEL}[models.far]\nname = "Far"\npath = "far"\n')
    assert home.read().models["far"].family.key == "sdxl"


def test_an_entry_hides_its_file(home: Home) -> None:
    put(home, "checkpoints/a-Q8_0.gguf")
    home.write(
        f'{ONE_MODEL}[models.mine]\nname = "Mine"\npath = "checkpoints/a-Q8_0.gguf"\n'
        "enabled = false\n"
    )
    read = home.read()
    assert [*read.models] == ["base", "mine"]
    assert reasons(read) == []


def test_changes_are_noticed_and_what_was_read_is_kept(home: Home, tmp_path: Path) -> None:
    put(home, "checkpoints/a-Q8_0.gguf")
    kept = KeptFacts.within(tmp_path / "data")
    live = LiveCatalog(home.catalog_dir, home.models_dir, kept=kept)
    assert live.current.models["a-q8_0"].family.key == "sdxl"
    put(home, "checkpoints/a-Q8_0.gguf", SD15)
    assert live.refresh()
    assert live.current.models["a-q8_0"].family.key == "sd15"
    headers = KeptFacts.within(tmp_path / "data").load()
    assert [Path(path).name for path in headers.checkpoints] == ["a-Q8_0.gguf"]
    (home.models_dir / "checkpoints/a-Q8_0.gguf").unlink()
    assert live.refresh()
    assert "a-q8_0" not in live.current.models
