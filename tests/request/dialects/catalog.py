"""A small catalog, and how a prompt is composed with it."""

from typing import Any

from bot.progress import Notice
from bot.request import Composed, Draft, compose_with_notes
from catalog import (
    AdapterEntry,
    AdapterFacts,
    Catalog,
    EmbeddingEntry,
    Embeddings,
    ModelEntry,
)

SEED = 1234
HASHES = {
    "base": ("a" * 64, "a" * 10),
    "other": ("b" * 64, "b" * 10),
    "ink": ("c" * 64, "d" * 12),
}
CATALOG = Catalog(
    {
        key: ModelEntry(key=key, name=name, path=f"{key}/{key}_v1.safetensors")
        for key, name in (("base", "SDXL base"), ("other", "Other Model"))
    },
    {
        key: AdapterEntry(key=key, name=name, path=f"{key}/{file}.safetensors")
        for key, name, file in (
            ("ink", "Ink wash", "InkWash_v2"),
            ("anime", "Anime style", "anime-a"),
            ("anime-2", "Anime style", "anime-b"),
        )
    },
    "base",
    adapter_facts={"ink": AdapterFacts("LoRA", "SDXL", True, output_name="sumi_e_trained")},
    embeddings=Embeddings(
        {"hands": EmbeddingEntry(key="hands", name="hands", path="hands.safetensors")}
    ),
)


def composed(prompt: str, *, adapters_max: int = 4, **options: Any) -> Composed:
    return compose_with_notes(
        Draft(prompt=prompt, **options),
        CATALOG,
        nsfw=False,
        adapters_max=adapters_max,
        hashes=HASHES,
        draw=lambda: SEED,
    )


def codes(notes: tuple[Notice, ...]) -> list[str]:
    return [note.code for note in notes]


def said(notes: tuple[Notice, ...]) -> dict[str, Any]:
    """The parameters of each note, by its code without the part that all have."""
    return {note.code.removeprefix("dialect."): dict(note.params) for note in notes}
