"""Which networks come with the configuration of a model, and what a worker has of them."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from bot.distributed.expecting import expected_of
from bot.distributed.localising import NotHashed, digests_of, lacks_of, localise
from bot.distributed.parts import WEIGHTS, Kind
from bot.engine.hashing import of_listing
from bot.errors import JobFailed, WireError
from bot.recipe import Recipe, Weights
from catalog import Catalog
from catalog.families import FAMILIES
from tests.distributed.lent_models import (
    ENCODER,
    FILES,
    HUB,
    MODELS,
    PIPELINE,
    SHARDS,
    VAE,
    asked_for,
    lender,
    machine_of,
    needs,
    offered,
    sent,
)
from tests.distributed.machines import Machine, order_for, put, sha256


@pytest.fixture
def here(tmp_path: Path) -> Machine:
    return machine_of(tmp_path / "bot")


class TestNeeded:
    def test_a_denoiser_alone_needs_what_its_source_lends(self, here: Machine) -> None:
        encoder = of_listing((name, sha256(data)) for name, data in ENCODER.items())
        found = needs(here, "one")
        assert {sha256(FILES["one.safetensors"]), encoder, sha256(VAE)} < found
        assert len(found) == 4
        assert digests_of(sent(here)) == found

    def test_what_is_in_the_file_is_not_needed(self, here: Machine) -> None:
        assert len(needs(here, "whole")) == 2
        assert sent(here, "whole").lent == {}

    def test_a_vae_of_its_own_takes_the_place_of_the_lent_one(self, here: Machine) -> None:
        found = needs(here, "other-vae")
        assert sha256(VAE) not in found
        assert sha256(FILES["vae.safetensors"]) in found
        assert sent(here, "other-vae").lent.keys() == {"text_encoder"}

    def test_models_share_what_they_are_lent(self, here: Machine) -> None:
        assert len(needs(here, "one") & needs(here, "two")) == 3

    def test_the_same_weights_of_another_source_are_the_same(
        self, here: Machine, tmp_path: Path
    ) -> None:
        """Whatever its configuration says otherwise."""
        files = {
            **FILES,
            "source/text_encoder/config.json": b'{"dtype": "bfloat16"}',
            "source/vae/model.safetensors": VAE,
        }
        del files["source/vae/diffusion_pytorch_model.safetensors"]
        other = machine_of(tmp_path / "other", files=files)
        assert len(needs(here, "one") - needs(other, "one")) == 1

    def test_where_a_model_is_not_here_it_may_need_all(self, tmp_path: Path) -> None:
        entry = lender("far", "some-one/some-model", weight_name="x.safetensors")
        machine = machine_of(tmp_path, Catalog({"far": entry}, {}, "far"))
        assert len(needs(machine, "far")) == 4

    def test_the_header_of_a_file_is_read_again_when_it_has_changed(self, here: Machine) -> None:
        (here.models / "one.safetensors").write_bytes(FILES["whole.safetensors"])
        here.ready()
        assert sent(here).lent == {}

    def test_what_is_no_model_needs_no_more(self, here: Machine) -> None:
        """It fails for that, wherever it runs."""
        (here.models / "one.safetensors").write_bytes(b"no header")
        here.ready()
        assert sent(here).lent == {}

    def test_a_source_without_the_weights_is_told_as_ever(self, tmp_path: Path) -> None:
        files = {name: data for name, data in FILES.items() if "text_encoder/model-" not in name}
        machine = machine_of(tmp_path, files=files)
        with pytest.raises(JobFailed) as failed:
            sent(machine)
        assert failed.value.code == "model.incomplete"
        assert failed.value.params == {"model": "one", "part": "text_encoder"}

    def test_what_has_changed_is_not_sent_before_it_is_hashed(self, here: Machine) -> None:
        before = needs(here, "one")
        put(here.models, {f"source/text_encoder/{SHARDS[1]}": ENCODER[SHARDS[1]][:-1] + b"x"})
        here.inventory.update(MODELS)
        with pytest.raises(NotHashed, match="network one"):
            sent(here)
        here.ready()
        assert len(needs(here, "one") - before) == 1

    def test_weight_files_are_called_the_same_in_every_family(self) -> None:
        for family in FAMILIES.values():
            assert family.files.weights.items() <= WEIGHTS.items()
            assert family.lent.keys() <= family.files.weights.keys()


class TestExpected:
    @pytest.fixture
    def catalog(self) -> Catalog:
        """Each is completed by its own folder, and both are lent what is in that of one."""
        made = (
            lender(variant, "one.safetensors", config=None, variant=variant)
            for variant in ("turbo", "base")
        )
        return Catalog({entry.key: entry for entry in made}, {}, "turbo")

    @pytest.fixture
    def here(self, tmp_path: Path, catalog: Catalog) -> Machine:
        files = {name.replace("source/", f"{HUB}/"): data for name, data in FILES.items()}
        base = catalog.models["base"].completed_by
        configured = {name: data for name, data in PIPELINE.items() if name.endswith(".json")}
        files |= {f"{base}/{name}": data for name, data in configured.items()}
        return machine_of(tmp_path / "bot", catalog, files)

    @pytest.mark.parametrize("variant", ["turbo", "base"])
    def test_what_is_lent_is_of_the_lender_whatever_completes_the_model(
        self, here: Machine, catalog: Catalog, variant: str
    ) -> None:
        order = order_for(catalog, asked_for(variant))
        encoder = of_listing((name, sha256(data)) for name, data in ENCODER.items())
        right = {"text_encoder": encoder, "vae": sha256(VAE)}
        expected = expected_of(order, here.inventory)
        assert expected.parts == {network: {digest} for network, digest in right.items()}

        def said(parts: Mapping[str, str]) -> Recipe:
            found = (Weights(f"{HUB}/{name}", sha, sha[:10]) for name, sha in parts.items())
            checkpoint = sha256(FILES["one.safetensors"])
            return Recipe(
                request=order.request,
                checkpoint=Weights(variant, checkpoint, checkpoint[:10]),
                parts=tuple(found),
            )

        expected.check(said(right))
        for network in right:
            with pytest.raises(WireError, match=f"parts: it used {HUB}/{network}"):
                expected.check(said({**right, network: "0" * 64}))


class TestFound:
    def test_a_worker_with_the_same_files_uses_its_own(self, here: Machine, tmp_path: Path) -> None:
        files = {name.replace("source/", "base/"): data for name, data in FILES.items()}
        there = machine_of(tmp_path / "there", offered(config="base"), files)
        local = localise(sent(here), there.inventory)
        assert local.model is not None
        assert local.model.config == str(there.models / "base")
        assert local.lent == {
            "text_encoder": str(there.models / "base/text_encoder"),
            "vae": str(there.models / "base/vae"),
        }
        assert lacks_of(sent(here), there.inventory) == []

    def test_what_another_lacks_is_named_by_its_model(self, here: Machine, tmp_path: Path) -> None:
        files = {name: data for name, data in FILES.items() if "vae/diff" not in name}
        there = machine_of(tmp_path / "there", files=files)
        [lack] = lacks_of(sent(here), there.inventory)
        assert (lack.kind, lack.key, lack.digest) == (Kind.NETWORK, "one", sha256(VAE))
        assert not lack.on_hub
