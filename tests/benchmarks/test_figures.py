"""The parts of the benchmarks that write docs/figures.md."""

import random
import re
from pathlib import Path

import pytest

from benchmarks.bot_process import write_catalog
from benchmarks.figures import Latencies, Report, Starts, table
from benchmarks.first_start import Reading
from benchmarks.lag import Lag, Lags
from benchmarks.page import FIGURES, write_into
from benchmarks.presses import Presses
from benchmarks.responsiveness import typed_texts
from benchmarks.spread import Spread, percentile
from catalog import read_catalog

ROOT = Path(__file__).parents[2]


def report(
    *, torch: bool | None = False, stall: float = 12.0, ack: float = 20.0, edit: float = 30.0
) -> Report:
    start = Starts(entries=10_000, online=1.0, answered=1.2, autocomplete_ms=5.0, torch=torch)
    spread = Spread(count=500, p50=8.0, p99=ack, max=40.0)
    pressed = Spread(count=400, p50=8.0, p99=edit, max=140.0)
    latencies = Latencies(
        entries=10_000,
        idle_ack=spread,
        ack=spread,
        idle_autocomplete=spread,
        autocomplete=spread,
        presses=Presses(same=spread, edit=pressed, more=spread, details=spread),
        own_stall_ms=7.0,
        pictures=3,
        slowest=[(40.0, "a")],
    )
    lag = Lag(seconds=15.0, ticks=3000, p50=0.1, p99=1.0, max=stall)
    return Report(
        machine="a machine",
        load_average=0.25,
        threads="1",
        rate=20.0,
        start=start,
        small_start=start,
        bare_start=start,
        first_start=start,
        reading=Reading(files=3_000, lag=lag, idle=lag, cpu=2.0, cpu_of_reader=30.0),
        latencies=latencies,
        small_latencies=latencies,
        lags=Lags(idle=lag, importing=lag, first_job=lag, painting=lag, rereading=lag),
    )


def missed(found: Report) -> list[str]:
    return [row.what for row in found.rows() if row.met is False]


def test_the_percentile_is_a_measured_value() -> None:
    values = [float(n) for n in range(1, 501)]
    assert percentile(values, 0.5) == 250
    assert percentile(values, 0.99) == 495
    assert percentile([3.0], 0.99) == 3.0
    assert Spread.of([3.0, 1.0, 2.0]) == Spread(count=3, p50=2.0, p99=3.0, max=3.0)


def test_a_missed_goal_is_said() -> None:
    assert missed(report()) == []
    assert any("stall" in what for what in missed(report(stall=50.1)))
    assert any("/imagine" in what for what in missed(report(ack=100.1)))
    assert [what.split()[1] for what in missed(report(edit=100.1))] == ["✏️"]
    assert any("torch" in what for what in missed(report(torch=True)))
    assert "**(missed)**" in table(report(stall=50.1))
    assert "**(missed)**" not in table(report())


def test_what_was_not_measured_is_not_claimed() -> None:
    assert missed(report(torch=None)) == []
    assert "not measured here" in table(report(torch=None))


def test_a_press_is_compared_with_the_command() -> None:
    [row] = [row for row in report(ack=20.0, edit=30.0).rows() if "✏️" in row.what]
    assert row.what.endswith("p50 / p99 / max of 400")
    assert row.measured == "8.0 / 30.0 / 140.0 ms"
    assert row.compared == "p99 1.5 × `/imagine` while generating (20.0 ms)"


BEGIN, END = "<!-- speed:begin -->\n", "<!-- speed:end -->"


def test_only_what_is_between_the_marks_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "figures.md"
    page.write_text(f"# Ä\n{BEGIN}old\n{END}\nbelow\n", encoding="utf-8")
    for _ in range(2):
        write_into(page, "speed", table(report()))
        assert page.read_text("utf-8") == f"# Ä\n{BEGIN}{table(report())}{END}\nbelow\n"


@pytest.mark.parametrize("text", ["", BEGIN, END + BEGIN, f"{BEGIN}{END}\n{BEGIN}{END}"])
def test_a_page_without_the_marks_is_left_alone(tmp_path: Path, text: str) -> None:
    page = tmp_path / "figures.md"
    page.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"figures\.md: there must be one <!-- speed:begin -->"):
        write_into(page, "speed", "new")
    assert page.read_text("utf-8") == text


def test_every_benchmark_that_writes_has_its_place_on_the_page() -> None:
    sources = [*(ROOT / "benchmarks").glob("*.py"), ROOT / "tools" / "demo" / "report.py"]
    calls = re.compile(r"write_into\(\w+, \"([a-z-]+)\"")
    written = {name for file in sources for name in calls.findall(file.read_text("utf-8"))}
    page = FIGURES.read_text("utf-8")
    assert written == set(re.findall(r"^<!-- ([a-z-]+):begin -->$", page, re.MULTILINE))
    assert len(written) >= 5
    for name in written:
        assert page.count(f"<!-- {name}:begin -->\n") == 1
        assert 0 < page.index(f"<!-- {name}:begin -->\n") < page.index(f"\n<!-- {name}:end -->")


def test_the_catalog_for_measuring_is_sound(tmp_path: Path) -> None:
    keys = write_catalog(tmp_path / "catalog", 300)
    catalog = read_catalog(tmp_path / "catalog", tmp_path / "models", demos="default")
    assert catalog.problems == ()
    assert list(catalog.adapters) == keys
    assert catalog.default == "demo"


@pytest.mark.parametrize("entries", [10, 300])
def test_what_is_typed_is_of_many_kinds(tmp_path: Path, entries: int) -> None:
    keys = write_catalog(tmp_path / "catalog", entries)
    texts = typed_texts(keys, 500, random.Random(1))
    assert len(texts) == 500
    assert len(set(texts)) > 100
    assert all(len(text) <= 100 for text in texts)
    assert "" in texts
