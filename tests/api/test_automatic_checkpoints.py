"""Checkpoints and what goes with them, as AUTOMATIC1111 lists and names them."""

from pathlib import Path

import pytest

from bot.api.automatic.checkpoints import (
    listed_controlnets,
    listed_embeddings,
    listed_loras,
    listed_models,
    listed_vaes,
    named,
    title,
)
from bot.recipe import Weights
from bot.store import ApiKey
from catalog import (
    AdapterEntry,
    AdapterFacts,
    Catalog,
    ControlNetEntry,
    ControlNetFacts,
    ControlNets,
    EmbeddingEntry,
    Embeddings,
    ModelEntry,
)

BASE = ModelEntry(key="base", name="Base", path="checkpoints/some/base-v1.safetensors")
FOLDER = ModelEntry(key="folder", name="Folder", path="builtin:flat", vae_path="some/vae-fix")
ADULT = ModelEntry(key="adult", name="Adult", path="builtin:ink.safetensors", nsfw=True)
STYLE = AdapterEntry(key="style", name="Style", path="/home/me/loras/style-7.safetensors")
ADULT_STYLE = AdapterEntry(key="other", name="Other", path="builtin:neon.safetensors", nsfw=True)
HANDS = EmbeddingEntry(key="hands", name="Hands", path="embeddings/hands.safetensors")
ELSEWHERE = EmbeddingEntry(
    key="feet", name="Feet", path="embeddings/feet.safetensors", models=("folder",)
)
CATALOG = Catalog(
    {each.key: each for each in (BASE, FOLDER, ADULT)},
    {each.key: each for each in (STYLE, ADULT_STYLE)},
    "base",
    adapter_facts={"style": AdapterFacts(output_name="my_style")},
    embeddings=Embeddings({each.key: each for each in (HANDS, ELSEWHERE)}),
    controlnets=ControlNets(
        {
            each.key: each
            for each in (
                ControlNetEntry(key="canny", name="Canny", path="org/canny"),
                ControlNetEntry(key="depth", name="Depth", path="org/depth"),
                ControlNetEntry(key="lewd", name="Lewd", path="org/lewd", nsfw=True),
                ControlNetEntry(key="old", name="Old", path="org/old"),
            )
        },
        facts={"old": ControlNetFacts("controlnet", "sd15")},
    ),
)
KNOWN = {
    "base": Weights("base", "ab12" * 16, "ab12ab12ab"),
    "adult": Weights("adult", "cd34" * 16, "cd34cd34cd"),
    "style": Weights("style", "e" * 64, "e" * 12),
}
ANYONE = ApiKey(id="1", name="anyone")
ADULTS = ApiKey(id="2", name="adults", nsfw=True)


def test_a_title_has_the_hash_once_it_is_known() -> None:
    assert title(BASE, KNOWN) == "base [ab12ab12ab]"
    assert title(FOLDER, KNOWN) == "folder"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("ab12ab12ab", "base"),
        ("AB12AB12AB", "base"),
        ("ab12" * 16, "base"),
        ("flat", "folder"),
        ("ab12", "ab12"),  # too short to be one
        ("cd34cd34cd", "cd34cd34cd"),  # not for everyone
        ("ink.safetensors", "ink.safetensors"),
        ("gone [ab12ab12ab]", "gone [ab12ab12ab]"),
    ],
)
def test_what_only_we_can_tell(text: str, key: str) -> None:
    assert named(text, CATALOG, KNOWN, nsfw=False) == key


@pytest.mark.parametrize("text", ["base", "Base", "base [ab12ab12ab]", "base-v1.safetensors"])
def test_what_the_catalog_knows_is_left_to_it(text: str) -> None:
    assert named(text, CATALOG, KNOWN, nsfw=False) == text
    assert CATALOG.models_called(text) == ("base",)


def test_models_that_can_be_used(tmp_path: Path) -> None:
    listed = {each["model_name"]: each for each in listed_models(CATALOG, tmp_path, KNOWN, ANYONE)}
    assert listed == {
        "folder": {
            "title": "folder",
            "model_name": "folder",
            "hash": None,
            "sha256": None,
            "filename": "flat",
            "config": None,
        }
    }  # the file of the other is missing
    (tmp_path / "checkpoints/some").mkdir(parents=True)
    (tmp_path / "checkpoints/some/base-v1.safetensors").touch()
    listed = {each["model_name"]: each for each in listed_models(CATALOG, tmp_path, KNOWN, ADULTS)}
    assert listed.keys() == {"base", "folder", "adult"}
    assert listed["base"] == {
        "title": "base [ab12ab12ab]",
        "model_name": "base",
        "hash": "ab12ab12ab",
        "sha256": "ab12" * 16,
        "filename": "base-v1.safetensors",
        "config": None,
    }


def test_loras_by_the_name_that_a_tag_needs() -> None:
    assert listed_loras(CATALOG, KNOWN, ANYONE) == [
        {
            "name": "style",
            "alias": "my_style",
            "path": "style-7.safetensors",
            "metadata": {"ss_output_name": "my_style", "sshs_model_hash": "e" * 12},
        }
    ]
    assert [each["name"] for each in listed_loras(CATALOG, {}, ADULTS)] == ["style", "other"]
    assert CATALOG.adapters_called("my_style") == ("style",)


def test_vaes_without_their_folders() -> None:
    assert listed_vaes(CATALOG, ANYONE) == [{"model_name": "vae-fix", "filename": "vae-fix"}]


def test_embeddings_that_fit_and_those_that_do_not() -> None:
    listed = listed_embeddings(CATALOG, BASE, ANYONE)
    assert {kind: [*those] for kind, those in listed.items()} == {
        "loaded": ["hands"],
        "skipped": ["feet"],
    }
    assert listed["loaded"]["hands"]["shape"] == 1280


def test_controlnets_for_any_of_the_models() -> None:
    assert listed_controlnets(CATALOG, ANYONE) == ["canny", "depth"]
    adult = ApiKey(id="2", name="adult", nsfw=True)
    assert "lewd" in listed_controlnets(CATALOG, adult)
