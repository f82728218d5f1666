"""Orders that travel name no paths, and what arrives opens none but this machine's own."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from bot.distributed.bundles import is_sound
from bot.distributed.inventory import Inventory
from bot.distributed.localising import (
    SCHEME,
    NotAnAddress,
    NotHashed,
    PartMissing,
    addressed,
    digests_of,
    localise,
    named_as,
)
from bot.distributed.parts import Part
from bot.errors import JobFailed
from bot.order import Order
from bot.recipe import Recipe, Weights
from catalog import AdapterEntry, ModelEntry, ReferenceEntry
from catalog.families.zimage import ZIMAGE
from tests.distributed.machines import (
    BOTS,
    CONFIG,
    Machine,
    bare_worker,
    bot,
    everything,
    order_for,
    worker,
)
from tests.parameters import examples
from tests.store.factories import recipe


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return bot(tmp_path_factory.mktemp("bot")).ready()


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return worker(tmp_path_factory.mktemp("worker")).ready()


def paths_of(order: Order) -> list[str]:
    entries = (
        *(order.model, *order.adapters, order.reference, *order.embeddings, order.upscaler),
        *(*order.controls, order.depth, order.pose),
    )
    paths = [entry.path for entry in entries if entry is not None]
    if order.model is not None:
        paths += [path for path in (order.model.vae_path, order.model.config) if path]
    return [*paths, *order.lent.values()]


@pytest.mark.parametrize("key", ["big", "folder"])
def test_an_order_finds_the_same_files_elsewhere(here: Machine, there: Machine, key: str) -> None:
    order = order_for(BOTS, everything(key))
    local = localise(addressed(order, here.inventory), there.inventory)
    models = there.models
    assert local.model is not None
    if key == "big":
        assert local.model.path == str(models / "a/other.safetensors")
        assert local.model.vae_path == str(models / "d")
        assert local.model.config == str(models / "e")
    else:
        assert local.model.path == str(models / "c")
        assert local.model.config is None
    assert [entry.path for entry in local.adapters] == [
        str(models / "f.safetensors"),
        str(models / "g/adapter_model.safetensors"),
    ]
    [hands] = local.embeddings
    assert (hands.path, hands.second) == (
        str(models / "h/hands-1.safetensors"),
        "hands-2.safetensors",
    )
    assert local.upscaler is not None
    assert local.upscaler.path == str(models / "i.safetensors")
    assert local.reference is not None
    assert local.reference.path == str(models / "j")
    assert local.reference.weight_name == "sdxl_models/ip-adapter.safetensors"
    assert local.reference.encoder == "models/image_encoder"
    edges, union = local.controls
    assert (edges.path, edges.weight_name) == (str(models / "k.safetensors"), None)
    assert union.path == str(models / "l")
    assert union.weight_name == "diffusion_pytorch_model_promax.safetensors"
    assert local.depth is not None
    assert local.depth.path == str(models / "m")
    assert local.pose is not None
    assert local.pose.path == str(models / "n")
    assert digests_of(addressed(order, here.inventory)) == {
        *here.inventory.needs_of(order.request, BOTS)
    }
    # And what an image depends on besides is the bot's.
    assert local.request == order.request
    assert local.model.key == key


def test_nothing_that_travels_names_a_path(here: Machine) -> None:
    sent = addressed(order_for(BOTS, everything()), here.inventory)
    assert all(path.startswith(SCHEME) for path in paths_of(sent))
    # As the wire takes it: everything is validated again there.
    others = (
        sent.reference,
        *sent.embeddings,
        sent.upscaler,
        *sent.controls,
        sent.depth,
        sent.pose,
    )
    for entry in (sent.model, *sent.adapters, *others):
        data = json.dumps(entry.model_dump(mode="json"))  # type: ignore[union-attr]
        assert TypeAdapter(type(entry)).validate_json(data) == entry
        for name in ("Big Model", "ink.safetensors", "models/image_encoder", "hands-", "promax"):
            assert name not in data


def test_a_lora_is_called_in_prompts_as_the_bots_file_is(here: Machine, there: Machine) -> None:
    order = order_for(BOTS, everything())
    local = localise(addressed(order, here.inventory), there.inventory)
    words = [entry.word for entry in order.adapters]
    assert [entry.word for entry in local.adapters] == words
    assert [Path(entry.path).stem for entry in local.adapters] != words


def test_the_usual_configuration_of_a_file_is_named(here: Machine, there: Machine) -> None:
    """It is on the hub, where each machine gets it by itself."""
    order = order_for(BOTS, replace(everything("plain"), upscale=None))
    local = localise(addressed(order, here.inventory), there.inventory).model
    assert local is not None
    assert local.config == CONFIG


def test_what_is_on_the_hub_is_named_as_the_workers_own_catalog_does(
    here: Machine, there: Machine
) -> None:
    order = order_for(BOTS, everything("hub"))
    local = localise(addressed(order, here.inventory), there.inventory).model
    assert local is not None
    assert order.model is not None
    assert (local.path, local.weight_name, local.revision) == (
        order.model.path,
        order.model.weight_name,
        order.model.revision,
    )


def test_what_is_not_hashed_yet_cannot_be_sent(tmp_path: Path) -> None:
    machine = bot(tmp_path)
    machine.inventory.update(BOTS)
    with pytest.raises(NotHashed, match="model big"):
        addressed(order_for(BOTS, everything()), machine.inventory)


def test_what_is_gone_is_told_as_ever(tmp_path: Path) -> None:
    machine = bot(tmp_path)
    (machine.models / "loras/ink.safetensors").unlink()
    machine.ready()
    with pytest.raises(JobFailed) as failed:
        addressed(order_for(BOTS, everything()), machine.inventory)
    assert failed.value.code == "adapter.missing"
    assert failed.value.params == {"adapter": "ink", "path": "loras/ink.safetensors"}


def test_what_the_worker_lacks_is_named(here: Machine, tmp_path: Path) -> None:
    sent = addressed(order_for(BOTS, everything()), here.inventory)
    with pytest.raises(PartMissing) as missing:
        localise(sent, bare_worker(tmp_path).ready().inventory)
    assert missing.value.params == {"name": "big"}
    assert sent.model is not None
    assert sent.model.path == SCHEME + missing.value.digest


def test_a_file_that_was_exchanged_is_not_opened(here: Machine, tmp_path: Path) -> None:
    there = worker(tmp_path).ready()
    sent = addressed(order_for(BOTS, everything()), here.inventory)
    localise(sent, there.inventory)
    (there.models / "f.safetensors").write_bytes(b"another")
    with pytest.raises(PartMissing) as missing:
        localise(sent, there.inventory)
    assert missing.value.key == "ink"


HOSTILE = st.one_of(
    st.text(min_size=1, max_size=80),
    st.sampled_from(
        [
            "/etc/passwd",
            "../../etc/passwd",
            "~/.ssh/id_ed25519",
            "checkpoints/plain.safetensors",
            "some-one/some-model",
            "builtin:flat",
            "\\\\server\\share",
            "C:\\x.safetensors",
            SCHEME,
            f"{SCHEME}../../../etc/passwd",
            f"{SCHEME}{'A' * 64}",
            f"{SCHEME}{'0' * 63}/",
            f"{SCHEME}{'0' * 64}\n",
            f"{SCHEME}{'0' * 64}",
            f"{SCHEME}{SCHEME}{'0' * 64}",
        ]
    ),
    st.text("0123456789abcdef", min_size=64, max_size=64).map(lambda text: SCHEME + text),
)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "some-one/some-model",
        "0" * 64,
        SCHEME,
        f"{SCHEME}{'A' * 64}",
        f"{SCHEME}../x",
    ],
)
def test_a_path_is_told_from_a_part_that_is_missing(
    here: Machine, there: Machine, path: str
) -> None:
    """No machine has it, however much is fetched."""
    sent = addressed(order_for(BOTS, everything()), here.inventory)
    assert sent.model is not None
    changed = (
        replace(sent, model=sent.model.model_copy(update={"path": path})),
        replace(sent, lent={"text_encoder": path}),
    )
    for order in changed:
        for look in (partial(localise, inventory=there.inventory), digests_of):
            with pytest.raises(NotAnAddress):
                look(order)


def known(there: Machine) -> st.SearchStrategy[str]:
    return st.sampled_from(sorted(SCHEME + digest for digest in there.inventory.digests))


@settings(
    max_examples=examples(150),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_what_came_over_the_wire_opens_nothing(
    here: Machine, there: Machine, data: st.DataObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever stands in an order, only files that the worker knew before are looked at."""
    sent = addressed(order_for(BOTS, everything()), here.inventory)
    hostile = data.draw(HOSTILE)
    path = st.just(hostile) | known(there)
    names = st.none() | HOSTILE

    def entry(given: Any) -> Any:
        changed: dict[str, Any] = {
            "path": data.draw(path),
            "weight_name": data.draw(names),
            "revision": data.draw(names),
        }
        match given:
            case ModelEntry():
                changed |= {
                    field: data.draw(st.none() | path)
                    for field in ("vae_path", "text_encoder_path")
                }
                changed |= {"config": data.draw(path)}
            case ReferenceEntry():
                changed |= {"encoder": data.draw(HOSTILE)}
            case _ if not isinstance(given, AdapterEntry):
                changed |= {"second": data.draw(names)} if hasattr(given, "second") else {}
        return given.model_copy(update=changed)

    order = replace(
        sent,
        model=entry(sent.model),
        adapters=tuple(map(entry, sent.adapters)),
        reference=entry(sent.reference),
        embeddings=tuple(map(entry, sent.embeddings)),
        upscaler=entry(sent.upscaler),
        controls=tuple(map(entry, sent.controls)),
        depth=entry(sent.depth),
        pose=entry(sent.pose),
        lent={"text_encoder": data.draw(path)},
    )
    touched: list[str] = []
    real = Path.stat

    def watched(self: Path, **more: Any) -> Any:
        touched.append(str(self))
        return real(self, **more)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "stat", watched)
        patched.setattr(Path, "open", None)
        try:
            local = localise(order, there.inventory)
        except (NotAnAddress, PartMissing):
            pass
        else:
            own = _own(there.inventory)
            assert set(paths_of(local)) <= {part.path for part in own}
            assert local.reference is not None
            named = (*local.adapters, *local.controls, local.model, local.upscaler, local.reference)
            called = {entry.weight_name for entry in named if entry is not None}
            assert called <= {part.weight_name for part in own}
            beside = {local.reference.encoder, *(entry.second or "" for entry in local.embeddings)}
            assert beside <= {part.beside for part in own}
    assert all(path.startswith(str(there.models)) for path in touched)


