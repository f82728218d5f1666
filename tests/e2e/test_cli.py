"""The command line's behaviour that scripts rely on."""

import asyncio
import hashlib
import json
import os
import sys
from pathlib import Path

import pytest

from bot.files.metadata import read_png
from tests.e2e.home import ROOT, Home, call

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]


def sha256_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


async def test_imagine_twice_is_the_same_to_the_byte(home: Home, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = [
        "imagine",
        "a quiet lake, <lora:frost:0.5>",
        *("--model", "demo", "--lora", "ember", "--negative", "noise", "--steps", "3"),
        *("--guidance", "4.5", "--seed", "12", "--size", "64x80", "--count", "2"),
        *("--out", str(out), "--json"),
    ]
    code, text, err = await call(home, *arguments)
    assert (code, err) == (0, "")
    result = json.loads(text)
    assert result["status"] == "done"
    assert result["warnings"] == []
    assert [(i["seed"], i["width"], i["height"]) for i in result["images"]] == [
        (12, 64, 80),
        (13, 64, 80),
    ]
    files = [Path(image["path"]) for image in result["images"]]
    assert [file.parent for file in files] == [out, out]
    request = result["recipe"]["request"]
    assert request["adapters"] == [
        {"key": "frost", "weight": 0.5, "text_weight": None},
        {"key": "ember", "weight": 0.75, "text_weight": None},
    ]
    first = [sha256_of(file) for file in files]
    assert read_png(files[0].read_bytes()).seed == 12

    # Without --json: one line per image.
    code, text, _ = await call(home, *arguments[:-3])
    assert code == 0
    lines = text.splitlines()
    assert len(lines) == 2
    for seed, digest, line in zip((12, 13), first, lines, strict=True):
        path, rest = line.split("  ", 1)
        assert sha256_of(Path(path)) == digest
        assert f"model demo  seed {seed}" in rest
        assert rest.endswith(" s")
    assert home.states() == ["delivered", "delivered"]


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--steps", "101"], ["steps", "101", "1 to 100"]),
        (["--guidance", "nan"], ["guidance", "nan", "1.0 to 30.0"]),
        (["--seed", "-2"], ["seed", "-2", "0 to 4294967295"]),
        (["--model", "no"], ["model called “no”"]),
        (["--lora", "embr"], ["LoRA", "embr", "ember"]),
        (["--size", "63x64"], ["Size 63x64", "between 64 and 512"]),
        (["--count", "5"], ["count", "5", "1 to 4"]),
        (["--seed", "4294967296"], ["seed", "4294967296", "0 to 4294967295"]),
        (["--seed", "abc"], ["--seed", "abc"]),
    ],
)
async def test_a_bad_request_exits_with_2_and_says_why(
    home: Home, arguments: list[str], parts: list[str]
) -> None:
    code, out, err = await call(home, "imagine", "x", *arguments)
    assert (code, out) == (2, "")
    for part in parts:
        assert part in err
    assert "Traceback" not in err


@pytest.mark.long
async def test_old_code_pages_and_bad_folders_do_not_matter(home: Home) -> None:
    arguments = ["imagine", "雪の狐", "--steps", "1", "--json"]
    code, out, err = await call(home, *arguments, PYTHONIOENCODING="cp1252")
    assert (code, err) == (0, "")
    assert json.loads(out)["recipe"]["request"]["prompt"] == "雪の狐"
    (home.folder / "file").write_text("")
    code, _, err = await call(home, "imagine", "x", "--out", str(home.folder / "file/below"))
    assert code == 2
    assert "--out" in err


async def test_a_failed_job_exits_with_1(home: Home) -> None:
    code, text, _ = await call(home, "imagine", "x", "--lora", "old", "--json")
    assert code == 1
    result = json.loads(text)
    assert result["status"] == "failed"
    assert result["images"] == []
    assert "old" in result["error"]["text"]


async def test_listings(home: Home) -> None:
    code, text, _ = await call(home, "models", "--json")
    assert code == 0
    rows = {row["key"]: row for row in json.loads(text)}
    assert rows["demo"]["available"]
    assert rows["demo"]["name"] == "Demo"
    assert not rows["pony-xl-v6"]["enabled"]
    code, text, _ = await call(home, "loras")
    assert code == 0
    assert "Ember glow" in text

    (home.catalog_dir / "loras.toml").write_text('[loras.bad]\nname = "Bad"\npath = "bad.ckpt"\n')
    code, text, _ = await call(home, "loras", "--json")
    [bad] = [row for row in json.loads(text) if row["key"] == "bad"]
    assert bad["problems"]
    assert not bad["available"]


@pytest.mark.skipif(os.name == "nt", reason="pipes break in another way there")
async def test_a_listing_that_nobody_reads_to_its_end_complains_of_nothing(home: Home) -> None:
    read, write = os.pipe()
    os.close(read)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "main.py"), "loras", "--json"),
        cwd=home.folder,
        env=home.environment,
        stdout=write,
        stderr=asyncio.subprocess.PIPE,
    )
    os.close(write)
    _, err = await process.communicate()
    assert (process.returncode, err) == (141, b"")


@pytest.mark.long
async def test_check_tells_what_to_mend(home: Home) -> None:
    token = "MTIzNDU2Nzg5MDEyMzQ1Njc4.abcdef.0123456789012345678901234567"
    code, out, _ = await call(home, "check", DISCORD_TOKEN=f" {token}\t")
    assert code == 0
    assert "model pony-xl-v6: disabled" in out
    assert token not in out
    assert "model demo: found" in out
    assert "LoRA ember: found" in out
    assert "other users" not in out

    (home.folder / ".env").touch(mode=0o644)
    home.folder.joinpath("data").chmod(0o750)
    code, out, _ = await call(home, "check", DISCORD_TOKEN=token)
    assert code == 0
    if os.name == "posix":
        assert f"chmod 600 {home.folder / '.env'}" in out
        assert f"chmod 700 {home.folder / 'data'}" in out

    blocked = home.folder / "file"
    blocked.write_text("no safetensors at all")
    with (home.catalog_dir / "loras.toml").open("a", encoding="utf-8") as catalog:
        catalog.write(f'[loras.cut]\nname = "Cut"\npath = "{blocked}.safetensors"\n')
    blocked.with_suffix(".safetensors").write_text("no safetensors at all")
    code, out, _ = await call(
        home,
        "check",
        DISCORD_TOKEN="not-a-token",
        IMAGEN_DATA_DIR=str(blocked),
        IMAGEN_DEVICE="cuda",
    )
    assert code == 1
    assert "token: does not look like" in out
    assert "not-a-token" not in out
    assert "LoRA cut: " in out
    assert "file.safetensors' cannot be read: it " in out
    assert "IMAGEN_DATA_DIR" in out
    assert "device: " in out
