"""What a front carries: the table, and a small measurement of a real process."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.front import Front, main, populate, table, worst
from benchmarks.page import FIGURES, write_into
from benchmarks.spread import Spread
from playground import Playground

ONE = Front(1, 1, 1.0, 3, Spread.of([5.0]), 0.01, 0.001, 0.05, 100 * 2**20)
MANY = replace(ONE, shards=4, servers=2_001, per_call=0.02, per_reaction=0.0005, memory=130 * 2**20)


def test_the_table_compares_with_one_shard() -> None:
    alike = replace(MANY, shards=1, per_call=0.01, per_reaction=0.001)
    first, second = table([alike, MANY], ONE).splitlines()[2:4]
    assert "| 100 (1.00 ×) |" in first
    assert "| 50 (0.50 ×) |" in second
    assert "| 2,000 (2.00 ×) |" in second
    assert "| 15.0 MiB |" in second


def test_how_late_it_was_counts_only_what_came_meanwhile() -> None:
    inf = float("inf")
    before = {0.01: 5.0, 0.1: 5.0, 1.0: 6.0, inf: 6.0}
    assert worst(before, {0.01: 8.0, 0.1: 9.0, 1.0: 10.0, inf: 10.0}) == 0.1
    assert worst(before, {0.01: 8.0, 0.1: 8.0, 1.0: 9.0, inf: 10.0}) == inf


async def test_servers_are_spread_over_all_shards() -> None:
    async with Playground() as pg:
        channels = populate(pg, 64)
        guilds = pg.core.world.guilds
        assert len(guilds) == len(channels) == 64
        assert {(guild >> 22) % 4 for guild in guilds} == {0, 1, 2, 3}


def test_the_page_has_a_place_for_it(tmp_path: Path) -> None:
    page = tmp_path / "figures.md"
    page.write_text(FIGURES.read_text(encoding="utf-8"), encoding="utf-8")
    write_into(page, "front", "what was measured")
    assert "what was measured" in page.read_text(encoding="utf-8")


@pytest.mark.long
def test_a_quick_measurement_of_a_real_bot(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quick"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:4]] == ["1", "3"]
