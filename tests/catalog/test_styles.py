"""The owner's styles: their own file, those of other programs, and reading them again."""

import json
from pathlib import Path

import pytest

from catalog import LiveCatalog, StyleEntry, read_catalog
from catalog.style_files import FILE_MAX, StyleReader
from tests.catalog.home import Home

ROOT = Path(__file__).parents[2]


def write(folder: Path, name: str, data: bytes | str) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data if isinstance(data, bytes) else data.encode())
    return file


def read(folder: Path) -> tuple[dict[str, StyleEntry], list[str]]:
    styles, problems = StyleReader(folder).read()
    said = [str(problem).removeprefix(f"{folder}/") for problem in problems]
    return {**styles.entries}, said


def test_nothing_is_as_good_as_no_styles(tmp_path: Path) -> None:
    assert read(tmp_path) == ({}, [])
    assert StyleReader(tmp_path).stamps() == ((str(tmp_path / "styles.toml"), -1, -1, -1),)


def test_a_table_has_words_and_options(tmp_path: Path) -> None:
    text = """
[styles.moody]
name = "Moody"
prompt = "{prompt}, fog"
negative = "sun"
lora = "ember:0.5"
steps = 20
guidance = 6
size = "16:9"
scheduler = "Euler a"
preset = "fast"
[styles.off]
name = "Off"
enabled = false
"""
    write(tmp_path, "styles.toml", text)
    entries, problems = read(tmp_path)
    assert problems == []
    assert [*entries] == ["moody"]
    moody = entries["moody"]
    assert (moody.prompt, moody.negative, moody.guidance) == ("{prompt}, fog", "sun", 6.0)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ('[styles.a]\nname = "A"\nstep = 3', "step is not a known field (did you mean steps?)"),
        ('[styles.a]\nname = "A"\nscheduler = "Best"', "scheduler must be one of"),
        ('[styles.draft]\nname = "A"', "must not be called draft"),
        ('[styles.a]\nname = "Fast"', "must not be called Fast"),
        (
            f'[styles.a]\nname = "A"\nprompt = "{"x" * 2001}"',
            "prompt must have at most 2000 characters",
        ),
        ('[style.a]\nname = "A"', "only styles may be at the top level (did you mean styles?)"),
    ],
)
def test_a_mistake_in_a_table_leaves_the_others(tmp_path: Path, table: str, reason: str) -> None:
    write(tmp_path, "styles.toml", f'[styles.good]\nname = "Good"\n{table}')
    entries, problems = read(tmp_path)
    assert [*entries] == ["good"]
    assert len(problems) == 1
    assert reason in problems[0]


def test_a_file_of_automatic1111(tmp_path: Path) -> None:
    rows = (
        "\ufeffname, prompt,negative_prompt\r\n"
        'None,"",""\r\n'
        "### Photos ###,,\r\n"
        '"Old ""photo""","sepia, {prompt},\r\nscratched","colour"\r\n'
        "plain,in fog,{prompt} sun\r\n"
    )
    write(tmp_path, "styles/mine.csv", rows)
    entries, problems = read(tmp_path)
    assert problems == []
    assert [*entries] == ['Old "photo"', "plain"]
    old = entries['Old "photo"']
    assert old.prompt == "sepia, {prompt},\r\nscratched"
    # Both negative prompts count there.
    assert old.negative == "{prompt}, colour"
    assert entries["plain"].negative == "{prompt} sun"


def test_the_first_versions_called_it_text(tmp_path: Path) -> None:
    write(tmp_path, "styles/old.csv", "name,text\nwarm,golden hour\n")
    entries, problems = read(tmp_path)
    assert (entries["warm"].prompt, entries["warm"].negative, problems) == ("golden hour", "", [])


@pytest.mark.parametrize(
    ("data", "reason", "left"),
    [
        (b"name;prompt\na;b\n", "its first line has to be name,prompt,negative_prompt", []),
        (b"", "its first line has to be", []),
        (b"name,prompt\ngood,x\ncaf\xe9,y\n", "it is not UTF-8 text: byte 22", []),
        (
            b'name,prompt,negative_prompt\ngood,x,\ntwo,"a\nb",c, d\n',
            "two: line 3: it has too many values",
            ["good"],
        ),
        (b'name,prompt\ngood,x\nbad,"never\nends\n', "line 3: it is not CSV from here", ["good"]),
        (b"name,prompt\ngood,x\n,y\n", "line 3: key must not be empty", ["good"]),
        (
            b"name,prompt\ngood,x\nGood,y\nGOOD,z\n",
            "Good: line 3: there is a style of this name in styles.csv already",
            ["good"],
        ),
        (b"name,prompt\ngood,x\nfast,y\n", "line 3: must not be called fast", ["good"]),
        (b"x" * (FILE_MAX + 1), "it has 4,194,305 bytes; 4,194,304 are allowed", []),
    ],
)
def test_a_mistake_in_a_csv_file_names_its_line(
    tmp_path: Path, data: bytes, reason: str, left: list[str]
) -> None:
    write(tmp_path, "styles/styles.csv", data)
    entries, problems = read(tmp_path)
    assert [*entries] == left
    assert problems[0].startswith("styles/styles.csv: ")
    assert reason in problems[0]


