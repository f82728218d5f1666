"""What a user named is found only where it is offered."""

import pytest

from bot.errors import Refused
from bot.request import find_model
from catalog import Catalog, ModelEntry, Unfit
from catalog.weight_files import Refusal


def test_a_model_whose_file_is_something_else_is_refused_by_name() -> None:
    entry = ModelEntry(key="flux", name="Flux", path="checkpoints/flux.safetensors")
    unfit = {"flux": Unfit("flux.safetensors", Refusal("Flux (dev) transformer"))}
    catalog = Catalog({"flux": entry}, {}, "", unfit_models=unfit)
    with pytest.raises(Refused) as refusal:
        find_model(catalog, "Flux", nsfw=False)
    assert refusal.value.code == "model.unfit"
    assert refusal.value.params == {"name": "flux", "what": "Flux (dev) transformer"}