def _own(inventory: Inventory) -> list[Part]:
    held = (inventory.holding(digest) for digest in inventory.digests)
    return [each.opened for each in held if each is not None]


@pytest.mark.parametrize(
    ("name", "sound"),
    [
        ("model.safetensors", True),
        ("unet/config.json", True),
        ("models/image_encoder/model.fp16.safetensors", True),
        ("Größe (v1.0) [x]+a&b's.safetensors", False),  # brackets mean something to some shells
        ("Größe (v1.0)+a&b's.safetensors", True),
        ("model.swarm.json", True),
        ("", False),
        (".safetensors", False),
        ("../x.json", False),
        ("a/../x.json", False),
        ("/x.json", False),
        ("a//x.json", False),
        ("a/./x.json", False),
        ("a\\x.json", False),
        ("C:x.json", False),
        ("~x.json", False),
        ("x.json/", False),
        ("x.json\n", False),
        ("x\0.json", False),
        ("a/b/c/d/x.json", False),
        ("con.json", False),
        ("aux/x.json", False),
        ("x.pt", False),
        ("x.bin", False),
        ("x.py", False),
        ("x.json ", False),
        ("-x.json", False),
        (f"{'x' * 200}.json", False),
    ],
)
def test_which_names_files_may_have(name: str, sound: bool) -> None:
    assert is_sound(name) is sound


