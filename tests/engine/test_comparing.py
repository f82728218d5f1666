"""The cells of a comparison, one after the other, have the pixels that each has alone."""

from dataclasses import replace
from pathlib import Path

import pytest

from bot.engine import Engine
from bot.request import AdapterUse, paint_order
from tests.engine import factories
from tests.engine.factories import catalog, digests, paint, request


@pytest.mark.long
def test_a_cell_does_not_depend_on_those_before_it(
    engine: Engine, models_dir: Path, tmp_path: Path
) -> None:
    lora = tmp_path / "ink.safetensors"
    factories.kohya_lora(lora)
    entries = catalog(ink=lora)
    plain = request(seed=11)
    asked = [
        replace(plain, model=model, adapters=(AdapterUse("ink", weight),) if weight else ())
        for weight in (0.0, 0.4, 1.0)
        for model in ("demo", "other")
    ]
    order = paint_order(asked)
    assert order == (0, 2, 4, 1, 3, 5)
    together = {n: digests(paint(engine, asked[n], entries)) for n in order}
    for n, one in enumerate(asked):
        engine.close()
        assert digests(paint(engine, one, entries)) == together[n]
    assert len({digest for found in together.values() for digest in found}) == len(asked)
