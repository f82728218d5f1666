"""The entry that errors and progress reports are about."""

from typing import Any

import pytest

from bot.engine.subject import Subject, public
from bot.errors import PaintStopped, StopReason
from bot.progress import Progress, Stage


def subject(kind: Any = "adapter", **fields: Any) -> Subject:
    defaults: dict[str, Any] = {"report": lambda _: None, "check_stop": lambda: None}
    return Subject(kind, "ink", **{**defaults, **fields})


def test_of_several_codes_it_takes_the_one_for_its_kind() -> None:
    error = subject().failed("model.missing", "adapter.missing", path="x")
    assert (error.code, error.params) == ("adapter.missing", {"adapter": "ink", "path": "x"})


def test_an_error_that_its_kind_does_not_have_is_a_fault_of_ours() -> None:
    with pytest.raises(ValueError, match=r"reference.*model\.choose_file"):
        subject("reference").failed("model.choose_file", "adapter.choose_file")


def test_a_stop_comes_before_the_report() -> None:
    said: list[Progress] = []

    def stop() -> None:
        raise PaintStopped(StopReason.CANCELLED)

    subject(report=said.append).tick(Stage.LOADING, 1.5)
    assert said == [Progress(Stage.LOADING, subject="ink", fraction=1.0)]
    with pytest.raises(PaintStopped):
        subject(report=said.append, check_stop=stop).tick(Stage.LOADING, 0.5)
    assert len(said) == 1


@pytest.mark.parametrize(
    ("path", "shown"),
    [("org/model", "org/model"), ("/home/ada/x.safetensors", "x.safetensors"), ("~/m", "m")],
)
def test_no_folder_of_this_machine_is_shown(path: str, shown: str) -> None:
    assert public(path) == shown
