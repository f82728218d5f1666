"""EngineOptions are the arguments of an Engine, and say nothing of the token."""

import inspect
from dataclasses import fields
from pathlib import Path

import pytest

from bot.engine import Engine
from bot.errors import WireError
from bot.wire.options import OPTIONS, EngineOptions

SOME = EngineOptions(
    models_dir=Path("/models"),
    hashes_file=Path("/data/hashes.json"),
    device="cuda:1",
    model_cache=0,
    preview_interval=0.5,
    hub_token="hf_canary",
)


def test_they_come_out_as_they_went_in() -> None:
    assert OPTIONS.decode(OPTIONS.encode(SOME)) == SOME


def test_they_are_the_engines_arguments_with_the_same_defaults() -> None:
    wanted = inspect.signature(Engine).parameters.values()
    plain = EngineOptions(models_dir=Path(), hashes_file=Path())
    assert [each.name for each in fields(plain)] == [each.name for each in wanted]
    for each in wanted:
        if each.default is not inspect.Parameter.empty:
            assert plain.arguments()[each.name] == each.default
    assert Engine(**SOME.arguments()).preview_interval == 0.5


def test_the_token_is_in_no_text_of_them() -> None:
    assert "canary" not in f"{SOME} {SOME!r}"
    with pytest.raises(WireError) as refused:
        OPTIONS.decode(OPTIONS.encode(SOME).replace(b'"auto"', b"3"))
    assert "canary" not in str(refused.value)
