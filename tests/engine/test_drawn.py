"""Images of one request with texts of their own: each as it is alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from bot.files.metadata import infotext, read_png
from bot.request import Draft, GenerationRequest, compose
from bot.request.dialects.infotext import parse_infotext
from catalog import Catalog, EmbeddingEntry, Embeddings, WildcardFile, Wildcards
from tests.engine.factories import catalog, digests, kohya_lora, paint, save
from tests.files.pngs import encode_png

pytestmark = pytest.mark.long


LONG = ", ".join(["snow"] * 50)
"""More than one chunk of tokens, so that the shapes of the batch's texts differ."""


@pytest.fixture
def offered(tmp_path: Path) -> Catalog:
    import torch

    numbers = torch.Generator().manual_seed(1)
    vectors = {
        name: torch.randn(2, width, generator=numbers)
        for name, width in (("clip_l", 32), ("clip_g", 48))
    }
    entries = {}
    for name, learned in (("fox", vectors), ("fox one", {n: v * 2 for n, v in vectors.items()})):
        path, key = save(tmp_path / f"{name}.safetensors", learned), name.replace(" ", "-")
        entries[key] = EmbeddingEntry(key=key, name=name, path=str(path))
    ink = kohya_lora(tmp_path / "ink.safetensors")
    base = catalog(ink=ink)
    ink_entry = base.adapters["ink"].model_copy(update={"trigger_words": ("ink wash",)})
    return replace(
        base,
        adapters={"ink": ink_entry},
        embeddings=Embeddings(entries),
        wildcards=Wildcards({"thing": WildcardFile(("fox", "fox one", "ink wash", LONG))}),
    )


def composed(offered: Catalog, **fields: Any) -> GenerationRequest:
    draft = Draft(**{"prompt": "a __thing__", "steps": 10, "size": "64x64", "seed": 11, **fields})
    return compose(draft, offered, nsfw=False)


@pytest.mark.long
def test_image_n_of_a_batch_is_the_image_drawn_alone(engine: Engine, offered: Catalog) -> None:
    fields = {"lora": "ink", "negative": "{bad|worse {fox|hare}|}", "hires": 1.5}
    # A seed with which all four lines are drawn.
    asked = next(
        request
        for seed in range(1_000)
        for request in [composed(offered, seed=seed, count=4, **fields)]
        if len({each.prompt for each in request.prompts}) == 4
    )
    batch = paint(engine, asked, offered)
    for n in range(4):
        typed_alone = composed(offered, seed=asked.image_seed(n), **fields)
        assert typed_alone == asked.alone(n)
        assert digests(paint(engine, typed_alone, offered)) == [digests(batch)[n]]
    again = GenerationRequest.from_dict(asked.to_dict())
    assert digests(paint(engine, again, replace(offered, wildcards=Wildcards()))) == digests(batch)
    literal = replace(asked.alone(1), template=None)
    assert digests(paint(engine, literal, offered)) == [digests(batch)[1]]
    same_text = replace(asked.alone(0), seed=asked.image_seed(1))
    assert digests(paint(engine, same_text, offered)) != [digests(batch)[1]]


def test_each_file_says_its_own_text_and_what_it_was_drawn_from(
    engine: Engine, offered: Catalog
) -> None:
    asked = composed(offered, prompt="a {red, |blue: |green}__thing__", count=3, negative="{a|b}")
    painting = paint(engine, asked, offered)
    for n, painted in enumerate(painting.images):
        read = read_png(encode_png(painted.image, painting.recipe, painted.seed))
        assert read.recipe is not None
        told = parse_infotext(read.parameters or "")
        own = asked.alone(n)
        assert (told.prompt, told.negative) == (own.painted_prompt, own.negative)
        assert told.settings["Template"] == "a {red, |blue: |green}__thing__"
        assert told.settings["Negative Template"] == "{a|b}"
        assert read.recipe.request.of_seed(read.seed or 0).prompts == own.prompts
    plain = replace(painting.recipe, request=replace(asked.alone(0), template=None))
    assert "Template" not in infotext(plain, 11)
