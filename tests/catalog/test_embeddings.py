"""Embeddings of the catalog: dropped in, written down, found by name."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from catalog import Catalog, LiveCatalog, problems_of
from tests.catalog.home import ONE_MODEL, Home

TWO = ONE_MODEL + '[models.toy]\nname = "Toy"\npath = "org/toy"\ndemo = true\n'


def embedding_bytes(tensors: Mapping[str, tuple[int, ...]], metadata: Any = None) -> bytes:
    header: dict[str, Any] = {} if metadata is None else {"__metadata__": metadata}
    end = 0
    for name, shape in tensors.items():
        size = 2
        for side in shape:
            size *= side
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    raw = json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + bytes(end)


FOR_SDXL = embedding_bytes({"clip_l": (2, 768), "clip_g": (2, 1280)})
FOR_SD1 = embedding_bytes({"emb_params": (2, 768)})


def put(home: Home, path: str, raw: bytes = FOR_SDXL) -> Path:
    return home.put(home.models_dir / path, raw)


def offered(catalog: Catalog, *, nsfw: bool = False, model: str | None = None) -> list[str]:
    entry = catalog.models[model] if model else None
    return [each.key for each in catalog.embeddings.offered(nsfw=nsfw, model=entry)]


def test_a_file_dropped_in_is_offered(home: Home) -> None:
    put(home, "embeddings/FineHands_XL.safetensors")
    catalog = home.read()
    [entry] = catalog.embeddings.entries.values()
    assert (entry.key, entry.name) == ("finehands_xl", "FineHands_XL")
    assert entry.path == "embeddings/FineHands_XL.safetensors"
    assert offered(catalog) == ["finehands_xl"]
    assert catalog.embeddings.facts["finehands_xl"].vectors == 2
    assert catalog.problems == ()
    assert catalog.adapters == {}


@pytest.mark.parametrize(
    "tensors",
    [
        {"clip_l": (2, 768), "clip_g": (2, 1280)},
        {"text_encoders_0": (2, 768), "text_encoders_1": (2, 1280)},
        {"tok_l": (2, 768), "tok_g": (2, 1280)},
    ],
)
def test_one_among_the_loras_is_an_embedding_and_the_owner_is_told(
    home: Home, tensors: dict[str, tuple[int, ...]]
) -> None:
    file = put(home, "loras/hands.safetensors", embedding_bytes(tensors))
    catalog = home.read()
    assert catalog.adapters == {}
    assert [*catalog.embeddings.entries] == ["hands"]
    [problem] = catalog.problems
    assert str(problem) == (
        f"{file}: hands: an embedding, not a LoRA; use it in a prompt as embedding:hands"
    )
    assert problem.mend == f"move it to {home.models_dir / 'embeddings'}"


@pytest.mark.parametrize("tensor", ["emb_params", "<tok>", "string_to_param.*"])
def test_one_among_the_loras_that_fits_nothing_is_named_too(home: Home, tensor: str) -> None:
    put(home, "loras/old.safetensors", embedding_bytes({tensor: (2, 768)}))
    catalog = home.read()
    assert catalog.adapters == {}
    assert offered(catalog) == []
    [problem] = catalog.problems
    assert problem.reason == (
        "an embedding, not a LoRA, and made for SD 1.5, which fits no model here"
    )
    assert problem.mend == "remove it"


@pytest.mark.parametrize("tensors", [{"clip_l": (2, 768), "clip_g": (2, 1280)}, {"t": (768,)}])
def test_an_entry_for_one_in_the_wrong_file_is_told_where_it_belongs(
    home: Home, tensors: Mapping[str, tuple[int, ...]]
) -> None:
    put(home, "loras/hands.safetensors", embedding_bytes(tensors))
    home.write(loras='[loras.hands]\nname = "Hands"\npath = "loras/hands.safetensors"\n')
    catalog = home.read()
    assert catalog.problems == ()
    why = str(catalog.misfit("hands"))
    assert why == ("a textual inversion (embedding), not a LoRA: it belongs in embeddings.toml")


@pytest.mark.parametrize(
    ("width", "parts", "base"),
    [
        (2048, {"clip_l": (2, 768), "clip_g": (2, 1280)}, "SDXL"),
        (768, {"emb_params": (2, 768)}, "SD 1.5"),
        (768, {"clip_l": (2, 768)}, "SD 1.5"),
    ],
)
def test_an_embedding_beside_a_lora_is_called_as_its_file_is(
    home: Home, width: int, parts: dict[str, tuple[int, ...]], base: str
) -> None:
    name = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k"
    shapes = {f"{name}.lora_down.weight": (4, width), f"{name}.lora_up.weight": (640, 4), **parts}
    for path in ("loras/My_Fox.safetensors", "far/odd.safetensors", "loras/f/adapter_model"):
        put(home, path.removesuffix(".safetensors") + ".safetensors", embedding_bytes(shapes))
    home.write(
        loras="".join(
            f'[loras.{key}]\nname = "{key}"\npath = "far/odd.safetensors"\n{more}'
            for key, more in (("own", 'token = "foxy"\n'), ("other", ""))
        )
    )
    catalog = home.read()
    assert catalog.problems == ()
    tokens = {}
    for key in catalog.adapters:
        facts = catalog.facts(key)
        assert facts is not None
        assert (facts.algorithm, facts.base, facts.other) == ("LoRA", base, "")
        tokens[key] = facts.bundled
    assert tokens == {"own": ("foxy",), "other": ("odd",), "my_fox": ("My_Fox",), "f": ("f",)}
    assert catalog.embeddings.entries == {}


def test_half_an_embedding_beside_a_lora_has_no_word(home: Home) -> None:
    name = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k"
    shapes = {
        f"{name}.lora_down.weight": (4, 2048),
        f"{name}.lora_up.weight": (640, 4),
        "clip_l": (2, 768),
    }
    put(home, "loras/half.safetensors", embedding_bytes(shapes))
    facts = home.read().facts("half")
    assert facts is not None
    assert (facts.algorithm, facts.bundled) == ("LoRA", ())


def test_a_lora_with_embeddings_inside_is_a_lora(home: Home) -> None:
    name = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k"
    shapes = {
        f"{name}.lora_down.weight": (4, 2048),
        f"{name}.lora_up.weight": (640, 4),
        "bundle_emb.<my.tok>.clip_l": (2, 768),
        "bundle_emb.<my.tok>.clip_g": (2, 1280),
        "bundle_emb.other.string_to_param.*": (2, 768),
    }
    put(home, "loras/both.safetensors", embedding_bytes(shapes))
    catalog = home.read()
    facts = catalog.facts("both")
    assert facts is not None
    assert (facts.algorithm, facts.base, facts.bundled) == ("LoRA", "SDXL", ("<my.tok>",))
    assert facts.candidates == ("<my.tok>",)
    assert catalog.misfit("both") is None
    assert catalog.embeddings.entries == {}


@pytest.mark.parametrize("folder", ["embeddings", "loras"])
@pytest.mark.parametrize("steps", ["", "-steps-500"])
def test_one_in_two_files_is_one(home: Home, folder: str, steps: str) -> None:
    first, second = (
        put(home, f"{folder}/toy{mark}{steps}.safetensors", embedding_bytes({"<toy>": (width,)}))
        for mark, width in (("", 768), ("_2", 1280))
    )
    catalog = home.read()
    [entry] = catalog.embeddings.entries.values()
    assert (entry.key, entry.second, entry.token) == (f"toy{steps}", second.name, "<toy>")
    assert catalog.embeddings.misfit(entry.key) is None
    assert catalog.embeddings.facts[entry.key].vectors == 1
    home.put(second, embedding_bytes({"<other>": (1280,)}))
    assert len(home.read().embeddings.entries) == 2
    second.unlink()
    [alone] = home.read().embeddings.entries.values()
    assert alone.second is None
    assert first.exists()
    assert str(home.read().embeddings.misfit(alone.key)).startswith("made for SD 1.5")


def test_an_entry_names_its_second_file(home: Home) -> None:
    for name, width in (("a", 768), ("b", 1280)):
        put(home, f"elsewhere/{name}.safetensors", embedding_bytes({"toy": (2, width)}))
    text = (
        '[embeddings.toy]\nname = "Toy"\npath = "elsewhere/a.safetensors"\n'
        'second = "{}.safetensors"\n'
    )
    file = home.catalog_dir / "embeddings.toml"
    home.put(file, text.format("b").encode())
    catalog = home.read()
    assert catalog.embeddings.misfit("toy") is None
    assert problems_of(catalog.embeddings.entries["toy"], home.models_dir, {}) == ()
    home.put(file, text.format("c").encode())
    catalog = home.read()
    [problem] = problems_of(catalog.embeddings.entries["toy"], home.models_dir, {})
    assert problem.startswith("second ")
    assert "c.safetensors' cannot be read" in problem


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (FOR_SD1, "made for SD 1.5, which fits no model here"),
        (
            embedding_bytes({"clip_g": (2, 1280)}),
            "it is half an embedding: one for the second of two text encoders",
        ),
        (
            embedding_bytes({"clip_l_out": (2, 768), "clip_g_out": (2, 1280)}),
            "it is an output embedding of OneTrainer",
        ),
    ],
)
def test_what_does_not_fit_is_never_offered(home: Home, raw: bytes, reason: str) -> None:
    put(home, "embeddings/old.safetensors", raw)
    catalog = home.read()
    assert offered(catalog, nsfw=True) == []
    assert str(catalog.embeddings.misfit("old")) == reason


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (FOR_SDXL[:-9], "not offered: it is cut off: was the copy or download interrupted?"),
        (b"PK\x03\x04", "not offered: it is empty or cut off: it has 4 bytes"),
        (
            embedding_bytes({"a.weight": (4, 4), "b.weight": (4, 4)}),
            "not offered: it is not an embedding (textual inversion)",
        ),
    ],
)
def test_what_is_broken_or_something_else_is_left_out(home: Home, raw: bytes, reason: str) -> None:
    file = put(home, "embeddings/bad.safetensors", raw)
    catalog = home.read()
    assert catalog.embeddings.entries == {}
    [problem] = catalog.problems
    assert str(problem).startswith(f"{file}: bad: {reason}")


@pytest.mark.parametrize("name", ["EasyNegative.pt", "easy.BIN"])
def test_pickles_are_named_and_not_read(home: Home, name: str) -> None:
    file = put(home, f"embeddings/{name}", b"not even a pickle")
    [problem] = home.read().problems
    assert problem.file == str(file)
    assert problem.reason.startswith("not offered: it is a pickle file")
    assert "convert" in problem.mend


def test_an_entry_says_more_about_a_file(home: Home) -> None:
    put(home, "embeddings/FineHands_XL.safetensors")
    home.put(
        home.catalog_dir / "embeddings.toml",
        b'[embeddings.fine-hands]\nname = "Fine hands"\nnsfw = true\ntoken = "<hand>"\n'
        b'path = "embeddings/FineHands_XL.safetensors"\nmodels = ["base", "gone"]\n'
        b'[embeddings.bad]\nname = "x"\n[loras.x]\n',
    )
    catalog = home.read()
    [entry] = catalog.embeddings.entries.values()
    assert entry.words == ("fine-hands", "FineHands_XL", "<hand>")
    assert (offered(catalog), offered(catalog, nsfw=True)) == ([], ["fine-hands"])
    file = home.catalog_dir / "embeddings.toml"
    assert home.problems() == [
        f"{file}: loras: unknown key: only embeddings may be at the top level",
        f"{file}: bad: path is missing",
        f"{file}: fine-hands: models names 'gone', which is not in models.toml",
    ]


def test_a_disabled_entry_hides_its_file(home: Home) -> None:
    put(home, "embeddings/a.safetensors")
    home.put(
        home.catalog_dir / "embeddings.toml",
        b'[embeddings.a]\nname = "A"\npath = "embeddings/a.safetensors"\nenabled = false\n',
    )
    catalog = home.read()
    assert offered(catalog, nsfw=True) == []
    assert [*catalog.embeddings.entries] == ["a"]


def test_two_files_of_one_name_get_keys_of_their_own(home: Home) -> None:
    put(home, "embeddings/A.safetensors")
    put(home, "loras/a.safetensors")
    catalog = home.read()
    assert [*catalog.embeddings.entries] == ["a", "a-2"]


@pytest.mark.parametrize(
    "name",
    [
        *("fine-hands", "FINE-HANDS", " fine-hands ", "FineHands_XL", "Fine hands", "<hand>"),
        *("FineHands_XL.safetensors", "sdxl/FineHands_XL.pt", "sdxl\\finehands_xl.bin"),
    ],
)
def test_they_are_found_by_every_name(home: Home, name: str) -> None:
    put(home, "embeddings/FineHands_XL.safetensors")
    home.put(
        home.catalog_dir / "embeddings.toml",
        b'[embeddings.fine-hands]\nname = "Fine hands"\ntoken = "<hand>"\n'
        b'path = "embeddings/FineHands_XL.safetensors"\n',
    )
    entry = home.read().embeddings.find(name)
    assert entry is not None
    assert entry.key == "fine-hands"


def test_near_misses_are_suggested(home: Home) -> None:
    put(home, "embeddings/easynegative.safetensors")
    embeddings = home.read().embeddings
    assert embeddings.find("easynegativ") is None
    assert embeddings.nearest("easynegativ.pt", nsfw=False) == ("easynegative",)


def test_a_demo_model_takes_none_of_the_usual_width(home: Home) -> None:
    home.write(models=TWO)
    put(home, "embeddings/a.safetensors")
    put(
        home,
        "embeddings/small.safetensors",
        embedding_bytes({"clip_l": (2, 48), "clip_g": (2, 64)}),
    )
    catalog = home.read()
    assert offered(catalog, model="base") == ["a", "small"]
    assert offered(catalog, model="toy") == ["small"]
    words = catalog.embeddings.words("a small A", nsfw=False, model=catalog.models["toy"])
    assert [hit.meaning for hit in words] == ["small"]


def test_changes_are_noticed(home: Home) -> None:
    live = LiveCatalog(home.catalog_dir, home.models_dir)
    file = put(home, "embeddings/a.safetensors")
    assert live.refresh()
    assert offered(live.current) == ["a"]
    assert not live.refresh()
    home.put(home.catalog_dir / "embeddings.toml", b'[embeddings.b]\nname = "B"\npath = "org/b"\n')
    assert live.refresh()
    assert offered(live.current) == ["b", "a"]
    home.put(file, FOR_SD1)
    assert live.refresh()
    assert offered(live.current) == ["b"]
