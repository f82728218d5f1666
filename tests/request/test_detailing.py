"""What of a finished image is painted again: how it is typed, and what is refused."""

from dataclasses import replace
from typing import Any

import pytest

from bot.errors import InvalidRequest, Refused
from bot.request import (
    DETAIL_WORD_MAX,
    DetailUse,
    Draft,
    GenerationRequest,
    Hires,
    Named,
    Options,
    Picture,
    compose,
    compose_with_notes,
    lighter,
    redraft,
)
from bot.request.changes import changed, draft_of, fields_of
from bot.request.detailing import can_be_detailed, parse_details, with_faces
from bot.request.dialects.adetailer import word_of
from bot.request.keeping import Part, options_of
from bot.request.repainting import repainted
from catalog import Catalog, DetectorEntry, StyleEntry
from catalog.families.sdxl import SDXL
from catalog.style_index import Styles
from tests.request.composing import CATALOG, model

OFFERED = replace(CATALOG, detector=DetectorEntry(path="org/finds"))
IMAGE = Picture("a" * 64, 1024, 1024)


def composed(
    prompt: str = "a fox", catalog: Catalog = OFFERED, **options: Any
) -> GenerationRequest:
    return compose(Draft(prompt=prompt, **options), catalog, nsfw=False)


@pytest.mark.parametrize(
    ("typed", "uses"),
    [
        ("face", [("face", 0.4)]),
        (" Face , HAND : 0.3", [("face", 0.4), ("hand", 0.3)]),
        ("face:0,25,eyes", [("face", 0.25), ("eyes", 0.4)]),
        ("cat's left  ear:1", [("cat's left ear", 1.0)]),
        ("face:.5", None),
        ("face\nhand", [("face", 0.4), ("hand", 0.4)]),
        (" , ", []),
        ("", []),
    ],
)
def test_it_is_typed(typed: str, uses: list[tuple[str, float]] | None) -> None:
    if uses is None:
        with pytest.raises(InvalidRequest):
            parse_details(typed)
        return
    assert [(use.word, use.strength) for use in parse_details(typed)] == uses
    again = ", ".join(map(str, parse_details(typed)))
    assert parse_details(again) == parse_details(typed)


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("face:0.3:0.4", "detail.form"),
        ("face. hand", "detail.form"),
        ("gesicht ä", "detail.form"),
        ("x" * (DETAIL_WORD_MAX + 1), "detail.form"),
        ("face," * 100, "detail.form"),
        ("face, hand, eyes, ear", "detail.many"),
        ("face, hand, Face:0.3", "detail.twice"),
        ("face:0.04", "number.range"),
        ("face:1.1", "number.range"),
    ],
)
def test_what_is_no_such_text_is_refused(typed: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        composed(detail=typed)
    assert (refused.value.field, refused.value.code) == ("detail", code)


def test_it_is_part_of_the_request_and_of_what_is_asked_for_again() -> None:
    asked = composed(detail="face, hand:0.3", seed=5, hires=1.5)
    assert asked.detail == (DetailUse("face"), DetailUse("hand", 0.3))
    assert GenerationRequest.from_dict(asked.to_dict()) == asked
    assert "detail" not in composed().to_dict()
    assert compose(redraft(asked, OFFERED, nsfw=False), OFFERED, nsfw=False) == asked
    shown = fields_of(asked)
    assert "detail: face, hand:0.3" in shown.more
    before = OFFERED.models[asked.model]
    draft = changed(asked, shown, before=before, image=None)
    assert compose(draft, OFFERED, nsfw=False) == asked
    without = replace(shown, more=shown.more.replace("detail: face, hand:0.3", "detail:"))
    draft = changed(asked, without, before=before, image=None)
    assert compose(draft, OFFERED, nsfw=False).detail == ()
    assert draft_of(shown).detail == "face, hand:0.3"


def test_it_is_written_into_a_prompt_or_an_infotext() -> None:
    made = composed("a fox --detail face, hand:0.3 --ar 1:1")
    assert made.prompt == "a fox"
    assert made.detail == (DetailUse("face"), DetailUse("hand", 0.3))
    assert composed("a fox —detail of a face").prompt == "a fox —detail of a face"
    settings = "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 1024x1024"
    assert composed(f'a fox\n{settings}, Detail: "face, hand:0.3"').detail == made.detail
    theirs = (
        f"{settings}, ADetailer model: face_yolov8n.pt, ADetailer denoising strength: 0.4, "
        "ADetailer model 2nd: hand_yolov8s.pt, ADetailer denoising strength 2nd: 0.3"
    )
    assert composed(f"a fox\n{theirs}").detail == made.detail
    # Where it cannot be done, it is left out and named.
    assert composed(f"a fox\n{theirs}", CATALOG).detail == ()


def test_what_is_refused() -> None:
    with pytest.raises(Refused, match=r"detail\.no_detector"):
        composed(catalog=CATALOG, detail="face")
    for kept in ({"mask": IMAGE}, {"extend": "left"}):
        with pytest.raises(InvalidRequest, match=r"detail\.kept"):
            composed(image=IMAGE, detail="face", **kept)
    plain = model("plain", family=replace(SDXL, name="Plain", takes_image=False))
    detector = DetectorEntry(path="org/finds")
    with pytest.raises(InvalidRequest, match=r"family\.image"):
        composed(catalog=Catalog({"plain": plain}, {}, "plain", detector=detector), detail="face")


def test_a_part_that_is_painted_anew_looks_for_nothing() -> None:
    asked = composed(detail="face")
    draft = repainted(asked, 0, IMAGE, IMAGE, OFFERED, nsfw=False, prompt="a hat", strength=1.0)
    assert compose(draft, OFFERED, nsfw=False).detail == ()


def test_a_result_may_have_its_faces_painted() -> None:
    asked = composed(seed=5, count=2)
    assert can_be_detailed(asked, OFFERED)
    assert with_faces(asked) == replace(asked, detail=(DetailUse("face"),))
    with_hands = composed(detail="hand:0.3")
    assert with_faces(with_hands).detail == (DetailUse("hand", 0.3), DetailUse("face"))
    for request, catalog in (
        (asked, CATALOG),
        (replace(asked, model="gone"), OFFERED),
        (with_faces(asked), OFFERED),
        (composed(detail="hand, eyes, ear"), OFFERED),
        (composed(image=IMAGE, mask=IMAGE), OFFERED),
    ):
        assert not can_be_detailed(request, catalog)


def test_it_is_left_out_once_there_is_no_second_pass_to_leave_out() -> None:
    asked = composed(detail="face", hires=1.5)
    first = lighter(asked, SDXL)
    assert first is not None
    assert (first.hires, first.detail) == (None, asked.detail)
    second = lighter(first, SDXL)
    assert second is not None
    assert second.detail == ()
    assert isinstance(asked.hires, Hires)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("face_yolov8n.pt", "face"),
        ("mediapipe_face_full", "face"),
        ("mediapipe_face_mesh_eyes_only", "eyes"),
        ("adetailer/hand_yolov8s.pt", "hand"),
        ("person_yolov8n-seg.pt", "person"),
        ("deepfashion2_yolov8s-seg.pt", None),
        ("", None),
    ],
)
def test_what_adetailers_models_find(name: str, word: str | None) -> None:
    assert word_of(name) == word


