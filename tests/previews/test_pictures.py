"""Which picture shows an entry: the owner's own, or else the one painted for its files."""

import io
import logging
import os
from pathlib import Path

import pytest
from PIL import Image

from bot.previews import Pictures, Shelf
from bot.previews import pictures as module
from bot.previews.thumbnail import SIDE, Unusable, thumbnail
from catalog import AdapterEntry, ModelEntry
from tests.catalog.home import weights_bytes

INK = AdapterEntry(key="ink", name="Ink", path="loras/ink.safetensors")
FOLDER = ModelEntry(key="xl", name="XL", path="checkpoints/xl")


def picture(colour: str, size: tuple[int, int] = (600, 300), kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, kind)
    return file.getvalue()


def colour_of(data: bytes | None) -> str:
    assert data is not None
    with Image.open(io.BytesIO(data)) as image:
        red, green, blue = image.convert("RGB").getpixel((1, 1))  # type: ignore[misc]
    return "red" if red > 200 else "lime" if green > 200 else "blue" if blue > 200 else "?"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    (folder / "loras").mkdir(parents=True)
    (folder / INK.path).write_bytes(weights_bytes())
    return folder


@pytest.fixture
def pictures(models: Path, tmp_path: Path) -> Pictures:
    return Pictures(models, tmp_path / "previews")


