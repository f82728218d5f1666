"""Compiled code for FLUX.2 klein: what is rehearsed is what is asked for later."""

from pathlib import Path

import pytest

from catalog import FloatRange
from tests.engine.factories import catalog, digests, model, paint, request, resident
from tests.engine.families.flux2.conftest import BASE, KLEIN
from tests.engine.test_kernels import kernels_of, opened

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("painter")]


@pytest.mark.parametrize(("name", "guidance", "evaluations"), [(KLEIN, 1.0, 2), (BASE, 4.0, 4)])
def test_a_job_runs_what_was_compiled_before_it(
    folders: Path, tmp_path: Path, name: str, guidance: float, evaluations: int
) -> None:
    usual = FloatRange(min=1.0, default=guidance, max=5.0)
    there = catalog([model("x", name, guidance=usual)])
    asked = request(model="x", guidance=guidance)
    with opened(folders, tmp_path) as (engine, ran):
        first = paint(engine, asked, there)
        assert first.recipe.environment["kernels"] == "eager"
        kernels_of(engine).wait()
        ran.clear()
        second = paint(engine, asked, there)
        assert second.recipe.environment["kernels"] == "compiled"
        assert len(ran) == evaluations
        assert digests(second) == digests(first)
        assert not resident(engine).denoiser.training
