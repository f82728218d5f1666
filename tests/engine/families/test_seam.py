"""Shared code knows no family, and a model of another family can replace the first."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.engine import Engine
from bot.engine.subject import public
from bot.recipe import Recipe
from catalog import ModelEntry
from catalog.weight_files import Header
from tests.engine.factories import (
    TINY,
    digests,
    kohya_lora,
    model,
    paint,
    request,
    resident,
    save,
    single_file,
)
from tests.engine.factories import catalog as offered

ENGINE = Path(__file__).parents[3] / "bot" / "engine"
FAMILIES = ENGINE / "families"
OF_SDXL = {"unet", "text_encoder", "text_encoder_2", "tokenizer_2", "clip_skip", "sdxl"}
OF_ONE = "bot.engine.families."


def shared() -> Iterator[tuple[Path, ast.AST]]:
    """Every AST node of the code that all families share."""
    for file in sorted(ENGINE.rglob("*.py")):
        if FAMILIES not in file.parents:
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                yield file, node


def test_the_registry_alone_imports_a_family() -> None:
    found = {
        file.name
        for file, node in shared()
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(OF_ONE)
    }
    assert found == set()


def test_nothing_shared_speaks_of_a_network_of_sdxl() -> None:
    named = set()
    for file, node in shared():
        match node:
            case ast.Constant(value=str(word)) | ast.Attribute(attr=word) if word in OF_SDXL:
                named.add((file.name, word))
            case _:
                pass
    assert named == set()


@pytest.mark.long
def test_a_model_of_another_family_gets_networks_of_its_own(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.engine import needed, pipeline, sources
    from bot.engine.families.sdxl import SDXL

    class Twin(SDXL):
        """Like SDXL in all but its name and the order in which it loads."""

        key = "twin"
        networks = ("vae", "text_encoder_2", "text_encoder", "unet")

    families = {"demo": SDXL(), "other": Twin()}

    def family_of(entry: ModelEntry) -> SDXL:
        return families[entry.key]

    there = offered(a=kohya_lora(tmp_path / "a.safetensors"))
    wanted = [request(("a", 0.7)), request(("a", 0.7), model="other")]
    expected = [digests(paint(engine, each, there)) for each in wanted]
    monkeypatch.setattr(needed, "family_of", family_of)
    monkeypatch.setattr(pipeline, "family_of", family_of)
    monkeypatch.setattr(sources, "family_of", family_of)
    before = None
    for _ in range(2):
        for each, known in zip(wanted, expected, strict=True):
            assert digests(paint(engine, each, there)) == known
            held = resident(engine)
            assert [*held.parts] == [*families[each.model].networks]
            assert held.denoiser is not before
            before = held.denoiser


def test_what_a_single_file_has_not_got_comes_with_its_configuration(
    engine: Engine, tmp_path: Path, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file

    from bot.engine import needed, pipeline, sources
    from bot.engine.families.sdxl import SDXL

    class Completed(SDXL):
        def check_single(self, *_: object, **__: object) -> None:
            pass

        def lacking(self, header: Header) -> tuple[str, ...]:
            found = any(name.startswith("first_stage_model.") for name in header.shapes)
            return () if found else ("vae",)

    whole = load_file(single_file(models_dir / TINY, tmp_path / "whole.safetensors"))
    part = {n: t for n, t in whole.items() if not n.startswith("first_stage_model.")}
    path, config = save(tmp_path / "part.safetensors", part), models_dir / TINY
    there = offered([model("whole", str(tmp_path / "whole.safetensors"), config=str(config))])
    expected = paint(engine, request(model="whole"), there)
    for module in (needed, pipeline, sources):
        monkeypatch.setattr(module, "family_of", lambda _: Completed())
    there = offered([model("part", str(path), config=str(config))])
    found = paint(engine, request(model="part"), there)
    assert digests(found) == digests(expected)
    assert expected.recipe.parts == ()
    (lent,) = found.recipe.parts
    assert lent.name == f"{public(str(config))}/vae"
    assert Recipe.from_dict(found.recipe.to_dict()) == found.recipe
