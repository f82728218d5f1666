"""Which variant a model is, told from whole words of its names, or not at all."""

from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog import ModelEntry
from catalog.families import FAMILIES as EVERY
from catalog.families import Family
from catalog.families.anima import ANIMA
from catalog.families.chroma import CHROMA
from catalog.families.flux1 import FLUX1
from catalog.families.flux2 import FLUX2
from catalog.families.krea2 import KREA2
from catalog.families.naming import heard, words_of
from catalog.families.sd15 import SD15
from catalog.families.sdxl import SDXL
from catalog.families.stated import NOTHING, Stated
from catalog.families.zimage import ZIMAGE
from catalog.weight_files.stated import last


def told(family: Family, *names: str, stated: Stated = NOTHING) -> str | None:
    variant = family.told(names, stated=stated)
    return variant.name if variant else None


TOLD: Final = (
    (FLUX2, "base", "flux-2-klein-4b-base FLUX.2-Klein-4B-Base klein4B-base flux2KleinBase4b"),
    (FLUX2, "base", "KleinBase FLUX.2-klein-base-4B flux2.klein.base.Q8_0.gguf KLEIN_BASE my_base"),
    (FLUX2, "distilled", "flux-2-klein-4b-fp8 Klein4bRealism FLUX2KLEIN klein_distilled klein9"),
    (FLUX2, None, "flux2_4b kleinbase klein4bbase KLEINbase klein-undistilled klein_de-distilled"),
    (FLUX2, None, "klein_based klein_base_distilled kleine-katze inklein database-klein"),
    (ZIMAGE, "turbo", "z_image_turbo_bf16 zImageTurbo_v1 Z-Image-TURBO z_image_based_turbo"),
    (ZIMAGE, "turbo", "zimage.turbo.Q4_K_M.gguf turbo2 Turbo"),
    (ZIMAGE, "base", "z-image-base ZImageBase zib_BASE2 mineZIB_v1 real-zib zibFp8"),
    (ZIMAGE, "turbo", "jibMixZIT_v10 unstableRevolution_ZITFp8 moodyRealMix_zitV2DPO zit_turbo"),
    (ZIMAGE, None, "deZIT non-zit zita-style exquizit zit_to_zib"),
    (
        ZIMAGE,
        None,
        "z-image-de-turbo_v1 ZImageDeTurbo zimage_deturbo z_image_non-turbo z_image_bf16",
    ),
    (ZIMAGE, None, "z_image_based_realism database z_base_turbo_mix z_image_turbos"),
    (ANIMA, "base", "anima-base-v1.0 anima-aesthetic-v1.1 animaPreview3"),
    (ANIMA, "turbo", "anima-turbo-v1.0 AnimaTurbo"),
    (ANIMA, "base", "anima waiANIMA_v10 hassakuAnima_v01 novaAnimeAnima_v10 AnimaMix_v2 rin_anima"),
    (CHROMA, "base", "Chroma1-Base chroma1_base_fp8 chroma1Base.Q8_0.gguf"),
    (CHROMA, "flash", "Chroma1-HD-Flash Chroma1-Flash-Q8_0 chroma-v47-flash-heun-8-steps-cfg-1"),
    (CHROMA, "hd", "chroma-de-flash chroma_base_flash"),
    (CHROMA, None, "Chroma1-HD chroma-unlocked-v50-annealed Chroma_DC-2K flashy_chroma"),
    (ANIMA, None, "anima-base-turbo anima-de-turbo animagine mine anima-based"),
    (FLUX1, "schnell", "flux1-schnell-fp8 FLUX.1-schnell fluxSchnell_v1 SCHNELL schnell_dev_mix"),
    (FLUX1, "krea", "flux1-krea-dev_fp8_scaled FLUX.1-Krea-dev fluxKrea_v2"),
    (FLUX1, "kontext", "flux1-dev-kontext_fp8_scaled FLUX.1-Kontext-dev FluxKontextPipeline"),
    (FLUX1, "dev", "flux1-dev FLUX.1-dev"),
    (FLUX1, None, "fluxmania_V kreation kontextual kreation_dev"),
    (FLUX1, "dev", "flux_de-schnell krea-kontext"),
    (
        KREA2,
        "turbo",
        "krea2_turbo_fp8_scaled krea2_turbo_bf16-Q4_0.gguf Krea-2-Turbo Krea2Turbo_v1",
    ),
    (KREA2, "raw", "krea2_raw_bf16 Krea-2-Raw Krea-2-Base-Diffusers krea2Raw_v2 KREA2_RAW"),
    (KREA2, None, "krea2 krea2_de-turbo krea2_raw_turbo_merge krea2-rawish strawberryKrea2"),
    *(
        (family, "distilled", names)
        for family in (SDXL, SD15)
        for names in (
            "sd_xl_turbo_1.0_fp16 dreamshaperXL_v21TurboDPMSDE wildcardxXLTURBO_V10 xl_TURBO",
            "sdxl_lightning_4step dreamshaperXL_lightningDPMSDE juggXILightningByRD SDXLLightning",
            "Hyper-SDXL-1step-Unet realisticVisionV60B1_v51HyperVAE ponyRealism_v21Hyper",
            "Hyper-SD15 halcyon_hyper.safetensors hyper8steps myHyperLightning Hyper-8-Steps",
            "lustifySDXLNSFW_dmd2V7 dmd2_sdxl_4step_unet_fp16 dreamshaper_8LCM lcm-ssd tcd_sdxl",
            "fine_8step mix4steps Mix-4-Steps 4StepsV2 pcm_sdxl_12step",
        )
    ),
    *(
        (family, None, names)
        for family in (SDXL, SD15)
        for names in (
            "realcartoonXL_v7 sd_xl_base_1.0 ponyDiffusionV6XL dreamshaper_8 v1-5-pruned 4x-Sharp",
            "hyperRealism_1.2 HyperRealistic hyper-detailed HYPER_REALISM hyperspire turbovisionxl",
            "enlightning mine-step00004000 mine_2500steps mine_100-steps mine-step4 20steps",
        )
    ),
    *((family, "base", "de-turbo_v1 notLightning lcm-no-lcm undmd") for family in (SDXL, SD15)),
)
"""Family, variant, and names that tell it."""


