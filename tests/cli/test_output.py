"""What a command line prints of a job, and where its files go."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.api.describing import record as described
from bot.cli.result import Result, placed, printable, show
from bot.cli.watching import Watcher
from bot.progress import Notice, Progress, Stage
from bot.recipe import Recipe
from bot.request import Axis, Comparison, Upscale
from bot.store import Failure, Job, JobState, Store, given_images
from tests.language import TEXTS
from tests.store.factories import done, of_cli, recipe, record, request

SAY = TEXTS.speaker()


async def finished(tmp_path: Path, **fields: Any) -> Job:
    async with Store.open(tmp_path / "x.sqlite3") as store:
        job = await done(store, of_cli(request=request(count=2)))
        job = await store.deliver(job) or job
    return replace(job, **fields)


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

    async def test_a_comparison_and_an_enlargement(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        job = await finished(tmp_path, started_at=0, finished_at=3000)
        cells = (request(steps=2), request(steps=3))
        asked = request(comparison=Comparison((Axis("steps", ("2", "3")),), cells))
        sheet = replace(job, request=asked, recipe=recipe(asked))
        images = given_images(sheet, (record(0), record(1), record(2)))
        paths = [Path(f"/a/{name}.png") for name in ("sheet", "1", "2")]
        show(Result(described(sheet, images, SAY), paths), SAY, as_json=False)
        assert capsys.readouterr().out.splitlines() == [
            "/a/sheet.png  seed 44  3.0 s",
            "/a/1.png  2",
            "/a/2.png  3",
        ]
        asked = request(model="", upscale=Upscale("a" * 64, "sharp", 2.0, "crisp"))
        larger = replace(job, request=asked, recipe=recipe(asked))
        show(Result(described(larger, (record(0),), SAY), paths[:1]), SAY, as_json=False)
        assert capsys.readouterr().out == "/a/sheet.png  upscaler sharp  64x48  3.0 s\n"

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
