"""Opposite edges that are to meet: from every way of asking for it, and back into each."""

from dataclasses import replace
from typing import Any

import pytest

from bot.api.automatic.bodies import Txt2Img
from bot.api.automatic.translating import translate
from bot.api.openai.asking import understood
from bot.api.openai.bodies import Generation
from bot.api.original.bodies import Generate
from bot.cli.arguments import parser
from bot.cli.asked import Asked
from bot.errors import InvalidRequest, Mistakes
from bot.request import (
    Draft,
    GenerationRequest,
    Hires,
    Picture,
    UpscaleDraft,
    compose,
    compose_upscale,
    lighter,
)
from bot.request.changes import Fields, changed, draft_of, fields_of, with_given
from bot.request.keeping import Part, options_of
from bot.request.options import Named, Options
from bot.request.redraft import redraft
from catalog import Catalog, ModelEntry, UpscalerEntry, Upscalers
from catalog.families import FAMILIES
from catalog.families.flux2 import FLUX2
from catalog.families.sdxl import SDXL
from tests.language import TEXTS

MODEL = ModelEntry(key="base", name="Base", path="a/b")
OTHER = ModelEntry(key="klein", name="Klein", path="a/c", family=FLUX2, variant="distilled")
CATALOG = Catalog({"base": MODEL, "klein": OTHER}, {}, "base")
"""Two families: one is of convolutions, one is not."""


def composed(saved: tuple[Named, ...] = (), **fields: Any) -> GenerationRequest:
    draft = Draft(**{"prompt": "a fox", "seed": 7, **fields})
    return compose(draft, CATALOG, nsfw=False, saved=saved)


TILED = composed(tile=True)
PLAIN = composed()


def test_it_is_a_part_of_the_request_and_others_are_stored_as_ever() -> None:
    assert (TILED.tile, PLAIN.tile, composed(tile=False).tile) == (True, False, False)
    assert TILED.to_dict()["tile"] is True
    assert "tile" not in PLAIN.to_dict()
    for each in (TILED, PLAIN):
        assert GenerationRequest.from_dict(each.to_dict()) == each


@pytest.mark.parametrize("key", FAMILIES)
def test_families_that_cannot_refuse_it_by_name(key: str) -> None:
    family = FAMILIES[key]
    entry = ModelEntry(
        key="m", name="M", path="a/b", family=family, variant=family.variants[0].name
    )
    known = Catalog({"m": entry}, {}, "m")
    asked = Draft(prompt="a fox --tile")
    if key in {"sdxl", "sd15"}:
        assert compose(asked, known, nsfw=False).tile
        return
    with pytest.raises(InvalidRequest) as caught:
        compose(asked, known, nsfw=False)
    assert (caught.value.field, caught.value.code) == ("tile", "family.tile")
    said = TEXTS.speaker()(caught.value.code, **caught.value.params)
    assert family.name in said
    assert not compose(Draft(prompt="a fox", tile=False), known, nsfw=False).tile


