"""The command line's pure parts: its grammar, its output, where files go."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bot.api.describing import record as described
from bot.cli import check as check_module
from bot.cli.arguments import parser
from bot.cli.check import TOKEN_SHAPE, Finding, _device, check
from bot.cli.listing import listing
from bot.cli.result import Result, placed, printable, show
from bot.cli.run import FIRST_STEPS, run
from bot.cli.watching import Watcher
from bot.engine import DeviceReport
from bot.process.restart import MISCONFIGURED
from bot.progress import Notice, Progress, Stage
from bot.recipe import Recipe
from bot.settings import Settings
from bot.store import COPY_NOTICED, Failure, Job, JobState, Store, now_ms
from bot.texts.language import Texts
from catalog import CatalogError
from tests.catalog.home import checkpoint_bytes
from tests.store.factories import done, of_cli, recipe, record, request

SAY = Texts.read().speaker()


async def finished(tmp_path: Path, **fields: Any) -> Job:
    async with Store.open(tmp_path / "x.sqlite3") as store:
        job = await done(store, of_cli(request=request(count=2)))
        job = await store.deliver(job) or job
    return replace(job, **fields)


class TestGrammar:
    def test_no_call_is_the_bot(self) -> None:
        assert parser().parse_args([]).call is None
        assert parser().parse_args(["run"]).call == "run"

    def test_every_option_of_imagine(self) -> None:
        typed = (
            "imagine fox --model m --lora a:0.5 --lora b --negative n --steps 5 --guidance 2.5"
            " --seed 42 --size 16:9 --count 2 --out dir --json --scheduler Euler --preset draft"
            " --hires 2 --image a.png --strength 0.5 --reference b.jpg --reference-weight 1.2"
        )
        options = parser().parse_args(typed.split())
        assert (options.prompt, options.model, options.lora) == ("fox", "m", ["a:0.5", "b"])
        assert (options.negative, options.steps, options.guidance) == ("n", 5, 2.5)
        assert (options.seed, options.size, options.count) == (42, "16:9", 2)
        assert (options.out, options.json) == (Path("dir"), True)
        assert (options.scheduler, options.preset, options.hires) == ("Euler", "draft", 2.0)
        assert (options.image, options.strength) == (Path("a.png"), 0.5)
        assert (options.reference, options.reference_weight) == (Path("b.jpg"), 1.2)

    def test_hires_has_a_scale_of_its_own(self) -> None:
        assert parser().parse_args(["imagine", "fox", "--hires"]).hires == 1.5
        assert parser().parse_args(["imagine", "fox"]).hires is None

    def test_what_is_not_given(self) -> None:
        options = parser().parse_args(["imagine", "fox"])
        given = {n: v for n, v in vars(options).items() if v is not None and n != "run"}
        assert given == {"call": "imagine", "prompt": "fox", "lora": [], "json": False}

    def test_a_negative_seed_comes_as_far_as_our_own_refusal(self) -> None:
        assert parser().parse_args(["imagine", "fox", "--seed", "-1"]).seed == -1

    @pytest.mark.parametrize(
        "typed",
        [
            "paint",
            "imagine",
            "imagine fox --steps many",
            "imagine fox --colour red",
            "sync --guild x",
            "imagine fox --server example.org",
            "imagine fox --server ftp://example.org",
            "imagine fox --server http://",
            "imagine fox --server http://example.org:port",
            "imagine fox --server http://example.org/?key=secret",
            "models --server http://secret@example.org",
            "models --server http://example.org --key s\u00e9cret",
        ],
    )
    def test_usage_errors_end_with_2(self, typed: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            parser().parse_args(typed.split())
        assert ended.value.code == 2
        said = capsys.readouterr().err
        assert "usage:" in said
        assert "cret@" not in said
        assert "s\u00e9cret" not in said

    def test_a_key_without_a_server_is_a_mistake(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        options = parser().parse_args(["imagine", "fox", "--key", "secret"])
        with pytest.raises(SystemExit) as ended:
            options.run(options)
        assert ended.value.code == 2
        assert capsys.readouterr().err == "--key: there is no --server to present it to\n"

    def test_listings_and_sync(self) -> None:
        for call in ("models", "loras"):
            assert parser().parse_args([call, "--json"]).json is True
        assert parser().parse_args(["sync", "--guild", "5"]).guild == 5


class TestOutput:
    async def test_json_is_the_contract(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        notice = Notice("adapter.partial", {"adapter": "ink", "matched": 5, "total": 9})
        job = await finished(tmp_path, warnings=(notice,))
        images = (record(0), record(1))
        paths = [Path("/a/1.png"), Path("/a/2.png")]
        assert show(Result(described(job, images, SAY), paths), SAY, as_json=True) == 0
        said = json.loads(capsys.readouterr().out)
        assert list(said) == [
            *("job_id", "status", "seconds", "images", "recipe", "warnings", "error")
        ]
        assert said["job_id"] == job.id
        assert said["status"] == "done"
        assert said["images"] == [
            {
                "path": f"/a/{n + 1}.png",
                "seed": 42 + n,
                "width": 64,
                "height": 48,
                "sha256": "e" * 64,
            }
            for n in range(2)
        ]
        assert Recipe.from_dict(said["recipe"]) == recipe(job.request)
        assert said["warnings"][0]["code"] == "adapter.partial"
        assert "5 of its 9 modules" in said["warnings"][0]["text"]
        assert said["error"] is None

    async def test_json_of_a_failure(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        job = await finished(
            tmp_path,
            state=JobState.FAILED,
            recipe=None,
            error=Failure("job.timeout", {"seconds": 600}),
        )
        assert show(Result(described(job, (), SAY), []), SAY, as_json=True) == 1
        said = json.loads(capsys.readouterr().out)
        assert (said["status"], said["images"], said["recipe"]) == ("failed", [], None)
        assert said["error"]["code"] == "job.timeout"
        assert "600 seconds" in said["error"]["text"]

    async def test_one_line_per_image(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        job = await finished(tmp_path, started_at=0, finished_at=3000)
        images = described(job, (record(0), record(1)), SAY)
        show(Result(images, [Path("/a/1.png"), Path("/a/2.png")]), SAY, as_json=False)
        printed = capsys.readouterr()
        assert printed.out.splitlines() == [
            "/a/1.png  model demo  seed 42  1.5 s",
            "/a/2.png  model demo  seed 43  1.5 s",
        ]
        assert printed.err == ""

    @pytest.mark.parametrize(
        ("state", "error", "said"),
        [
            (JobState.FAILED, Failure("job.timeout", {"seconds": 9}), "longer than 9 seconds"),
            (JobState.CANCELLED, None, "Cancelled"),
        ],
    )
    async def test_why_there_is_none(
        self,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        state: JobState,
        error: Failure | None,
        said: str,
    ) -> None:
        job = await finished(tmp_path, state=state, error=error)
        assert show(Result(described(job, (), SAY), []), SAY, as_json=False) == 1
        printed = capsys.readouterr()
        assert printed.out == ""
        assert said in printed.err

    def test_a_text_from_elsewhere_cannot_steer_the_terminal(self) -> None:
        assert printable("\x1b[2Jfine\x9b2J\n") == "\ufffd[2Jfine\ufffd2J\n"


class TestFiles:
    def images(self, tmp_path: Path) -> Path:
        folder = tmp_path / "images"
        (folder / "x").mkdir(parents=True)
        (folder / "x" / "demo-42.png").write_bytes(b"new")
        return folder

    def test_without_a_folder_they_stay_where_they_are(self, tmp_path: Path) -> None:
        folder = self.images(tmp_path)
        source = folder / "x" / "demo-42.png"
        assert placed([source], None, "id") == [source]

    def test_with_one_they_are_copied_and_replace_no_other_picture(self, tmp_path: Path) -> None:
        folder, out = self.images(tmp_path), tmp_path / "out"
        out.mkdir()
        for _ in range(2):
            [path] = placed([folder / "x" / "demo-42.png"], out, "id")
            assert path == out / "demo-42.png"
        (folder / "x" / "demo-42.png").write_bytes(b"newer")
        [path] = placed([folder / "x" / "demo-42.png"], out, "id")
        assert path == out / "demo-42-id.png"
        assert (out / "demo-42.png").read_bytes() == b"new"
        assert path.read_bytes() == b"newer"


class TestWatching:
    async def test_it_ends_with_the_job(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        job = await finished(tmp_path)
        for news in ("finished", "failed"):
            watcher = Watcher(SAY, bar=False)
            watcher.progressed(job, Progress(Stage.PAINTING, step=1, steps=2))
            assert not watcher.ended.is_set()
            await getattr(watcher, news)(job)
            assert watcher.ended.is_set()
        assert capsys.readouterr().err == ""

    async def test_on_a_terminal_there_is_a_bar(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        job = await finished(tmp_path)
        watcher = Watcher(SAY, bar=True)
        watcher.progressed(job, Progress(Stage.PAINTING, step=1, steps=2))
        assert "Step 1/2" in capsys.readouterr().err


def settings_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models: str) -> Settings:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "models.toml").write_text(models)
    (tmp_path / "catalog" / "loras.toml").write_text(
        '[loras.ink]\nname = "Ink"\npath = "org/ink"\ndescription = "Washes."\n'
    )
    for name in ("DISCORD_TOKEN", "DISCORD_API_URL", "DISCORD_PROXY", "DISCORD_GUILD_ID"):
        monkeypatch.delenv(name, raising=False)
    return Settings.load()


def old_lora_in(tmp_path: Path) -> None:
    """A LoRA for SD 1.5 in the folder of LoRAs, named `old`."""
    layer = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
    header = {
        f"{layer}.lora_down.weight": {
            "dtype": "F16",
            "shape": [4, 768],
            "data_offsets": [0, 4 * 768 * 2],
        },
        "__metadata__": {
            "modelspec.title": "Old one",
            "ss_tag_frequency": json.dumps({"1_a": {"tree": 1}}),
        },
    }
    raw = json.dumps(header).encode()
    (tmp_path / "models" / "loras").mkdir(parents=True)
    file = tmp_path / "models" / "loras" / "old.safetensors"
    file.write_bytes(len(raw).to_bytes(8, "little") + raw + bytes(4 * 768 * 2))


def cut_lora_in(tmp_path: Path) -> None:
    """A truncated LoRA with a misleading name."""
    folder = tmp_path / "models" / "loras"
    folder.mkdir(parents=True)
    (folder / "models-cut.safetensors").write_bytes(b"\x40" + bytes(7))


CATALOG = """
default = "demo"
[models.demo]
name = "Demo"
path = "builtin:flat"
description = "A small model."
[models.lost]
name = "Lost"
path = "lost.safetensors"
enabled = false
[models.broken]
name = "Broken"
"""


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
        assert lines[0].split() == ["key", "name", "files", "description"]
        assert "present, default" in lines[1]
        assert lines[1].endswith("A small model.")
        assert "disabled" in lines[2]
        assert any(line.startswith("problem: ") and "broken" in line for line in lines)

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
        said = "flux1-dev.safetensors is a Flux (schnell) transformer"
        assert row["problems"][0].startswith(said)
        assert (row["available"], row["default"]) == (False, False)
        check()
        assert f"! model flux1-dev: {said}, so it is not offered" in capsys.readouterr().out

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


class TestCheck:
    def test_a_lora_that_fits_no_model_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = settings_in(tmp_path, monkeypatch, CATALOG)
        old_lora_in(tmp_path)
        [found] = [f for f in check_module._catalog(settings) if "LoRA old" in f.text]
        assert found.text == "LoRA old: made for SD 1.5, which fits no model here"
        assert found.mend
        assert not found.fatal

    def test_a_broken_file_is_not_to_be_mended_in_an_entry(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = settings_in(tmp_path, monkeypatch, CATALOG)
        cut_lora_in(tmp_path)
        found = [f for f in check_module._catalog(settings) if f.text.startswith("catalog: ")]
        assert {("models-cut" in f.text, "entry" in f.mend) for f in found} == {
            (True, False),
            (False, True),
        }

    @pytest.mark.parametrize(
        ("token", "sound"),
        [
            ("MTIzNDU2Nzg5MDEyMzQ1Njc4.GcanaR.y_canary-canary-canary-canary-canary", True),
            ("paste your token here", False),
            ("Bot MTIzNDU2Nzg5MDEyMzQ1Njc4.GcanaR.y_canary-canary-canary-canary", False),
            ("a.b.c", False),
        ],
    )
    def test_the_shape_of_a_token(self, token: str, sound: bool) -> None:
        assert bool(TOKEN_SHAPE.fullmatch(token)) is sound

    def test_a_wrong_setting_is_named_with_its_mend(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("IMAGEN_DEVICE", "gpu")
        assert check() == 1
        said = capsys.readouterr().out
        assert "✗ settings: IMAGEN_DEVICE" in said
        assert "→" in said

    @pytest.mark.parametrize(
        ("findings", "code", "marks"),
        [
            ([Finding("fine")], 0, ["✓"]),
            ([Finding("fine"), Finding("so-so", "mend it")], 0, ["✓", "!"]),
            ([Finding("bad", "mend it", fatal=True), Finding("fine")], 1, ["✗", "✓"]),
        ],
    )
    def test_only_what_is_fatal_fails(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        findings: list[Finding],
        code: int,
        marks: list[str],
    ) -> None:
        monkeypatch.setattr(check_module, "_findings", lambda: iter(findings))
        assert check() == code
        lines = [x for x in capsys.readouterr().out.splitlines() if not x.startswith(" ")]
        assert [line[0] for line in lines[:-1]] == marks
        assert lines[-1] == (
            "The bot cannot run: fix what is marked ✗." if code else "The bot can run."
        )

    async def test_a_database_that_cannot_be_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = settings_in(tmp_path, monkeypatch, CATALOG)
        assert not (await check_module._database(settings)).fatal
        (tmp_path / "blocked").write_text("")
        monkeypatch.setenv("IMAGEN_DATA_DIR", str(tmp_path / "blocked"))
        finding = await check_module._database(Settings.load())
        assert finding.fatal
        assert "IMAGEN_DATA_DIR" in finding.mend

    @pytest.mark.parametrize(
        ("host", "port", "key", "said", "wrong", "fatal"),
        [
            ("127.0.0.1", "", False, "only with `serve`", False, False),
            ("127.0.0.1", "8009", False, "this machine only", False, False),
            ("0.0.0.0", "8009", True, "port 8009; keys: 1", False, False),
            ("0.0.0.0", "", False, "no key", True, False),
            ("0.0.0.0", "8009", False, "no key", True, True),
        ],
    )
    async def test_who_is_served_over_http(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        host: str,
        port: str,
        key: bool,
        said: str,
        wrong: bool,
        fatal: bool,
    ) -> None:
        monkeypatch.setenv("IMAGEN_API_HOST", host)
        if port:
            monkeypatch.setenv("IMAGEN_API_PORT", port)
        settings = settings_in(tmp_path, monkeypatch, CATALOG)
        async with Store.open(settings.database.absolute()) as store:
            await store.api_keys.add("bob")
            await store.api_keys.revoke("bob")
            if key:
                await store.api_keys.add("ada")
        [finding] = await check_module._http(settings)
        assert said in finding.text
        assert (bool(finding.mend), finding.fatal) == (wrong, fatal)

    async def test_another_copy_is_reported_for_a_day(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = settings_in(tmp_path, monkeypatch, CATALOG)
        assert await check_module._copies(settings) == []
        for ago, reported in ((60_000, 1), (check_module.DAY_MS, 0)):
            async with Store.open(settings.database.absolute()) as store:
                await store.set_setting(COPY_NOTICED, str(now_ms() - ago))
            assert len(await check_module._copies(settings)) == reported

    def test_the_token_is_never_printed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings_in(tmp_path, monkeypatch, CATALOG)
        for token in ("canary", "MTIzNDU2Nzg5MDEyMzQ1Njc4.GcanaR.y_canary-canary-canary-canary"):
            monkeypatch.setenv("DISCORD_TOKEN", token)
            assert "canary" not in check_module._token(Settings.load()).text


@pytest.mark.parametrize(("free", "fine"), [(9.6, True), (9.4, False)])
def test_check_tells_what_the_cards_profile_wants(
    monkeypatch: pytest.MonkeyPatch, free: float, fine: bool
) -> None:
    gib = 2**30
    report = DeviceReport("cuda", "a card", "float16", 11 * gib, int(free * gib), None, "11gb")
    engine = SimpleNamespace(device_report=lambda: report)
    monkeypatch.setattr("bot.cli.check.build_engine", lambda *_: engine)
    finding = _device(Settings.model_construct(), "auto")
    assert finding.text.endswith(f"{free} of 11.0 GiB free, memory profile 11gb")
    assert (finding.mend == "") is fine
    assert not finding.fatal


def test_check_names_the_families_in_8_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    for keys, said in (((), "float16, 6.0 of"), (("sdxl",), "float16, int8 for Stable Diffusion")):
        report = DeviceReport(
            "cuda", "a card", "float16", 2**33, 6 * 2**30, None, "8gb", in_eight_bits=keys
        )
        engine = SimpleNamespace(device_report=lambda report=report: report)
        monkeypatch.setattr("bot.cli.check.build_engine", lambda *_, engine=engine: engine)
        assert said in _device(Settings.model_construct(), "auto").text


def test_a_seed_that_is_no_number_is_told_what_is_allowed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(["imagine", "x", "--seed", "abc"])
    assert ended.value.code == 2
    assert (
        "must be a whole number from 0 to 4294967295, or -1 for any, got 'abc'"
        in capsys.readouterr().err
    )
