"""What a user named is found only where it is offered."""

import pytest

from bot.api.errors import NOT_AVAILABLE
from bot.errors import Refused
from bot.request import Template, find_model, is_gated
from catalog import Catalog, ModelEntry, Unfit, WildcardFile, Wildcards
from catalog.families import Family
from catalog.families.zimage import ZIMAGE
from catalog.unfit import undecided
from catalog.weight_files import Refusal
from catalog.weight_files.refusal import unreadable_weights
from tests.language import TEXTS
from tests.store.factories import request


def test_a_model_whose_file_is_something_else_is_refused_by_name() -> None:
    entry = ModelEntry(key="flux", name="Flux", path="checkpoints/flux.safetensors")
    unfit = {"flux": Unfit("flux.safetensors", Refusal("SD 3 transformer"))}
    catalog = Catalog({"flux": entry}, {}, "", unfit_models=unfit)
    with pytest.raises(Refused) as refusal:
        find_model(catalog, "Flux", nsfw=False)
    assert refusal.value.code == "model.unfit"
    assert refusal.value.params == {
        "name": "flux",
        "what": "SD 3 transformer",
        "families": (
            "Stable Diffusion XL",
            "Stable Diffusion 1.5",
            "FLUX.2 klein",
            "Z-Image",
            "Anima",
            "FLUX.1",
            "Chroma",
            "Krea 2",
        ),
    }
    said = TEXTS.speaker("en-US")("model.unfit", **refusal.value.params)
    assert said.startswith("flux can't be used. I need a model of Stable Diffusion XL, ")


@pytest.mark.parametrize(
    ("language", "start", "end"),
    [
        ("en-US", "The text encoder of z should be Qwen3-4B, but ", " or leave it out."),
        ("de", "Der Text-Encoder von z müsste Qwen3-4B sein, ", " oder weglassen."),
        (
            "fr",
            "L’encodeur de texte de z devrait être Qwen3-4B, ",
            ", ou retirer text_encoder_path.",
        ),
    ],
)
def test_a_model_whose_entry_names_another_text_encoder_is_refused_for_that(
    language: str, start: str, end: str
) -> None:
    entry = ModelEntry(key="z", name="Z", path="checkpoints/z.safetensors", family=ZIMAGE)
    other = Refusal("text encoder (Qwen3-0.6B)")
    unfit = {"z": Unfit("e.safetensors", other, encoder_for=ZIMAGE)}
    with pytest.raises(Refused) as refusal:
        find_model(Catalog({"z": entry}, {}, "", unfit_models=unfit), "z", nsfw=False)
    error = refusal.value
    assert error.code in NOT_AVAILABLE
    said = TEXTS.speaker(language)(error.code, **error.params)
    assert (said.startswith(start), said.endswith(end)) == (True, True)
    assert "text encoder (Qwen3-0.6B)" in said


@pytest.mark.parametrize(
    ("language", "start", "end"),
    [
        ("en-US", "The VAE of z should be one for Z-Image, but ", " or leave it out."),
        ("de", "Der VAE von z müsste einer für Z-Image sein, ", " oder weglassen."),
        ("fr", "Le VAE de z devrait être un VAE pour Z-Image, ", ", ou retirer vae_path."),
    ],
)
def test_a_model_whose_entry_names_another_vae_is_refused_for_that(
    language: str, start: str, end: str
) -> None:
    entry = ModelEntry(key="z", name="Z", path="checkpoints/z.safetensors", family=ZIMAGE)
    unfit = {"z": Unfit("v.safetensors", Refusal("VAE of FLUX.2"), vae_for=ZIMAGE)}
    with pytest.raises(Refused) as refusal:
        find_model(Catalog({"z": entry}, {}, "", unfit_models=unfit), "z", nsfw=False)
    error = refusal.value
    assert error.code in NOT_AVAILABLE
    said = TEXTS.speaker(language)(error.code, **error.params)
    assert (said.startswith(start), said.endswith(end)) == (True, True)
    assert "VAE of FLUX.2" in said


