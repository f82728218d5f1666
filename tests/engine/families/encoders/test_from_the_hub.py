"""A text encoder in a repository."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from bot.errors import JobFailed
from catalog.families import TEXT_ENCODER, VAE
from tests.engine.factories import catalog, digests, model, paint
from tests.engine.families.encoders.files import ASKED, alone
from tests.engine.hub_server import contents, hub_server
from tests.parameters import mostly_long

pytestmark = pytest.mark.long


class TestFromTheHub:
    @pytest.fixture
    def hub(self, folders: Path) -> Iterator[Any]:
        with hub_server() as server:
            server.repositories["org/zimage"] = contents(folders / "zimage")
            server.repositories["org/other"] = contents(folders / "zimage-other")
            encoder = contents(folders / "zimage-other" / TEXT_ENCODER)
            server.repositories["org/alone"] = encoder
            yield server

    @pytest.fixture
    def own(self, hub: Any, tmp_path: Path) -> Iterator[Engine]:
        hashes = tmp_path / "h.json"
        engine = Engine(
            models_dir=tmp_path / "models", hashes_file=hashes, hub_endpoint=hub.url, memory="full"
        )
        yield engine
        engine.close()

    @pytest.mark.parametrize("path", mostly_long(["org/other", "org/alone"], usual=1))
    def test_it_is_downloaded_and_the_one_of_the_configuration_is_not(
        self, own: Engine, hub: Any, painter: Engine, folders: Path, tmp_path: Path, path: str
    ) -> None:
        file = alone("zimage", folders / "zimage", tmp_path / "z.safetensors")
        entry = model("x", str(file), family="zimage", config="org/zimage", text_encoder_path=path)
        found = paint(own, ASKED, catalog([entry]))
        expected = paint(painter, ASKED, catalog([model("x", "zimage-other", family="zimage")]))
        assert digests(found) == digests(expected)
        assert found.recipe.text_encoder
        assert found.recipe.text_encoder.name == path
        below = "text_encoder/" if path == "org/other" else ""
        weights = [name for name in hub.fetched() if name.endswith(".safetensors")]
        vae = "vae/diffusion_pytorch_model.safetensors"
        assert sorted(weights) == sorted([f"{below}model.safetensors", vae])

    def test_of_a_repository_with_several_files_one_has_to_be_named(
        self, own: Engine, hub: Any, folders: Path
    ) -> None:
        files = ("Qwen3-4B-Q4_K_M.gguf", "Qwen3-4B-Q8_0.gguf")
        hub.repositories["org/gguf"] = dict.fromkeys((*files, "config.json"), b"{}")
        path = str(folders / "zimage")
        entry = model("x", path, family="zimage", text_encoder_path="org/gguf")
        with pytest.raises(JobFailed) as failure:
            paint(own, ASKED, catalog([entry]))
        assert (failure.value.code, failure.value.params) == (
            "model.choose_network",
            {
                "model": "x",
                "field": "text_encoder_path",
                "path": "org/gguf",
                "files": ", ".join(files),
            },
        )
        assert hub.fetched() == []

    def test_a_pipelines_own_is_downloaded_only_for_who_reads_it(
        self, own: Engine, hub: Any, painter: Engine, folders: Path, tmp_path: Path
    ) -> None:
        instead = {
            "text_encoder_path": str(folders / "zimage-other" / TEXT_ENCODER),
            "vae_path": str(folders / "zimage" / VAE),
        }
        fetched = []
        for fields, same in ((instead, "zimage-other"), ({}, "zimage")):
            hub.asked.clear()
            entry = model("x", "org/zimage", family="zimage", **fields)
            found = paint(own, ASKED, catalog([entry]))
            expected = paint(painter, ASKED, catalog([model("x", same, family="zimage")]))
            assert digests(found) == digests(expected)
            weights = [name for name in hub.fetched() if name.endswith(".safetensors")]
            fetched.append({name.partition("/")[0] for name in weights})
        assert fetched == [{"transformer"}, {TEXT_ENCODER, VAE}]

    def test_nothing_is_loaded_ahead_while_it_is_not_here(
        self, own: Engine, hub: Any, folders: Path
    ) -> None:
        path = str(folders / "zimage")
        own.preload(model("x", path, family="zimage", text_encoder_path="org/alone"), lambda: None)
        assert (hub.asked, own.loaded) == ([], None)
        local = str(folders / "zimage-other" / TEXT_ENCODER)
        own.preload(model("x", path, family="zimage", text_encoder_path=local), lambda: None)
        assert (hub.asked, own.loaded) == ([], "x")
