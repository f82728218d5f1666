"""What a user named is found only where it is offered."""

import pytest

from bot.errors import Refused
from bot.request import Template, find_model, is_gated
from catalog import Catalog, ModelEntry, Unfit, WildcardFile, Wildcards
from catalog.weight_files import Refusal
from tests.store.factories import request


def test_a_model_whose_file_is_something_else_is_refused_by_name() -> None:
    entry = ModelEntry(key="flux", name="Flux", path="checkpoints/flux.safetensors")
    unfit = {"flux": Unfit("flux.safetensors", Refusal("Flux (dev) transformer"))}
    catalog = Catalog({"flux": entry}, {}, "", unfit_models=unfit)
    with pytest.raises(Refused) as refusal:
        find_model(catalog, "Flux", nsfw=False)
    assert refusal.value.code == "model.unfit"
    assert refusal.value.params == {
        "name": "flux",
        "what": "Flux (dev) transformer",
        "families": (
            "Stable Diffusion XL",
            "Stable Diffusion 1.5",
            "FLUX.2 klein",
            "Z-Image",
            "Anima",
        ),
    }


@pytest.mark.parametrize(
    ("typed", "gated"),
    [
        ("a __nsfw/late__", True),
        ("a {fox|{__NSFW/late__|owl}}", True),
        ("a __coins__", False),
        ("a __nsfw/gone__", False),
        ("a __*__", False),
        ("a {fox", False),
    ],
)
def test_a_wildcard_that_is_named_counts(typed: str, gated: bool) -> None:
    wildcards = Wildcards({"nsfw/late": WildcardFile(("x",)), "coins": WildcardFile(("y",))})
    catalog = Catalog({}, {}, "", wildcards=wildcards)
    for template in (Template(typed, None, 1), Template(None, typed, 1)):
        assert is_gated(request(model="", adapters=(), template=template), catalog) is gated
