"""A LoRA or model is found by whatever name another program gives it, or the ambiguity is told."""

import pytest

from bot.errors import InvalidRequest
from bot.request import Draft, GenerationRequest, compose, find_model
from catalog import AdapterEntry, AdapterFacts, Catalog, ModelEntry
from catalog.aliases import Aliases, Naming

FILES = {
    "ink": ("Ink Wash [XL] v1.5", "loras/Ink Wash (v1.5) [XL].safetensors"),
    "add-detail": ("Add Detail", "loras/add-detail-xl_v2.0.safetensors"),
    "pokemon": ("Pokémon", "/data/lora/styles/pokémon_style.safetensors"),
    "eyes-styles": ("Eyes, drawn", "loras/styles/eyes.safetensors"),
    "eyes-people": ("Eyes, real", "loras/people/eyes.safetensors"),
    "twin-a": ("Twin", "loras/twin-a.safetensors"),
    "twin-b": ("twin", "loras/twin-b.safetensors"),
    "seven": ("Seven", "org/seven"),
}
OUTPUT_NAMES = {"add-detail": "epiCDetail_000010", "twin-a": "TWIN_out", "twin-b": "twin_out"}


def adapter(key: str, name: str, path: str, **fields: object) -> AdapterEntry:
    return AdapterEntry.model_validate({"key": key, "name": name, "path": path, **fields})


ADAPTERS = {key: adapter(key, *said) for key, said in FILES.items()}
FACTS = {key: AdapterFacts(base="SDXL", output_name=said) for key, said in OUTPUT_NAMES.items()}
BASE = ModelEntry(key="base", name="Base", path="checkpoints/juggernautXL_v9 (Final).safetensors")
CATALOG = Catalog({"base": BASE}, ADAPTERS, "base", adapter_facts=FACTS)


def composed(
    catalog: Catalog = CATALOG, *, prompt: str = "a fox", lora: str | None = None, nsfw: bool = True
) -> GenerationRequest:
    return compose(Draft(prompt=prompt, lora=lora), catalog, nsfw=nsfw)


NAMES = [
    ("Ink Wash (v1.5) [XL]", "ink"),
    ("ink wash (V1.5) [xl]", "ink"),
    ("Ink Wash (v1.5) [XL].safetensors", "ink"),
    ("ink-wash-v1.5-xl", "ink"),
    ("Ink_Wash_(v1.5)_[XL]", "ink"),
    ("Ink Wash [XL] v1.5", "ink"),
    ("add-detail-xl_v2.0", "add-detail"),
    ("ADD-DETAIL-XL_V2.0", "add-detail"),
    ("epiCDetail_000010", "add-detail"),
    ("epicdetail-000010", "add-detail"),
    ("styles/pokémon_style", "pokemon"),
    ("styles\\Poke\u0301mon_Style.safetensors", "pokemon"),
    ("SDXL/somewhere/pokemon style", "pokemon"),
    ("styles/eyes", "eyes-styles"),
    ("people\\eyes.safetensors", "eyes-people"),
    ("loras/people/eyes", "eyes-people"),
    ("twin-a", "twin-a"),
    ("Twin B", "twin-b"),
    ("seven", "seven"),
]


@pytest.mark.parametrize(("name", "key"), NAMES)
def test_a_lora_is_found_in_a_tag_and_in_the_option(name: str, key: str) -> None:
    by_tag = composed(prompt=f"a fox <lora:{name}:0.8>")
    by_option = composed(lora=f"{name}:0.8")
    assert [str(use) for use in by_tag.adapters] == [f"{key}:0.8"]
    assert by_option.adapters == by_tag.adapters
    assert by_tag.prompt == "a fox"


def test_a_name_with_a_comma_needs_the_tag() -> None:
    assert composed(lora="<lora:Eyes, drawn:0.8>").adapters[0].key == "eyes-styles"


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("Twin", ("twin-a", "twin-b")),
        ("eyes", ("eyes-styles", "eyes-people")),
        ("elsewhere/eyes", ("eyes-styles", "eyes-people")),
        ("TWIN_OUT", ("twin-a", "twin-b")),
        ("twin out", ("twin-a", "twin-b")),
    ],
)
def test_an_ambiguous_name_is_refused_with_the_keys(name: str, keys: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        composed(prompt=f"a fox <lora:{name}:0.8>")
    assert refused.value.code == "lora.several"
    assert (refused.value.params["value"], refused.value.params["keys"]) == (name, keys)


@pytest.mark.parametrize(
    "fields", [{"enabled": False}, {"nsfw": True}, {"models": ("another",)}], ids=str
)
def test_what_cannot_be_used_here_makes_no_name_ambiguous(fields: dict[str, object]) -> None:
    entries = {**ADAPTERS, "twin-a": adapter("twin-a", "Twin", "a/b", **fields)}
    catalog = Catalog({"base": BASE}, entries, "base", adapter_facts=FACTS)
    assert composed(catalog, nsfw=False, lora="twin").adapters[0].key == "twin-b"


@pytest.mark.parametrize(
    "name",
    [
        "base",
        "Base",
        "juggernautXL_v9 (Final)",
        "JUGGERNAUTXL_V9 (FINAL).safetensors",
        "SDXL\\juggernautXL_v9 (Final).safetensors [31e35c80fc]",
        "juggernautxl v9 final",
    ],
)
def test_a_model_is_found_by_its_file(name: str) -> None:
    assert find_model(CATALOG, name, nsfw=False) is BASE


def test_models_of_the_same_name_are_told() -> None:
    models = {key: ModelEntry(key=key, name="Same", path="a/b") for key in ("one", "two")}
    with pytest.raises(InvalidRequest) as refused:
        find_model(Catalog(models, {}, "one"), "same", nsfw=False)
    assert (refused.value.code, refused.value.params["keys"]) == ("model.several", ("one", "two"))


def test_endless_names_mean_nothing() -> None:
    assert Aliases([Naming("a", "a")]).find("a" * 10_000) == ()
    for empty in ("", " ", "/", "...", ".safetensors", "[12345678]"):
        assert Aliases([Naming("a", "!?", "")]).find(empty) == ()
