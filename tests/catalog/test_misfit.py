"""Which adapters fit no model here, and why."""

from dataclasses import replace

import pytest

from catalog import AdapterEntry, AdapterFacts, Catalog, Misfit, ModelEntry
from catalog.alternatives import alternatives
from catalog.families import FAMILIES, Family
from catalog.families.anima import ANIMA
from catalog.families.sd15 import SD15
from catalog.families.sdxl import SDXL
from catalog.families.zimage import ZIMAGE
from catalog.misfit import embedding_misfit, misfit
from catalog.unfit import undecided
from catalog.weight_files import SUPPORTED, UNKNOWN, UNSUPPORTED, EmbeddingFacts, adapter_facts


@pytest.mark.parametrize("base", ["", *SDXL.adapter_bases])
@pytest.mark.parametrize("algorithm", [UNKNOWN, *SUPPORTED, "full + norm"])
def test_what_may_fit(base: str, algorithm: str) -> None:
    facts = AdapterFacts(algorithm=algorithm, base=base, certain=True)
    assert misfit(facts, FAMILIES.values(), vouched=False) is None


@pytest.mark.parametrize("algorithm", UNSUPPORTED)
def test_an_algorithm_that_cannot_be_applied(algorithm: str) -> None:
    found = misfit(AdapterFacts(algorithm=algorithm, base="SDXL"), [SDXL], vouched=True)
    assert found is not None
    assert (found.kind, found.found) == ("algorithm", algorithm)
    assert algorithm in str(found)
    assert "LoKr" in found.allowed


def test_what_is_no_adapter_at_all_fits_nothing() -> None:
    facts = adapter_facts({"decoder.conv_in.weight": (512, 4, 3, 3)}, {})
    found = misfit(facts, [SDXL], vouched=True)
    assert str(found) == "of type VAE of SDXL or SD 1.5, which is not supported"
    unet = {"input_blocks.0.0.weight": (320, 4, 3, 3), "label_emb.0.0.weight": (1280, 2816)}
    whole = {f"model.diffusion_model.{name}": shape for name, shape in unet.items()}
    facts = adapter_facts({**whole, "first_stage_model.x": (1,)}, {})
    assert "SDXL checkpoint" in str(misfit(facts, [SDXL], vouched=True))


def test_the_owner_outweighs_metadata_but_not_shapes() -> None:
    guessed, certain = AdapterFacts(base="SD 2"), AdapterFacts(base="SD 2", certain=True)
    assert misfit(guessed, [SDXL], vouched=True) is None
    for facts, vouched in ((guessed, False), (certain, False), (certain, True)):
        found = misfit(facts, [SDXL], vouched=vouched)
        assert found == Misfit("base", "SD 2", ("SDXL", "Pony", "Illustrious", "NoobAI"))


def test_another_family_takes_its_own_adapters(other_family: Family) -> None:
    facts = AdapterFacts(base="SD 1.5", certain=True)
    assert misfit(facts, [other_family], vouched=False) is None
    assert misfit(facts, [SDXL, other_family], vouched=False) is None
    assert misfit(AdapterFacts(base="SDXL"), [other_family], vouched=False) is not None


def test_an_adapter_fits_the_models_of_its_family_alone(
    other_family: Family,
) -> None:
    entries = {key: AdapterEntry(key=key, name=key, path="a/b") for key in ("ink", "oil", "flux")}
    catalog = Catalog(
        models={
            key: ModelEntry(key=key, name=key, path="a/b", family=family)
            for key, family in (("new", SDXL), ("old", other_family))
        },
        adapters=entries,
        default="new",
        adapter_facts={
            "ink": AdapterFacts(base="SDXL", certain=True),
            "oil": AdapterFacts(base="SD 1.5", certain=True),
            "flux": AdapterFacts(base="FLUX.1", certain=True),
        },
    )
    fitting = {
        model: [entry.key for entry in catalog.offered_adapters(nsfw=True, model=model)]
        for model in ("new", "old")
    }
    assert fitting == {"new": ["ink"], "old": ["oil"]}
    assert catalog.misfit("oil") is catalog.misfit("ink") is None
    assert catalog.misfit("flux") == Misfit(
        "base", "FLUX.1", ("SDXL", "Pony", "Illustrious", "NoobAI", "SD 1.5")
    )


@pytest.mark.parametrize(
    ("names", "said"),
    [("a", "a"), ("ab", "a or b"), ("abc", "a, b or c"), ("abca", "a, b or c"), ("aa", "a")],
)
def test_alternatives_are_a_phrase(names: str, said: str) -> None:
    assert alternatives(names) == said


def test_what_an_embedding_should_have_is_said_once_of_many_families() -> None:
    facts = EmbeddingFacts(parts={"text_encoder": "a", "text_encoder_2": "b"})
    found = embedding_misfit(facts, [SD15, ZIMAGE, ANIMA])
    assert str(found) == (
        "it is an embedding for two text encoders, where Stable Diffusion 1.5, Z-Image or Anima has"
        " one text encoder or no text encoder"
    )


def test_three_variants_are_a_phrase() -> None:
    third = replace(ANIMA.variants[0], name="third")
    family = replace(ANIMA, variants=(*ANIMA.variants, third))
    said = str(undecided("x.safetensors", family, family.variants, "[models.x]"))
    assert "says whether it is turbo, base or third; write" in said
    assert 'write variant = "turbo", variant = "base" or variant = "third" in its' in said