class TestAskedFor:
    def test_over_http(self) -> None:
        assert Generate(prompt="a", tile=True).draft().tile
        assert Generate(prompt="a").draft().tile is None
        body = Generation(prompt="a", tile=True, model="base")
        assert understood(body, CATALOG, nsfw=False, previews=False).draft.tile

    @pytest.mark.parametrize(("sent", "taken"), [(True, True), (False, None), (None, None)])
    def test_by_clients_of_automatic1111(self, sent: bool | None, taken: bool | None) -> None:
        found = translate(Txt2Img(prompt="a fox", tiling=sent), MODEL)
        assert (found.draft.tile, found.warnings) == (taken, ())

    def test_they_are_told_where_the_model_cannot(self) -> None:
        found = translate(Txt2Img(prompt="a fox", tiling=True), OTHER)
        assert found.draft.tile is None
        assert [note.params["field"] for note in found.warnings] == ["tiling"]
        assert translate(Txt2Img(prompt="a fox", tiling=False), OTHER).warnings == ()

    @pytest.mark.parametrize(
        ("typed", "taken"), [(["--tile"], True), (["--no-tile"], False), ([], None)]
    )
    async def test_on_a_command_line(self, typed: list[str], taken: bool | None) -> None:
        asked = await Asked.read(parser().parse_args(["imagine", "a fox", *typed]))
        assert isinstance(asked.draft, Draft)
        assert asked.draft.tile is taken

    def test_in_a_preset_which_what_is_typed_outweighs(self) -> None:
        saved = (Named("pattern", Options(tile=True)),)
        assert composed(saved, preset="pattern").tile
        assert not composed(saved, preset="pattern", tile=False).tile
        assert composed(
            (Named("flagged", Options(prompt="{prompt} --tile")),), preset="flagged"
        ).tile

    def test_of_a_preset_it_is_left_out_where_the_model_cannot(self) -> None:
        assert not composed(
            (Named("pattern", Options(tile=True)),), preset="pattern", model="klein"
        ).tile

    def test_in_pasted_generation_data(self) -> None:
        pasted = "a fox\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 7, Tiling: {}"
        assert composed(prompt=pasted.format("True")).tile
        assert not composed(prompt=pasted.format("False")).tile


class TestKept:
    def test_when_it_is_asked_for_again_with_something_changed(self) -> None:
        assert compose(redraft(TILED, CATALOG, nsfw=False), CATALOG, nsfw=False) == TILED
        assert redraft(PLAIN, CATALOG, nsfw=False).tile is None
        assert TILED.with_seed(8).tile
        assert TILED.variations(9, 0.2, 1).tile

    def test_in_the_form(self) -> None:
        shown = fields_of(TILED)
        assert "tile: yes" in shown.more.splitlines()
        assert "tile" not in fields_of(PLAIN).more
        draft = changed(TILED, shown, before=MODEL)
        assert compose(draft, CATALOG, nsfw=False) == TILED
        without = replace(shown, more=shown.more.replace("tile: yes", ""))
        assert not compose(changed(TILED, without, before=MODEL), CATALOG, nsfw=False).tile

    @pytest.mark.parametrize(
        ("typed", "taken"),
        [("yes", True), ("Ja", True), ("oui", True), ("no", False), ("FALSE", False), ("", None)],
    )
    def test_as_a_line_that_is_typed(self, typed: str, taken: bool | None) -> None:
        entered = Fields("a fox", "", "base", "", f"tile: {typed}")
        assert draft_of(entered).tile is taken
        assert draft_of(replace(entered, more=f"Tiling: {typed}")).tile is taken

    def test_a_line_that_is_neither_is_refused(self) -> None:
        with pytest.raises(Mistakes) as caught:
            draft_of(Fields("a fox", "", "base", "", "tile: x"))
        assert [error.code for error in caught.value.errors] == ["form.switch"]

    @pytest.mark.parametrize(("given", "said"), [(True, "tile: yes"), (False, "tile: no")])
    def test_in_a_form_filled_from_a_draft(self, given: bool, said: str) -> None:
        blank = Fields("", "", "base", "", "")
        assert with_given(blank, Draft(prompt="", tile=given)).more == said

    def test_in_a_preset_made_of_it(self) -> None:
        kept = options_of(TILED, [Part.SIZE], "", CATALOG, nsfw=False)
        assert kept.tile is True
        assert options_of(PLAIN, [Part.SIZE], "", CATALOG, nsfw=False).tile is None

    def test_when_it_is_made_lighter(self) -> None:
        less = lighter(replace(TILED, hires=Hires(1.5, 0.5, 30)), SDXL)
        assert less is not None
        assert less.tile

    def test_not_when_it_is_enlarged(self) -> None:
        """Tiles of an enlarged image have edges of their own, which are not those of the image."""
        upscalers = Upscalers({"x": UpscalerEntry(key="x", name="X", path="a/x")})
        asked = UpscaleDraft(
            image=Picture("a" * 64, 64, 64), mode="repaint", prompt="a fox --tile", scale=2.0
        )
        found = compose_upscale(asked, replace(CATALOG, upscalers=upscalers), nsfw=False)
        assert not found.request.tile
