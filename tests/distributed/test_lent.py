"""Which networks come with the configuration of a model, and what a worker has of them."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from bot.distributed.bundles import WEIGHTS, bundle_of
from bot.distributed.expecting import expected_of
from bot.distributed.localising import NotHashed, digests_of, lacks_of, localise, named_as
from bot.distributed.parts import Kind, Part
from bot.engine.hashing import of_listing
from bot.errors import JobFailed, WireError
from bot.recipe import Recipe, Weights
from catalog import Catalog
from catalog.families import FAMILIES
from catalog.locate import locate
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
from tests.distributed.machines import EMPTY, Machine, order_for, put, sha256


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

    def test_a_text_encoder_of_its_own_takes_the_place_of_the_lent_one(self, here: Machine) -> None:
        found = needs(here, "other-encoder")
        assert sha256(FILES["qwen.gguf"]) in found
        assert of_listing((name, sha256(data)) for name, data in ENCODER.items()) not in found
        assert sent(here, "other-encoder").lent.keys() == {"vae"}
        # Whatever the family.
        assert sha256(FILES["qwen.gguf"]) in needs(here, "again") & needs(here, "klein")

    @pytest.mark.parametrize("path", ["source", "source/text_encoder"])
    def test_of_a_folder_only_the_text_encoder_is_needed(self, tmp_path: Path, path: str) -> None:
        entry = lender("x", "one.safetensors", text_encoder_path=path)
        machine = machine_of(tmp_path, Catalog({"x": entry}, {}, "x"))
        bundle = bundle_of(Part(Kind.TEXT_ENCODER, path), locate(path, machine.models))
        assert bundle
        below = "text_encoder/" if path == "source" else ""
        names = {f"{below}{name}" for name in ("config.json", *ENCODER)}
        names |= {f"{below}model.safetensors.index.json"}
        assert {member.name for member in bundle.members} == names
        assert len(needs(machine, "x")) == 4
        assert sent(machine, "x", machine.catalog).lent.keys() == {"vae"}

    @pytest.mark.parametrize("path", ["odd", "org/odd"])
    def test_a_folder_with_one_file_of_it_is_that_file(self, tmp_path: Path, path: str) -> None:
        data = FILES["qwen.gguf"]
        place = "odd" if path == "odd" else f"hub/models--org--odd/snapshots/{'f' * 40}"
        entry = lender("x", "one.safetensors", text_encoder_path=path)
        files = {**FILES, f"{place}/q.gguf": data}
        machine = machine_of(tmp_path, Catalog({"x": entry}, {}, "x"), files)
        part = Part(Kind.TEXT_ENCODER, path)
        digest = sha256(data) if path == "odd" else part.hub_digest
        assert digest in needs(machine, "x")
        sending = machine.inventory.sent(digest)
        assert sending
        assert [(file.name, file.sha256) for file in sending.files] == [
            ("model.gguf", sha256(data))
        ]
        local = localise(sent(machine, "x", machine.catalog), machine.inventory)
        assert local.model is not None
        assert str(local.model.text_encoder_path).endswith("odd/q.gguf" if path == "odd" else path)

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

    @pytest.mark.parametrize("path", ["qwen.gguf", "source", "source/text_encoder"])
    def test_a_text_encoder_of_its_own_is_named_and_compared(
        self, tmp_path: Path, path: str
    ) -> None:
        entry = lender("x", "one.safetensors", text_encoder_path=path)
        catalog = Catalog({"x": entry}, {}, "x")
        here = machine_of(tmp_path / "own", catalog)
        order = order_for(catalog, asked_for("x"))
        expected = expected_of(order, here.inventory)
        # As an engine has it: of the file, or of all by their names.
        below = "text_encoder/" if path == "source" else ""
        own = {name for name in PIPELINE if name.startswith("text_encoder/")}
        listed = ((name, sha256(PIPELINE[name])) for name in own)
        right = of_listing(
            (below + name.removeprefix("text_encoder/"), sha) for name, sha in listed
        )
        if path.endswith(".gguf"):
            right = sha256(FILES[path])
        assert expected.text_encoder == frozenset({right})
        assert expected.parts == {"vae": {sha256(VAE)}}

        def said(encoder: Weights | None) -> Recipe:
            vae = sha256(VAE)
            return Recipe(
                request=order.request,
                checkpoint=Weights("x", sha256(FILES["one.safetensors"]), ""),
                text_encoder=encoder,
                parts=(Weights("source/vae", vae, vae[:10]),),
            )

        expected.check(said(Weights("elsewhere", right, right[:10])))
        for wrong in (None, Weights("elsewhere", "0" * 64, "0" * 10)):
            with pytest.raises(WireError, match="text_encoder: "):
                expected.check(said(wrong))
        named = named_as(said(Weights("elsewhere", right, right[:10])), order)
        assert named.text_encoder == Weights(path, right, right[:10])


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

    def test_a_text_encoder_is_found_by_what_is_in_it(self, here: Machine, tmp_path: Path) -> None:
        files = {name.replace("qwen", "other name"): data for name, data in FILES.items()}
        own = lender("x", "one.safetensors", text_encoder_path="other name.gguf")
        there = machine_of(tmp_path / "there", Catalog({"x": own}, {}, "x"), files)
        local = localise(sent(here, "other-encoder"), there.inventory)
        assert local.model is not None
        assert local.model.text_encoder_path == str(there.models / "other name.gguf")
        lacking = machine_of(tmp_path / "lacking", EMPTY, {}).inventory
        lacks = {lack.kind: lack for lack in lacks_of(sent(here, "other-encoder"), lacking)}
        assert lacks[Kind.TEXT_ENCODER].digest == sha256(FILES["qwen.gguf"])
        assert lacks[Kind.TEXT_ENCODER].key == "other-encoder"

    def test_what_another_lacks_is_named_by_its_model(self, here: Machine, tmp_path: Path) -> None:
        files = {name: data for name, data in FILES.items() if "vae/diff" not in name}
        there = machine_of(tmp_path / "there", files=files)
        [lack] = lacks_of(sent(here), there.inventory)
        assert (lack.kind, lack.key, lack.digest) == (Kind.NETWORK, "one", sha256(VAE))
        assert not lack.on_hub