def test_a_file_of_fooocus(tmp_path: Path) -> None:
    styles = [
        {"name": "Misty", "prompt": "{prompt} in mist", "negative_prompt": "sun"},
        {"name": "plain", "prompt": "on paper"},
        {"name": "only-negative", "prompt": "", "negative_prompt": "text"},
        {"name": "nothing", "prompt": "", "negative_prompt": ""},
    ]
    write(tmp_path, "styles/sdxl.JSON", json.dumps(styles))
    write(tmp_path, "styles/readme.txt", "no")
    write(tmp_path, "styles/.hidden.json", "no")
    entries, problems = read(tmp_path)
    assert problems == []
    assert [(e.name, e.prompt, e.negative) for e in entries.values()] == [
        ("Misty", "{prompt} in mist", "{prompt}, sun"),
        ("plain", "on paper", ""),
        ("only-negative", "", "{prompt}, text"),
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[\n{"name": }]', "line 2: it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ('{"name": "a"}', "it has to be a list"),
        ('[{"name": "good", "prompt": "x"}, 7]', "style 2: it has to be an object"),
        (
            '[{"name": "good", "prompt": "x"}, {"name": 3, "prompt": "y"}]',
            "3: style 2: key must be text in quotes, got 3",
        ),
        (
            '[{"name": "good", "prompt": "x"}, {"name": "a", "prompt": ["y"]}]',
            "a: style 2: prompt must be text in quotes",
        ),
    ],
)
def test_a_mistake_in_a_json_file_is_named(tmp_path: Path, text: str, reason: str) -> None:
    write(tmp_path, "styles/a.json", text)
    entries, problems = read(tmp_path)
    assert [*entries] in ([], ["good"])
    assert reason in problems[0]


def test_the_owners_own_come_first(tmp_path: Path) -> None:
    write(tmp_path, "styles.toml", '[styles.fog]\nname = "In fog"\nprompt = "own"')
    write(tmp_path, "styles/a.csv", "name,prompt\nIn  Fog,theirs\nrain,x\n")
    write(tmp_path, "styles/b.json", '[{"name": "Rain", "prompt": "y"}]')
    entries, problems = read(tmp_path)
    assert {key: entry.prompt for key, entry in entries.items()} == {"fog": "own", "rain": "x"}
    taken = "there is a style of this name in {} already"
    assert problems == [
        f"styles/a.csv: In Fog: line 2: {taken.format('styles.toml')}",
        f"styles/b.json: Rain: style 1: {taken.format('a.csv')}",
    ]


def test_they_are_found_by_key_and_name_whatever_the_case(tmp_path: Path) -> None:
    write(tmp_path, "styles.toml", '[styles.line-art]\nname = "Línea clara"')
    styles, _ = StyleReader(tmp_path).read()
    for name in ("line-art", "LINE ART", "linea clara"):
        assert styles.find(name) is styles.entries["line-art"]
    assert styles.find("line") is None
    assert [e.key for e in styles.search("art", lambda _: True)] == ["line-art"]
    assert styles.search("art", lambda _: False) == ()
    assert styles.nearest("lineart", lambda _: True) == ("line-art",)


def test_a_change_is_read_while_the_bot_runs(tmp_path: Path) -> None:
    home = Home(tmp_path)
    live = LiveCatalog(home.catalog_dir, home.models_dir)
    assert [*live.current.styles.entries] == []
    home.put(home.catalog_dir / "styles/a.csv", b"name,prompt\nfog,x\n")
    assert live.refresh()
    home.put(home.catalog_dir / "styles.toml", b'[styles.rain]\nname = "Rain"\nstep = 1')
    assert live.refresh()
    assert [*live.current.styles.entries] == ["fog"]
    assert "step is not a known field" in str(live.current.problems[-1])
    home.put(home.catalog_dir / "styles.toml", b'[styles.rain]\nname = "Rain"')
    assert live.refresh()
    assert [*live.current.styles.entries] == ["rain", "fog"]
    assert not live.refresh()
    # What is no TOML any more leaves the last good catalog in use.
    home.put(home.catalog_dir / "styles.toml", b"[styles")
    assert not live.refresh()
    assert [*live.current.styles.entries] == ["rain", "fog"]


def test_those_that_come_with_the_bot(tmp_path: Path) -> None:
    catalog = read_catalog(ROOT / "catalog", tmp_path)
    assert [p for p in catalog.problems if "styles" in p.file] == []
    entries = [*catalog.styles.entries.values()]
    assert len(entries) >= 12
    for entry in entries:
        assert entry.prompt.count("{prompt}") == 1
        assert entry.negative.startswith("{prompt}, ")
        assert entry.description
