"""`main.py models` and the like, and what is said where there is no token."""

import json
import sys
from pathlib import Path

import pytest

from bot.cli.check import check
from bot.cli.listing import listing
from bot.cli.run import FIRST_STEPS, run
from bot.process.restart import MISCONFIGURED
from catalog import CatalogError
from tests.catalog.home import checkpoint_bytes
from tests.cli.folders import CATALOG, cut_lora_in, old_lora_in, settings_in


class TestListings:
    def test_json(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        settings = settings_in(tmp_path, monkeypatch, CATALOG)
        assert listing("models", settings, as_json=True) == 0
        rows = {row["key"]: row for row in json.loads(capsys.readouterr().out)}
        assert list(rows) == ["demo", "lost", "broken"]
        for row in rows.values():
            assert {"key", "name", "description", "available", "problems"} <= row.keys()
        assert rows["demo"]["available"] is True
        assert rows["demo"]["default"] is True
        assert rows["demo"]["family_name"] == "Stable Diffusion XL"
        assert rows["demo"]["family_licence"] == "CreativeML Open RAIL++-M"
        assert (rows["demo"]["variant"], rows["demo"]["speed"]) == (None, "medium")
        assert rows["demo"]["takes"]["negative"] is rows["demo"]["takes"]["brackets"] is True
        assert rows["demo"]["takes"]["reference"] is False
        assert (rows["demo"]["edits"], rows["demo"]["bases"][0]) == (0, "SDXL")
        assert rows["lost"]["available"] is False
        assert rows["lost"]["problems"]
        assert rows["broken"]["available"] is False
        assert "path" in rows["broken"]["problems"][0]
        assert listing("loras", settings, as_json=True) == 0
        [row] = json.loads(capsys.readouterr().out)
        assert (row["key"], row["name"], row["description"]) == ("ink", "Ink", "Washes.")
        assert row["family"] is row["base"] is row["rank"] is row["title"] is None
        assert row["trigger_candidates"] == []

    def test_table(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        settings = settings_in(tmp_path, monkeypatch, CATALOG)
        assert listing("models", settings, as_json=False) == 0
        lines = capsys.readouterr().out.splitlines()
        heads = ["key", "name", "family", "speed", "takes", "LoRAs", "files", "description"]
        assert lines[0].split() == heads
        assert "  Stable Diffusion XL  medium  " in lines[1]
        assert "  negative, guidance, image, tile, brackets  SDXL, Pony, Illus" in lines[1]
        assert "present, default" in lines[1]
        assert lines[1].endswith("A small model.")
        assert "disabled" in lines[2]
        assert any(line.startswith("problem: ") and "broken" in line for line in lines)

    @pytest.mark.parametrize(
        ("columns", "heads"), [(60, "key name"), *((n, "key name family speed") for n in (80, 100))]
    )
    def test_on_a_terminal_no_line_is_wider_than_that(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        columns: int,
        heads: str,
    ) -> None:
        name = "A model with a rather long name, tuned"
        told = "A model for everything that anybody has ever wanted to see painted. " * 2
        written = CATALOG.replace("A small model.", told).replace('"Demo"', f'"{name}"')
        settings = settings_in(tmp_path, monkeypatch, written)
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", str(columns))
        assert listing("models", settings, as_json=False) == 0
        lines = capsys.readouterr().out.splitlines()
        lines = lines[: next(n for n, line in enumerate(lines) if line.startswith("problem: "))]
        # A path is copied more easily whole.
        assert all(len(line) <= columns or " " not in line.strip() for line in lines)
        assert lines[0].split() == heads.split()
        assert lines[1].startswith("demo")
        first = lines[1 : lines.index(next(line for line in lines if line.startswith("lost")))]
        whole = " ".join(" ".join(first).split())
        for said in (
            f"demo {name}",
            "takes: negative, guidance, image, tile, brackets",
            "LoRAs: SDXL, Pony, Illustrious",
            "files: present, default",
            f"description: {told.strip()}",
        ):
            assert said in whole
        assert all(line.startswith("  ") for line in first[1:])

    def test_on_a_wide_terminal_it_is_the_table_that_a_pipe_gets(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        settings = settings_in(tmp_path, monkeypatch, CATALOG)
        assert listing("models", settings, as_json=False) == 0
        piped = capsys.readouterr().out
        assert max(map(len, piped.splitlines())) > 100
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", "300")
        assert listing("models", settings, as_json=False) == 0
        assert capsys.readouterr().out == piped

    def test_a_model_that_edits_says_so(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        models = '[models.klein]\nname = "klein"\npath = "black-forest-labs/FLUX.2-klein-4B"\n'
        settings = settings_in(tmp_path, monkeypatch, f'default = "klein"\n{models}')
        assert listing("models", settings, as_json=False) == 0
        line = capsys.readouterr().out.splitlines()[1]
        assert [cell.strip() for cell in line.split("  ") if cell.strip()][2:6] == [
            "FLUX.2 klein (distilled)",
            "fast",
            "image, 4 images to edit",
            "FLUX.2 klein 4B, FLUX.2 klein",
        ]
        assert listing("models", settings, as_json=True) == 0
        [row] = json.loads(capsys.readouterr().out)
        assert (row["variant"], row["speed"], row["edits"]) == ("distilled", "fast", 4)
        assert row["takes"] == {
            "negative": False,
            "guidance": False,
            "image": True,
            "reference": False,
            "control": False,
            "tile": False,
            "brackets": False,
        }

    def test_a_file_that_is_no_checkpoint_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        settings = settings_in(tmp_path, monkeypatch, CATALOG)
        file = settings.models_dir / "checkpoints" / "flux1-dev.safetensors"
        file.parent.mkdir(parents=True)
        tensors = {"double_blocks.0.img_attn.qkv.weight": (1, 1), "img_in.weight": (1, 64)}
        file.write_bytes(checkpoint_bytes(tensors))
        assert listing("models", settings, as_json=True) == 0
        row = {row["key"]: row for row in json.loads(capsys.readouterr().out)}["flux1-dev"]
        said = "flux1-dev.safetensors is a FLUX.1-like transformer"
        assert row["problems"][0].startswith(said)
        assert (row["available"], row["default"]) == (False, False)
        assert row["family"] is row["family_name"] is row["family_licence"] is None
        assert (
            row["variant"] is row["speed"] is row["takes"] is row["edits"] is row["bases"] is None
        )
        check()
        assert f"! model flux1-dev: {said}, so it is not offered" in capsys.readouterr().out

    def test_what_a_family_or_variant_would_say_is_null_where_it_is_not_known(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """As in `GET /models`."""
        lost = '[models.gone]\nname = "Gone"\npath = "gone.safetensors"\n'
        settings = settings_in(tmp_path, monkeypatch, CATALOG + lost)
        for name, shapes in (
            (
                "flux1-dev",
                {"double_blocks.0.img_attn.qkv.weight": (1, 1), "img_in.weight": (1, 64)},
            ),
            (
                "z_image_bf16",
                {"cap_pad_token": (1, 1), "noise_refiner.0.attention.k_norm.weight": (1,)},
            ),
        ):
            file = settings.models_dir / "checkpoints" / f"{name}.safetensors"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(checkpoint_bytes(shapes))
        assert listing("models", settings, as_json=True) == 0
        rows = {row["key"]: row for row in json.loads(capsys.readouterr().out)}
        of_family = ("size", "min_side", "max_side", "max_pixels", "scheduler")
        of_variant = ("steps", "guidance")
        known = {
            key: tuple(
                {rows[key][name] is not None for name in names} for names in (of_family, of_variant)
            )
            for key in ("demo", "z_image_bf16", "flux1-dev", "gone")
        }
        assert known == {
            "demo": ({True}, {True}),
            "z_image_bf16": ({True}, {False}),
            "flux1-dev": ({False}, {False}),
            "gone": ({False}, {False}),
        }
        assert rows["z_image_bf16"]["fast"] is None
        assert listing("models", settings, as_json=False) == 0

    def test_what_the_files_of_loras_say(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        settings = settings_in(tmp_path, monkeypatch, CATALOG)
        old_lora_in(tmp_path)
        assert listing("loras", settings, as_json=True) == 0
        row = {row["key"]: row for row in json.loads(capsys.readouterr().out)}["old"]
        said = {name: row[name] for name in ("family", "base", "rank", "conv_rank", "title")}
        assert said == {
            "family": "LoRA",
            "base": "SD 1.5",
            "rank": 4,
            "conv_rank": None,
            "title": "Old one",
        }
        assert row["trigger_candidates"] == ["tree"]
        assert row["problems"] == ["made for SD 1.5, which fits no model here"]
        assert row["available"] is False
        assert listing("loras", settings, as_json=False) == 0
        head, ink, old = capsys.readouterr().out.splitlines()[:3]
        assert head.split()[:4] == ["key", "name", "kind", "files"]
        assert ink.split()[:3] == ["ink", "Ink", "downloaded"]
        assert old.split("  ")[2:] == [
            "LoRA 4, SD 1.5",
            "made for SD 1.5, which fits no model here",
        ]
        assert ink.index("downloaded") == head.index("files") == old.index("made")

    def test_a_broken_file_is_listed_with_its_kind_alone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        settings = settings_in(tmp_path, monkeypatch, CATALOG)
        cut_lora_in(tmp_path)
        assert listing("loras", settings, as_json=True) == 0
        row = {row["key"]: row for row in json.loads(capsys.readouterr().out)}["models-cut"]
        assert row["available"] is False
        assert "cut off" in row["problems"][0]
        assert listing("models", settings, as_json=True) == 0
        assert "models-cut" not in capsys.readouterr().out
        assert listing("models", settings, as_json=False) == 0
        assert "models-cut" not in capsys.readouterr().out
        assert listing("loras", settings, as_json=False) == 0
        assert "problem: " in capsys.readouterr().out

    def test_a_catalog_that_is_not_there(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = settings_in(tmp_path, monkeypatch, "=")
        with pytest.raises(CatalogError):
            listing("models", settings, as_json=False)


class TestRunWithoutAToken:
    def test_it_says_in_three_lines_how_to_get_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(settings_in(tmp_path, monkeypatch, CATALOG), ()) == MISCONFIGURED
        said = capsys.readouterr().err
        assert said.strip() == FIRST_STEPS
        assert len(FIRST_STEPS.splitlines()) == 3
        for needed in (
            "https://discord.com/developers/applications",
            "View Channels",
            "Send Messages",
            "Attach Files",
            "Embed Links",
            "Read Message History",
            "Add Reactions",
            "no privileged intent",
            "make demo",
        ):
            assert needed in said