@pytest.mark.parametrize(
    ("family", "name", "variant"),
    [(family, name, variant) for family, variant, names in TOLD for name in names.split()],
)
def test_a_name_tells_it_by_whole_words(family: Family, name: str, variant: str | None) -> None:
    assert told(family, name) == variant


WORDS: Final = {
    (FLUX2.key, "base"): (("flux", "2", "klein", "base", "4", "b"), ("klein", "4", "b", "base")),
    (FLUX2.key, "distilled"): (("flux", "2", "klein", "4", "b"), ("klein", "4", "b", "fp", "8")),
    (ZIMAGE.key, "turbo"): (("z", "image", "turbo"), ("my", "turbo", "mix", "2")),
    (ZIMAGE.key, "base"): (("z", "image", "base", "fp", "8"), ("base", "z", "image")),
}
NAMES: Final = [(key, words) for key, every in WORDS.items() for words in every]
FAMILIES: Final = {family.key: family for family in (FLUX2, ZIMAGE)}
_CASES: Final = (str.lower, str.upper, str.title)


@given(
    of=st.sampled_from(NAMES),
    between=st.sampled_from(["-", "_", ".", " ", "--", " (", "/"]),
    cases=st.lists(st.sampled_from(_CASES), min_size=8, max_size=8),
    end=st.sampled_from(["", ".safetensors", "-Q8_0.gguf", "_v1"]),
)
def test_whatever_stands_between_words_and_however_they_are_written(
    of: tuple[tuple[str, str], tuple[str, ...]],
    between: str,
    cases: list[Callable[[str], str]],
    end: str,
) -> None:
    (key, variant), words = of
    written = [case(word) for case, word in zip(cases, words, strict=False)]
    assert told(FAMILIES[key], between.join(written) + end) == variant


@given(of=st.sampled_from(NAMES))
def test_words_run_together_with_capitals_are_the_same(
    of: tuple[tuple[str, str], tuple[str, ...]],
) -> None:
    (key, variant), words = of
    assert told(FAMILIES[key], "".join(map(str.title, words))) == variant
    assert told(FAMILIES[key], words[0] + "".join(map(str.title, words[1:]))) == variant


@given(
    letters=st.text("abcdefgxyz", min_size=1, max_size=4),
    word=st.sampled_from(["base", "turbo"]),
    before=st.booleans(),
)
def test_a_word_within_another_tells_nothing(letters: str, word: str, before: bool) -> None:
    longer = letters + word if before else word + letters
    assert told(ZIMAGE, f"z-image-{longer}") is None
    assert told(FLUX2, f"klein-{longer}") in ({None} if word == "base" else {"distilled"})


@given(name=st.text(max_size=40))
def test_any_text_has_words_in_lower_case(name: str) -> None:
    for word in words_of(name):
        assert word == word.casefold()
        assert word.removesuffix("step").isdecimal() or word.isalpha()


def test_folders_and_organisations_tell_nothing() -> None:
    assert [last(path) for path in ("a/b.gguf", r"C:\turbo\b.gguf", "turbo/b/", "")] == [
        *("b.gguf", "b.gguf", "b", "")
    ]
    for path in ("/srv/base/x.safetensors", "turbo-labs/z-image", "database/zimg.safetensors"):
        entry = ModelEntry(key="a", name="A", path=path, family=ZIMAGE)
        assert entry.told_variant is None, path


