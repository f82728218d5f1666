"""Untrained models of true size can be built; here without weights, which take gigabytes."""

from importlib import import_module

import pytest


@pytest.mark.parametrize("family", ["sd15", "flux2", "zimage", "anima", "chroma", "flux1", "krea2"])
def test_one_of_true_size_is_built(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from tools.untrained import filling

    monkeypatch.setattr(filling, "fill", lambda *_: None)
    untrained = import_module(f"tools.untrained.{family}")
    whole = untrained.pipeline(untrained.TRUE, like=filling.Like(device="meta"))
    network = whole.unet if family == "sd15" else whole.transformer
    assert sum(each.numel() for each in network.parameters()) > 800_000_000