@pytest.mark.parametrize(
    ("language", "network", "said"),
    [
        (
            "en-US",
            "text_encoder",
            "I can't read the weights of the text encoder of z: they are quantised with NVFP4. The"
            " bot's owner can set text_encoder_path to a version in fp16, bf16, fp8, or GGUF (Q4 to"
            " Q8), or leave it out.",
        ),
        (
            "en-US",
            "vae",
            "I can't read the weights of the VAE of z: they are quantised with NVFP4. The bot's"
            " owner can set vae_path to a version in fp16, bf16, fp8, or GGUF (Q4 to Q8), or leave"
            " it out.",
        ),
        (
            "de",
            "text_encoder",
            "Die Gewichte des Text-Encoders von z kann ich nicht lesen: they are quantised with"
            " NVFP4. Der Betreiber kann text_encoder_path auf eine Fassung in fp16, bf16, fp8 oder"
            " GGUF (Q4 bis Q8) setzen oder weglassen.",
        ),
        (
            "fr",
            "vae",
            "Je ne sais pas lire les poids du VAE de z\N{NO-BREAK SPACE}: they are quantised with"
            " NVFP4. Le propriétaire peut indiquer une version en fp16, bf16, fp8 ou GGUF (Q4 à Q8)"
            " dans vae_path, ou retirer vae_path.",
        ),
    ],
)
def test_a_model_whose_entry_names_a_network_that_is_not_read_is_refused_for_that(
    language: str, network: str, said: str
) -> None:
    entry = ModelEntry(key="z", name="Z", path="checkpoints/z.safetensors", family=ZIMAGE)
    unread = unreadable_weights("text encoder (Qwen3-4B)", "they are quantised with NVFP4")
    unfit = {
        "text_encoder": Unfit("e.safetensors", unread, encoder_for=ZIMAGE),
        "vae": Unfit("v.safetensors", unread, vae_for=ZIMAGE),
    }
    catalog = Catalog({"z": entry}, {}, "", unfit_models={"z": unfit[network]})
    with pytest.raises(Refused) as refusal:
        find_model(catalog, "z", nsfw=False)
    error = refusal.value
    assert error.code in NOT_AVAILABLE
    assert TEXTS.speaker(language)(error.code, **error.params) == said


@pytest.mark.parametrize(
    ("language", "family", "said"),
    [
        (
            "en-US",
            ZIMAGE,
            "z is a model of Z-Image, but quantised in a way I can't read: they are quantised with"
            " NVFP4. The bot's owner can use a version in fp16, bf16, fp8, or GGUF (Q4 to Q8).",
        ),
        (
            "de",
            ZIMAGE,
            "z ist ein Modell der Familie Z-Image, aber so quantisiert, dass ich es nicht lesen"
            " kann: they are quantised with NVFP4. Der Betreiber kann eine Fassung in fp16, bf16,"
            " fp8 oder GGUF (Q4 bis Q8) nehmen.",
        ),
        (
            "fr",
            ZIMAGE,
            "z est un modèle de la famille Z-Image, mais quantifié d’une façon que je ne sais pas"
            " lire\N{NO-BREAK SPACE}: they are quantised with NVFP4. Le propriétaire peut prendre"
            " une version en fp16, bf16, fp8 ou GGUF (Q4 à Q8).",
        ),
        (
            "en-US",
            None,
            "I can't read the weights of z: they are quantised with NVFP4. The bot's owner can use"
            " a version in fp16, bf16, fp8, or GGUF (Q4 to Q8).",
        ),
    ],
)
def test_a_model_that_is_quantised_in_a_way_that_is_not_read_is_not_called_something_else(
    language: str, family: Family | None, said: str
) -> None:
    """family: None where packing hides of which it is."""
    entry = ModelEntry(key="z", name="Z", path="checkpoints/z.safetensors", family=ZIMAGE)
    unread = unreadable_weights("Z-Image transformer", "they are quantised with NVFP4")
    unfit = {"z": Unfit("z.safetensors", unread, quantised=family)}
    with pytest.raises(Refused) as refusal:
        find_model(Catalog({"z": entry}, {}, "", unfit_models=unfit), "z", nsfw=False)
    error = refusal.value
    assert error.code in NOT_AVAILABLE
    assert TEXTS.speaker(language)(error.code, **error.params) == said


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


@pytest.mark.parametrize(
    ("language", "said"),
    [
        (
            "en-US",
            "z.i is a model of the Z-Image family, but neither its files nor its name says"
            " whether it's turbo or base."
            ' The bot\'s owner needs to write variant = "turbo" or variant = "base"'
            ' in its entry [models."z.i"] in models.toml.',
        ),
        (
            "de",
            "z.i ist ein Modell der Familie Z-Image, aber weder Dateien noch Name sagen, ob"
            ' es turbo oder base ist. Der Betreiber muss in models.toml in den Eintrag'
            ' [models."z.i"] schreiben: variant = "turbo" oder variant = "base".',
        ),
        (
            "fr",
            "z.i est un modèle de la famille Z-Image, mais ni ses fichiers ni son nom ne disent"
            ' si c’est turbo ou base. Le propriétaire doit écrire variant = "turbo" ou'
            ' variant = "base" dans son entrée [models."z.i"] de models.toml.',
        ),
    ],
)  # fmt: skip
def test_of_a_model_whose_variant_nothing_tells_it_is_said_what_its_owner_has_to_write(
    language: str, said: str
) -> None:
    key = "z.i"
    entry = ModelEntry(key=key, name="A", path="checkpoints/x.safetensors", family=ZIMAGE)
    unfit = {key: undecided("x.safetensors", ZIMAGE, ZIMAGE.variants, entry.heading)}
    with pytest.raises(Refused) as refusal:
        find_model(Catalog({key: entry}, {}, "", unfit_models=unfit), key, nsfw=False)
    error = refusal.value
    assert error.code in NOT_AVAILABLE
    assert TEXTS.speaker(language)(error.code, **error.params) == said