def test_small_pictures_keep_their_shape() -> None:
    with Image.open(io.BytesIO(thumbnail(picture("red", (1000, 500))))) as image:
        assert (image.format, image.size) == ("WEBP", (SIDE, SIDE // 2))


async def test_the_owners_own_picture_wins(pictures: Pictures, models: Path) -> None:
    pictures.keep(Shelf.LORAS, INK, "a fox", picture("red"))
    assert colour_of(pictures.picture(Shelf.LORAS, INK)) == "red"
    (models / "loras/ink.jpeg").write_bytes(picture("blue", kind="JPEG"))
    assert colour_of(pictures.picture(Shelf.LORAS, INK)) == "blue"
    (models / "loras/ink.preview.png").write_bytes(picture("lime"))
    assert colour_of((await pictures.of(Shelf.LORAS, [INK], checked=True))["ink"]) == "lime"
    assert not pictures.lacks(Shelf.LORAS, INK, "another prompt")


async def test_a_damaged_picture_is_named_once_and_skipped(
    pictures: Pictures, models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pictures.keep(Shelf.LORAS, INK, "a fox", picture("red"))
    for name, data in (
        ("ink.preview.png", picture("lime")[:-40]),
        ("ink.png", b"<svg/>"),
        ("ink.webp", b""),
    ):
        (models / "loras" / name).write_bytes(data)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert colour_of(pictures.picture(Shelf.LORAS, INK)) == "red"
    named = [record.getMessage() for record in caplog.records]
    assert len(named) == 3
    assert all(str(models / "loras") in line and "cannot be shown" in line for line in named)


def test_too_large_ones_are_refused_before_they_are_decoded() -> None:
    with pytest.raises(Unusable, match="pixels"):
        thumbnail(picture("red", (5000, 4000)))


def test_a_link_out_of_the_models_folder_is_not_followed(
    pictures: Pictures, models: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret.png").write_bytes(picture("red"))
    (models / "loras/ink.png").symlink_to(tmp_path / "secret.png")
    assert pictures.picture(Shelf.LORAS, INK) is None


def test_a_pipe_is_no_picture(pictures: Pictures, models: Path) -> None:
    os.mkfifo(models / "loras/ink.png")
    assert pictures.picture(Shelf.LORAS, INK) is None


def test_a_picture_shows_only_the_files_it_was_painted_with(
    pictures: Pictures, models: Path
) -> None:
    assert pictures.lacks(Shelf.LORAS, INK, "a fox")
    pictures.keep(Shelf.LORAS, INK, "a fox", picture("red"))
    assert not pictures.lacks(Shelf.LORAS, INK, "a fox")
    assert pictures.lacks(Shelf.LORAS, INK, "a bird")
    (models / INK.path).write_bytes(weights_bytes({"other": "file"}))
    assert pictures.picture(Shelf.LORAS, INK) is None
    assert pictures.lacks(Shelf.LORAS, INK, "a fox")
    pictures.keep(Shelf.LORAS, INK, "a fox", picture("blue"))
    assert colour_of(pictures.picture(Shelf.LORAS, INK)) == "blue"


def test_painted_pictures_are_found_again_and_old_ones_deleted(
    pictures: Pictures, models: Path, tmp_path: Path
) -> None:
    gone = AdapterEntry(key="gone", name="Gone", path=INK.path)
    for entry in (INK, gone):
        pictures.keep(Shelf.LORAS, entry, "a fox", picture("red"))
    again = Pictures(models, tmp_path / "previews")
    assert colour_of(again.picture(Shelf.LORAS, INK)) == "red"
    again.tidy({Shelf.LORAS: [INK]})
    [left] = (tmp_path / "previews/loras").iterdir()
    assert left.name.startswith("ink@")
    (models / INK.path).unlink()
    again.tidy({Shelf.LORAS: [INK]})
    assert [*(tmp_path / "previews/loras").iterdir()] == []


def test_only_so_many_are_kept(pictures: Pictures, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAINTED_MAX", 1)
    pictures.keep(Shelf.LORAS, INK, "a fox", picture("red"))
    pictures.keep(Shelf.LORAS, INK, "a bird", picture("red"))
    other = AdapterEntry(key="other", name="Other", path=INK.path)
    with pytest.raises(Unusable, match="1 preview pictures are kept already"):
        pictures.keep(Shelf.LORAS, other, "a fox", picture("red"))


def test_a_model_in_a_folder_has_its_picture_beside_it(pictures: Pictures, models: Path) -> None:
    folder = models / FOLDER.path
    (folder / "unet").mkdir(parents=True)
    (folder / "unet/model.safetensors").write_bytes(weights_bytes())
    assert pictures.lacks(Shelf.MODELS, FOLDER, "a fox")
    (folder.parent / "xl.preview.png").write_bytes(picture("lime"))
    assert colour_of(pictures.picture(Shelf.MODELS, FOLDER)) == "lime"


@pytest.mark.parametrize("fields", [{}, {"weight_name": "m.gguf"}], ids=["alone", "named"])
def test_a_model_in_a_gguf_file_has_its_picture_beside_it(
    pictures: Pictures, models: Path, fields: dict[str, str]
) -> None:
    (models / "far").mkdir()
    (models / "far/m.gguf").write_bytes(b"GGUF")
    (models / "far/m.png").write_bytes(picture("lime"))
    entry = ModelEntry(key="m", name="M", path="far", **fields)  # type: ignore[arg-type]
    assert colour_of(pictures.picture(Shelf.MODELS, entry)) == "lime"


async def test_a_picture_is_shown_where_images_are_checked_only_if_it_was(
    pictures: Pictures, models: Path, tmp_path: Path
) -> None:
    pictures.keep(Shelf.LORAS, INK, "a fox", picture("red"))
    for known in (pictures, Pictures(models, tmp_path / "previews")):
        assert await known.of(Shelf.LORAS, [INK], checked=False)
        assert not await known.of(Shelf.LORAS, [INK], checked=True)
        assert known.lacks(Shelf.LORAS, INK, "a fox", checked=True)
    pictures.keep(Shelf.LORAS, INK, "a fox", picture("blue"), checked=True)
    assert len([*(tmp_path / "previews/loras").iterdir()]) == 1
    assert colour_of((await pictures.of(Shelf.LORAS, [INK], checked=True))["ink"]) == "blue"
    for checked in (True, False):
        assert not pictures.lacks(Shelf.LORAS, INK, "a fox", checked=checked)
