"""Sheets: every cell in its place under its label, within Discord's limits, always the same."""

import hashlib
import math
import random
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.files.metadata import compress_png
from bot.files.sheets import drawing
from bot.files.sheets.drawing import BYTES_MAX, INK, PAPER, Content, Failed, draw_sheet, labels
from bot.files.sheets.layout import LINES, PIXELS_MAX, SIDE_MAX, layout
from bot.files.sheets.lettering import Lettering
from bot.files.sheets.preview import SIDE, FilledSheet
from bot.request import GenerationRequest
from tests.parameters import examples
from tests.request.test_compare import compared


def plain(n: int, size: tuple[int, int]) -> PIL.Image.Image:
    return PIL.Image.new("RGB", size, (255 - n, n, 200))


def filled(request: GenerationRequest) -> list[Content]:
    return [plain(n, cell.final_size) for n, cell in enumerate(request.each)]


TWO = compared("a fox", ("steps", "10, 20, 30"), ("guidance", "5, 7.5"), size="512x768")
ONE = compared("a fox", ("seed", "1, 2, 3, 4, 5"), size="512x768")


def test_every_cell_is_in_its_column_and_row() -> None:
    sheet = draw_sheet(TWO, filled(TWO))
    found = layout([cell.final_size for cell in TWO.each], *labels(TWO))
    assert sheet.size == found.size
    for n in range(6):
        x, y = found.corner(n % 3, n // 3)
        for inside in ((x, y), (x + 511, y + 767)):
            assert sheet.getpixel(inside) == (255 - n, n, 200)
        assert sheet.getpixel((x - 1, y)) == PAPER


def test_cells_of_one_axis_are_wrapped_each_under_its_label() -> None:
    sheet = draw_sheet(ONE, filled(ONE))
    found = layout([cell.final_size for cell in ONE.each], *labels(ONE))
    assert (found.columns, found.rows, found.left) == (3, 2, 0)
    for n in range(5):
        x, y = found.corner(n % 3, n // 3)
        assert sheet.getpixel((x, y)) == (255 - n, n, 200)
        label = sheet.crop((x, y - found.header, x + 512, y))
        assert INK in {colour for _, colour in label.getcolors(1 << 16) or []}


def test_smaller_images_are_centred_and_not_enlarged() -> None:
    request = compared("a fox", ("model", "base, fast"), ("seed", "1, 2"))
    sheet = draw_sheet(request, filled(request))
    found = layout([cell.final_size for cell in request.each], *labels(request))
    x, y = found.corner(1, 0)
    assert sheet.getpixel((x + 512, y + 512)) == (254, 1, 200)
    assert sheet.getpixel((x + 255, y + 512)) == PAPER


def test_a_failed_cell_says_why() -> None:
    contents = filled(TWO)
    empty, said = draw_sheet(TWO, [*contents[:5], Failed()]), Failed("Out of memory.")
    assert draw_sheet(TWO, [*contents[:5], said]).tobytes() != empty.tobytes()


def test_a_file_that_is_missing_or_damaged_is_a_failed_cell(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    contents = filled(TWO)
    noise = random.Random(7).randbytes(3 * 200 * 200)
    PIL.Image.frombytes("RGB", (200, 200), noise).save(tmp_path / "cut.png")
    whole = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    first, second, *_ = whole.split(b"IDAT")
    (tmp_path / "broken.png").write_bytes(first + b"IDAT" + second + bytes(1_000))
    (tmp_path / "zeros.png").write_bytes(whole[:33] + bytes(len(whole) - 33))
    for name in ("bad.png", "none.png", "cut.png", "broken.png", "zeros.png"):
        draw_sheet(TWO, [*contents[:5], tmp_path / name])


def test_what_a_disk_refuses_is_not_taken_for_damage(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        draw_sheet(TWO, [*filled(TWO)[:5], tmp_path])


def test_the_same_contents_give_the_same_bytes() -> None:
    first, second = (hashlib.sha256(draw_sheet(TWO, filled(TWO)).tobytes()) for _ in range(2))
    assert first.digest() == second.digest()


def test_a_sheet_fits_into_an_attachment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "BYTES_MAX", 300_000)
    noise = random.Random(1).randbytes(512 * 768 * 3)
    image = PIL.Image.frombytes("RGB", (512, 768), noise)
    sheet = draw_sheet(TWO, [image] * 6)
    assert 150_000 < len(compress_png(sheet)) <= 300_000


def test_the_limit_leaves_room_for_what_the_file_says() -> None:
    assert BYTES_MAX < 10 * 1024 * 1024 - 100_000


SIZES = st.tuples(st.integers(64, 4096), st.integers(64, 4096))
WORDS = st.lists(st.text(max_size=30).map(lambda text: f"x{text}"), min_size=2, max_size=4)


@pytest.mark.long
@settings(max_examples=examples(40), deadline=None)
@given(SIZES, WORDS, WORDS, st.booleans())
def test_a_layout_is_within_the_limits_and_nothing_overlaps(
    size: tuple[int, int], columns: list[str], rows: list[str], both: bool
) -> None:
    rows = rows if both else []
    count = len(columns) * max(1, len(rows))
    found = layout([size] * count, columns, rows)
    assert math.prod(found.size) <= PIXELS_MAX
    assert max(found.size) <= SIDE_MAX
    seen: list[tuple[int, int]] = []
    for n in range(count):
        x, y = found.corner(n % found.columns, n // found.columns)
        assert found.left <= x <= found.size[0] - found.box[0]
        assert found.header <= y <= found.size[1] - found.box[1]
        assert all(abs(x - a) > found.box[0] or abs(y - b) > found.box[1] for a, b in seen)
        seen.append((x, y))


# Letters


@pytest.mark.parametrize(
    "text", ["é", "ß", "Ł", "ğ", "ế", "Ж", "Ω", "漢", "か", "한", "简", "×", "…"]
)
def test_the_fonts_have_accents_and_ideographs(text: str) -> None:
    lettering = Lettering(24)
    [(font, part)] = lettering._parts(text)
    assert part == text
    assert bytes(font.getmask(text)) != bytes(font.getmask("\uffff"))


def test_lines_are_broken_at_spaces_and_cut_with_an_ellipsis() -> None:
    lettering = Lettering(20)
    lines = lettering.wrapped("one two three four five six seven eight nine ten", 120, LINES)
    assert len(lines) == LINES
    assert lines[-1].endswith("…")
    assert all(lettering.width(line) <= 120 for line in lines)
    assert "".join(lines).replace("…", "").startswith("one two")
    assert lettering.wrapped("short", 120, LINES) == ["short"]
    assert lettering.wrapped("漢字" * 20, 60, 1)[0].endswith("…")


@given(st.text(max_size=60), st.integers(1, 300))
def test_any_text_can_be_wrapped(text: str, width: int) -> None:
    assert len(Lettering(16).wrapped(text, width, 2)) <= 2


# The preview


def test_a_preview_shows_the_cells_that_are_there(tmp_path: Path) -> None:
    def seen(jpeg: bytes) -> Any:
        (tmp_path / "p.jpg").write_bytes(jpeg)
        with PIL.Image.open(tmp_path / "p.jpg") as image:
            return image.convert("RGB")

    sheet = FilledSheet(TWO)
    empty = seen(sheet.jpeg())
    assert max(empty.size) <= SIDE + 16
    sheet.put(0, PIL.Image.new("RGB", (512, 768), "red"))
    one = seen(sheet.jpeg())
    assert one.getpixel((30, 30))[0] > 200
    unfinished = compress_png(PIL.Image.new("RGB", (64, 96), "lime"))
    two = seen(sheet.jpeg(5, unfinished))
    assert two.getpixel((two.width - 40, two.height - 40))[1] > 200
    assert seen(sheet.jpeg()).tobytes() == one.tobytes()
