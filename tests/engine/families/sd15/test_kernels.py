"""Compiled code for SD 1.5: what is rehearsed is what is asked for later."""

from pathlib import Path

import pytest

from tests.engine.factories import digests, paint, resident
from tests.engine.families.sd15.factories import catalog, request
from tests.engine.test_kernels import kernels_of, opened

pytestmark = pytest.mark.long


def test_a_job_runs_what_was_compiled_before_it(sd15_dir: Path, tmp_path: Path) -> None:
    with opened(sd15_dir, tmp_path) as (engine, ran):
        first = paint(engine, request(), catalog())
        assert first.recipe.environment["kernels"] == "eager"
        kernels_of(engine).wait()
        ran.clear()
        second = paint(engine, request(), catalog())
        assert second.recipe.environment["kernels"] == "compiled"
        assert len(ran) == 2
        assert digests(second) == digests(first)
        assert not resident(engine).denoiser.training