def test_the_most_particular_name_that_tells_counts() -> None:
    assert told(ZIMAGE, "z_image_turbo.safetensors", "Z-Image-Base", "My base") == "turbo"
    assert told(ZIMAGE, "x.safetensors", "Z-Image-Base", "My turbo") == "base"
    assert told(ZIMAGE, "x.safetensors", "mine", "My turbo") == "turbo"
    # What one name denies, no other tells.
    assert told(ZIMAGE, "z_image_turbo.safetensors", "De-Turbo") is None


@pytest.mark.parametrize(
    ("family", "path", "variant"),
    [
        (ZIMAGE, "Tongyi-MAI/Z-Image", "base"),
        (ZIMAGE, "tongyi-mai/z-image-turbo", "turbo"),
        (ZIMAGE, "somebody/Z-Image", None),
        (FLUX2, "black-forest-labs/FLUX.2-klein-4B", "distilled"),
        (FLUX2, "black-forest-labs/FLUX.2-klein-base-4B", "base"),
        (ANIMA, "circlestone-labs/Anima-Base-v1.0-Diffusers", "base"),
        (FLUX1, "black-forest-labs/FLUX.1-schnell", "schnell"),
        (FLUX1, "black-forest-labs/FLUX.1-dev", "dev"),
        (FLUX1, "black-forest-labs/FLUX.1-Krea-dev", "krea"),
        (FLUX1, "black-forest-labs/FLUX.1-Kontext-dev", "kontext"),
        (KREA2, "krea/Krea-2-Raw", "raw"),
        (KREA2, "krea/Krea-2-Turbo", "turbo"),
    ],
)
def test_the_authors_repositories_tell(family: Family, path: str, variant: str | None) -> None:
    entry = ModelEntry(key="a", name="A", path=path, family=family)
    assert (entry.told_variant and entry.told_variant.name) == variant


@pytest.mark.parametrize(
    ("stated", "name", "variant"),
    [
        (Stated(("Z-Image Base",)), "z_image_turbo", "base"),
        (Stated(distilled=True), "z_image_base", "turbo"),
        (Stated(shift=6.0), "mine", "base"),
        (Stated(shift=4.0), "mine", None),
        (Stated(("Z-Image", "Mine")), "z_image_turbo", "turbo"),
        (Stated(("Z-Image Base", "Z-Image-Turbo")), "z_image_turbo", None),
        (Stated(shift=6.0, distilled=True), "z_image_turbo", None),
        (Stated(("z_image_turbo_bf16.safetensors",)), "z-image-de-turbo", None),
        (Stated(shift=3.0), "z-image-de-turbo", None),
    ],
)
def test_what_the_files_state_counts_for_more(
    stated: Stated, name: str, variant: str | None
) -> None:
    assert told(ZIMAGE, name, stated=stated) == variant


def test_what_the_files_hint_at_is_less_than_a_word_of_a_name() -> None:
    hint = Stated(("FLUX.2 Klein finetune",))
    assert told(FLUX2, "mine", stated=hint) == "distilled"
    assert told(FLUX2, "mine_base", stated=hint) == "base"
    assert told(FLUX2, "klein", stated=Stated(("De-Distilled",))) is None
    assert told(FLUX2, "klein", stated=Stated(("Klein-based realism",))) is None


@pytest.mark.parametrize(
    ("family", "variant", "config"),
    [
        (ZIMAGE, "base", "Tongyi-MAI/Z-Image"),
        (ZIMAGE, "turbo", "Tongyi-MAI/Z-Image-Turbo"),
        (FLUX2, "distilled", "black-forest-labs/FLUX.2-klein-4B"),
        (FLUX2, "base", "black-forest-labs/FLUX.2-klein-base-4B"),
        (ANIMA, "base", ANIMA.config),
        (ANIMA, "turbo", ANIMA.config),
        (KREA2, "raw", "krea/Krea-2-Raw"),
        (KREA2, "turbo", "krea/Krea-2-Turbo"),
    ],
)
def test_a_file_is_completed_as_its_variant_is_and_all_lend_from_one(
    family: Family, variant: str, config: str
) -> None:
    entry = ModelEntry(key="a", name="A", path="x.safetensors", family=family, variant=variant)
    assert (entry.completed_by, entry.lent_by) == (config, family.config)
    named = entry.model_copy(update={"config": config})
    assert (named.completed_by, named.lent_by) == (config, family.config)
    own = entry.model_copy(update={"config": "my/own"})
    assert (own.completed_by, own.lent_by) == ("my/own", "my/own")


@pytest.mark.parametrize("family", EVERY.values(), ids=EVERY)
def test_no_word_tells_two_variants(family: Family) -> None:
    words = [word for each in family.variants for word in (*each.words, *each.usually)]
    assert len(words) == len({*words})


def test_what_is_denied_is_heard_whichever_word_is_looked_for_first() -> None:
    for words in (["distill", "distilled"], ["distilled", "distill"]):
        assert heard("undistilled", words).denied == {"distilled"}
        assert heard("my-dedistill", words).denied == {"distill"}