@given(st.text(max_size=40) | st.text("./\\ab~:\0\n", max_size=12).map(lambda text: f"{text}.json"))
def test_a_sound_name_stays_below_its_folder(name: str) -> None:
    if is_sound(name):
        root = Path("/root")
        assert (root / name).is_relative_to(root)
        assert ".." not in Path(name).parts
        assert not set(name) & set('\\:\0\n*?"<>|~')


def test_a_recipe_from_a_worker_has_the_names_that_the_bots_own_would_have() -> None:
    order = order_for(BOTS, everything())
    weights = Weights("fetched", "1" * 64, "1" * 10)
    told: Recipe = replace(
        recipe(), vae=weights, reference=(weights, weights), depth=weights, pose=weights
    )
    named = named_as(told, order)
    assert named.depth == replace(weights, name="depth")
    assert named.pose == replace(weights, name="pose")
    assert named.vae == replace(weights, name="vae")
    assert [each.name for each in named.reference] == ["ip-adapter.safetensors", "image_encoder"]
    back = replace(named, vae=weights, reference=told.reference)
    assert replace(back, depth=weights, pose=weights) == told
    assert named_as(recipe(), order_for(BOTS, everything("folder"))).vae is None


@pytest.mark.parametrize("variant", ["turbo", "base"])
def test_a_worker_completes_a_file_as_its_variant_is_though_it_goes_by_no_name_there(
    here: Machine, there: Machine, variant: str
) -> None:
    """All variants are lent the same, from one repository."""
    model = BOTS.models["plain"].model_copy(update={"family": ZIMAGE, "name": f"My {variant}"})
    order = replace(order_for(BOTS, everything("plain")), model=model)
    sent = addressed(order, here.inventory)
    assert sent.model is not None
    unnamed = replace(sent, model=sent.model.model_copy(update={"name": "?"}))
    local = localise(unnamed, there.inventory).model
    assert local is not None
    assert (local.variant, local.config) == (variant, model.completed_by)
    assert (local.lent_by, model.lent_by) == (ZIMAGE.config, ZIMAGE.config)