def test_words_are_texts_that_no_log_has() -> None:
    asked = composed(detail="canary")
    assert "canary" in asked.texts
    assert "canary" not in repr(asked)


class TestInAPreset:
    def test_what_is_typed_outweighs_it(self) -> None:
        saved = [Named("faces", Options(detail="face"))]
        assert of(saved, preset="faces").detail == (DetailUse("face"),)
        assert of(saved, preset="faces", detail="hand").detail == (DetailUse("hand"),)

    def test_it_may_be_written_in_its_prompt(self) -> None:
        saved = [Named("faces", Options(prompt="{prompt}, smiling --detail face, hand:0.3"))]
        made = of(saved, preset="faces")
        assert made.prompt == "a fox, smiling"
        assert made.detail == (DetailUse("face"), DetailUse("hand", 0.3))

    def test_it_is_set_by_a_style(self) -> None:
        style = StyleEntry(key="portrait", name="Portrait", detail="eyes")
        known = replace(OFFERED, styles=Styles([style]))
        assert composed(catalog=known, preset="portrait").detail == (DetailUse("eyes"),)

    def test_it_is_kept_with_the_second_pass(self) -> None:
        asked = composed(detail="face, hand:0.3")
        kept = options_of(asked, [Part.HIRES], "", OFFERED, nsfw=False)
        assert kept.given == {"detail": "face, hand:0.3"}
        assert "face" not in repr(kept)

    def test_it_is_left_out_with_a_note_where_a_part_is_kept(self) -> None:
        saved = [Named("faces", Options(detail="face", hires=1.5))]
        draft = Draft(prompt="a fox", preset="faces", image=IMAGE, mask=IMAGE)
        made = compose_with_notes(draft, OFFERED, nsfw=False, saved=saved)
        assert (made.request.detail, made.request.hires) == ((), None)
        assert sorted(note.params["option"] for note in made.notes) == ["detail", "hires"]
        assert {note.code for note in made.notes} == {"presets.left_out.kept"}

    def test_it_is_left_out_with_a_note_where_the_model_cannot(self) -> None:
        plain = model("plain", family=replace(SDXL, name="Plain", takes_image=False))
        known = Catalog({"plain": plain}, {}, "plain", detector=OFFERED.detector)
        saved = [Named("faces", Options(detail="face"))]
        draft = Draft(prompt="a fox", preset="faces")
        made = compose_with_notes(draft, known, nsfw=False, saved=saved)
        assert made.request.detail == ()
        assert [note.code for note in made.notes] == ["presets.left_out.option"]


def test_flags_that_no_preset_has_are_named() -> None:
    saved = [Named("part", Options(prompt="{prompt} --inpaint_area masked --inpaint-padding 8"))]
    draft = Draft(prompt="a fox", preset="part", image=IMAGE, mask=IMAGE)
    made = compose_with_notes(draft, OFFERED, nsfw=False, saved=saved)
    assert made.request.prompt == "a fox"
    assert [(note.code, dict(note.params)) for note in made.notes] == [
        ("presets.left_out.flags", {"flags": "--inpaint_area, --inpaint-padding"})
    ]


def of(saved: list[Named], **options: Any) -> GenerationRequest:
    return compose(Draft(prompt="a fox", **options), OFFERED, nsfw=False, saved=saved)
