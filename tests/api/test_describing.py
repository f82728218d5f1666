"""What is said of an image and of the catalog over HTTP, without HTTP."""

from dataclasses import replace

from bot.api.describing import metadata
from bot.api.records import FILES
from bot.recipe import Weights
from catalog import ModelEntry
from tests.store.factories import recipe


def test_all_weights_of_an_image_are_told_by_their_hashes() -> None:
    vae, encoder = (Weights(f"/home/anna/{n}", n * 64, n * 10) for n in "ab")
    hashes = metadata(recipe(), 1)["hashes"]
    whole = metadata(replace(recipe(), vae=vae, text_encoder=encoder), 1)["hashes"]
    assert whole == {**hashes, "vae": "a" * 64, "text_encoder": "b" * 64}


def test_where_the_files_of_a_model_are_is_only_told_to_the_owner() -> None:
    places = {name for name in ModelEntry.model_fields if name.endswith("path")}
    assert places == {"path", "vae_path", "text_encoder_path"}
    assert places < {*FILES}
