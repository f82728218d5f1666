"""The files of ControlNets and of what tells depth: in folders, the hub's cache and the hub."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.engine.hub import Hub
from bot.engine.sources import NotHere, Source, Sources
from bot.engine.subject import Subject, SubjectKind
from bot.errors import JobFailed
from catalog import ControlNetEntry, DepthEntry, PoseEntry
from catalog.control_types import OF_UNIONS
from tests.engine.hub_server import HubServer, hub_server

WHOLE = "diffusion_pytorch_model"
REPOSITORY = {
    "README.md": b"about",
    "config.json": b"{}",
    f"{WHOLE}.bin": b"a pickle",
    f"{WHOLE}.safetensors": b"32 bits",
    f"{WHOLE}.fp16.safetensors": b"16 bits",
    "config_promax.json": b"{ }",
    f"{WHOLE}_promax.safetensors": b"promax",
}
DEPTH = {
    "README.md": b"about",
    "config.json": b"{}",
    "model.safetensors": b"depth",
    "preprocessor_config.json": b"{}",
}


def subject(kind: SubjectKind) -> Subject:
    return Subject(kind, "ink", lambda _: None, lambda: None)


def entry(path: str, **fields: Any) -> ControlNetEntry:
    return ControlNetEntry(key="ink", name="Ink", path=path, **fields)


def names(source: Source) -> list[str]:
    return [path.relative_to(source.root).as_posix() for path in source.files]


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with hub_server() as server:
        server.repositories["org/edges"] = REPOSITORY
        server.repositories["org/depth"] = DEPTH
        yield server


def sources(tmp_path: Path, hub: HubServer, *, half: bool = True) -> Sources:
    return Sources(tmp_path, Hub(tmp_path / "hub", hub.url), half=half)


@pytest.mark.parametrize(
    ("half", "named", "chosen"),
    [
        (True, None, [f"{WHOLE}.fp16.safetensors", "config.json"]),
        (False, None, [f"{WHOLE}.safetensors", "config.json"]),
        (
            True,
            f"{WHOLE}_promax.safetensors",
            [f"{WHOLE}_promax.safetensors", "config_promax.json"],
        ),
    ],
)
def test_nothing_but_what_is_read_is_downloaded_and_once(
    tmp_path: Path, hub: HubServer, half: bool, named: str | None, chosen: list[str]
) -> None:
    wanted = entry("org/edges", weight_name=named)
    first = sources(tmp_path, hub, half=half).control(wanted, subject("control"))
    assert names(first) == hub.fetched() == chosen
    assert first.weights == first.files[:1]
    asked = len(hub.asked)
    again = sources(tmp_path, hub, half=half).without_downloads()
    assert again.control(wanted, subject("control")) == first
    assert len(hub.asked) == asked


def test_what_tells_depth_is_downloaded_without_the_rest(tmp_path: Path, hub: HubServer) -> None:
    found = sources(tmp_path, hub).depth(DepthEntry(path="org/depth"), subject("depth"))
    assert names(found) == hub.fetched() == ["config.json", "model.safetensors"]
    assert sources(tmp_path, hub).pose(PoseEntry(path="org/depth"), subject("pose")) == found


def test_a_file_or_a_folder_of_ones_own_is_read_where_it_is(tmp_path: Path, hub: HubServer) -> None:
    folder = tmp_path / "controlnets/edges"
    folder.mkdir(parents=True)
    for name in (f"{WHOLE}.safetensors", "config.json"):
        (folder / name).write_bytes(REPOSITORY[name])
    own = sources(tmp_path, hub)
    whole = own.control(entry("controlnets/edges"), subject("control"))
    assert names(whole) == [f"{WHOLE}.safetensors", "config.json"]
    assert whole.single is None
    alone = own.control(entry(f"controlnets/edges/{WHOLE}.safetensors"), subject("control"))
    assert alone.single == folder / f"{WHOLE}.safetensors"
    assert hub.asked == []


@pytest.mark.parametrize(
    ("path", "named", "code"),
    [
        ("controlnets/gone.safetensors", None, "control.missing"),
        ("org/gone", None, "control.not_on_hub"),
        ("org/depth", "x.safetensors", "control.no_such_file"),
        ("org/pickles", None, "control.no_safetensors"),
        ("org/many", None, "control.choose_file"),
        ("org/shards", None, "control.incomplete"),
    ],
)
def test_what_cannot_be_found_is_said_of_the_controlnet(
    tmp_path: Path, hub: HubServer, path: str, named: str | None, code: str
) -> None:
    hub.repositories["org/pickles"] = {f"{WHOLE}.bin": b""}
    hub.repositories["org/many"] = {"a.safetensors": b"", "b.safetensors": b""}
    shard = f"{WHOLE}-00001-of-00002.safetensors"
    hub.repositories["org/shards"] = {"config.json": b"", shard: b""}
    with pytest.raises(JobFailed) as failure:
        sources(tmp_path, hub).control(entry(path, weight_name=named), subject("control"))
    assert failure.value.code == code
    assert failure.value.params["control"] == "ink"


def test_what_cannot_be_found_is_said_of_what_tells_depth(tmp_path: Path, hub: HubServer) -> None:
    hub.repositories["org/bare"] = {"model.safetensors": b""}
    for path, code in (("org/gone", "depth.not_on_hub"), ("org/bare", "depth.incomplete")):
        with pytest.raises(JobFailed) as failure:
            sources(tmp_path, hub).depth(DepthEntry(path=path), subject("depth"))
        assert failure.value.code == code
        assert failure.value.params["depth"] == "ink"
        with pytest.raises(JobFailed) as failure:
            sources(tmp_path, hub).pose(PoseEntry(path=path), subject("pose"))
        assert failure.value.code == code.replace("depth", "pose")


def test_without_downloads_it_is_not_here(tmp_path: Path, hub: HubServer) -> None:
    with pytest.raises(NotHere):
        sources(tmp_path, hub).without_downloads().control(entry("org/edges"), subject("control"))


def test_the_catalog_tells_the_types_that_an_engine_has_of_a_union() -> None:
    from bot.engine.families.unet.controls.acting import UNION_TYPES

    for count, types in OF_UNIONS.items():
        assert {*types} == {name for name, number in UNION_TYPES.items() if number < count}
