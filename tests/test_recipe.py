"""The recipe: it survives JSON, tells what has changed, and hides its prompt."""

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from bot.recipe import (
    OF_THE_MACHINE,
    Environment,
    Recipe,
    Weights,
    environment_id,
    place_id,
)
from tests.store.factories import CANARY, recipe, request

WEIGHTS = st.builds(Weights, st.text(), st.text(), st.text())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
RECIPES = st.builds(
    Recipe,
    request=st.builds(request, prompt=st.text(), seed=st.integers(0, 2**32 - 1)),
    checkpoint=WEIGHTS,
    vae=st.none() | WEIGHTS,
    text_encoder=st.none() | WEIGHTS,
    adapters=st.lists(WEIGHTS, max_size=4).map(tuple),
    reference=st.just(()) | st.tuples(WEIGHTS, WEIGHTS),
    embeddings=st.lists(WEIGHTS, max_size=2).map(tuple),
    scheduler=st.dictionaries(st.text(), JSON, max_size=3),
    environment=st.dictionaries(st.text(), st.text(), max_size=3),
)


@given(RECIPES)
def test_it_survives_json(painted: Recipe) -> None:
    read = Recipe.from_dict(json.loads(json.dumps(painted.to_dict())))
    assert read == painted
    assert read.changed_since(painted) == ()


@given(RECIPES, RECIPES)
def test_what_changed_can_always_be_said(now: Recipe, then: Recipe) -> None:
    assert all(isinstance(name, str) for name in now.changed_since(then))


def test_what_changed_is_named() -> None:
    before = replace(
        recipe(), vae=Weights("vae", "1", "1"), text_encoder=Weights("encoder", "1", "1")
    )
    after = replace(
        before,
        checkpoint=Weights("demo", "other", "other"),
        vae=None,
        text_encoder=Weights("encoder", "2", "2"),
        adapters=(Weights("ink", "other", "other"),),
        scheduler={},
        environment={"torch": "9.9", "device": "cuda"},
    )
    assert after.changed_since(before) == (
        *("demo", "vae", "encoder", "ink", "scheduler", "device", "torch"),
    )
    # Another seed is another request, not another install.
    assert replace(before, request=request(seed=1)).changed_since(before) == ()


def test_a_machine_is_known_by_its_environment() -> None:
    here = {"torch": "2.13", "device_name": "H200", "device": "cuda", "engine": "3"}
    same = environment_id(here)
    assert len(same) == 12
    # What differs between two images of one machine does not count, nor does the order.
    image = {"kernels": "compiled", "memory": "8gb", "decoding": "tiled", "pillow": "13"}
    assert environment_id(dict(reversed([*here.items(), *image.items()]))) == same
    others = [{**here, name: "other"} for name in sorted(OF_THE_MACHINE)]
    ids = {environment_id(other) for other in others}
    assert len(ids) == len(others)
    assert same not in ids
    assert environment_id(image) == environment_id({}) == ""


def test_a_lane_is_known_by_how_it_stores_each_family() -> None:
    machine = {"torch": "2.13", "device_name": "H200"}
    eight = {"transformer_dtype": "bfloat16, int8", "text_encoder_dtype": "bfloat16, int8"}
    lane = Environment(environment_id(machine), {"flux2": {}, "zimage": eight})
    # A VAE's dtype follows from the rest, and earlier recipes do not name it.
    for more in ({}, {"vae_dtype": "float32", "kernels": "eager", "upscaler_dtype": "float32"}):
        assert place_id({**machine, **more}, "flux2") in lane.ids
        assert place_id({**machine, **eight, **more}, "zimage") in lane.ids
        assert place_id({**machine, **more}, None) in lane.ids
        assert place_id({**machine, **eight, **more}, "flux2") not in lane.ids
        assert place_id({**machine, **more}, "zimage") not in lane.ids
    assert place_id({**machine, "torch": "2.14"}, "flux2") not in lane.ids
    assert place_id(eight, "zimage") == ""
    assert Environment().ids == frozenset()


def test_what_recipes_of_earlier_versions_did_not_say_counts_for_nothing() -> None:
    """They named no VAE's dtype, and the machine's for the noise, whatever that was drawn in."""
    then = {"dtype": "float16", "noise": "torch.Generator cpu float16"}
    now = {"dtype": "float16", "noise": "torch.Generator cpu float32", "vae_dtype": "float32"}
    before, after = (replace(recipe(), environment=each) for each in (then, now))
    assert after.changed_since(before) == before.changed_since(after) == ()
    without = replace(recipe(), environment={"dtype": "float16"})
    assert without.changed_since(before) == ()
    other = {**now, "vae_dtype": "bfloat16", "noise": "torch.Generator cuda float32"}
    assert replace(recipe(), environment=other).changed_since(after) == ("noise", "vae_dtype")


def test_another_adapter_for_references_is_named() -> None:
    encoder = Weights("encoder", "1", "1")
    before = replace(recipe(), reference=(Weights("ip-adapter", "1", "1"), encoder))
    after = replace(before, reference=(Weights("ip-adapter", "2", "2"), encoder))
    assert after.changed_since(before) == ("ip-adapter",)


def test_one_from_before_references_is_read() -> None:
    data = recipe().to_dict()
    del data["reference"]
    assert Recipe.from_dict(data) == recipe()


def test_it_does_not_show_its_prompt() -> None:
    assert CANARY not in repr(recipe())


def test_another_embedding_is_named() -> None:
    before = replace(recipe(), embeddings=(Weights("hands", "1", "1"),))
    after = replace(before, embeddings=(Weights("hands", "2", "2"),))
    assert after.changed_since(before) == ("hands",)


def test_without_embeddings_it_is_written_as_ever() -> None:
    data = recipe().to_dict()
    assert "embeddings" not in data
    assert "embeddings" not in data["request"]


def test_another_variant_or_configuration_is_named_unless_it_was_not_written() -> None:
    before = replace(recipe(), variant="turbo", config="org/turbo")
    after = replace(before, variant="base", config="org/base")
    assert after.changed_since(before) == ("variant", "config")
    assert after.changed_since(recipe()) == ()
    assert Recipe.from_dict(json.loads(json.dumps(after.to_dict()))) == after
    assert not {"variant", "config"} & recipe().to_dict().keys()


def test_networks_from_elsewhere_are_compared_with_themselves() -> None:
    encoder = Weights("org/base/text_encoder", "1", "1")
    vae, other = (Weights("org/base/vae", digest, digest) for digest in "23")
    before = replace(recipe(), parts=(encoder, vae))
    own = replace(before, text_encoder=Weights("qwen.gguf", "4", "4"), parts=(vae,))
    assert own.changed_since(before) == before.changed_since(own) == ("qwen.gguf",)
    assert replace(own, parts=(other,)).changed_since(before) == ("qwen.gguf", "org/base/vae")
    assert replace(before, parts=(encoder, other)).changed_since(before) == ("org/base/vae",)
