"""From AUTOMATIC1111's words to ours: what is understood, refused, or named as left out."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.api.automatic.bodies import NAMES, Img2Img, Txt2Img
from bot.api.automatic.translating import Translated, asked_model, translate
from bot.api.automatic.unused import ETA, NEUTRAL, OF_HIRES, SETTINGS
from bot.errors import InvalidRequest
from bot.request import CONTROL_IMAGES, Draft, UpscaleDraft, compose
from catalog import Catalog, ModelEntry
from catalog.families import FAMILIES
from catalog.families.flux2 import FLUX2
from tests.language import TEXTS

EVERY = [
    ModelEntry(key=f"{key}-{each.name}", name="M", path="a/b", family=family, variant=each.name)
    for key, family in FAMILIES.items()
    for each in family.variants
]
"""A model of every variant of every family."""
say = TEXTS.speaker()
MODEL = ModelEntry(key="base", name="Base", path="org/base", vae_path="vaes/fixed.safetensors")
CATALOG = Catalog({"base": MODEL}, {}, "base")

USED = {
    *("prompt", "negative_prompt", "seed", "sampler_name", "sampler_index", "scheduler"),
    *("batch_size", "n_iter", "steps", "cfg_scale", "width", "height", "denoising_strength"),
    *("override_settings", "clip_skip", "styles", "eta", "send_images", "script_name"),
    *("alwayson_scripts", "enable_hr", "hr_scale", "hr_second_pass_steps", "hr_resize_x"),
    *("hr_resize_y", "init_images", "resize_mode", "mask", "latent_mask", "include_init_images"),
    *("subseed", "subseed_strength", "tiling"),
    *("mask_blur", "mask_blur_x", "mask_blur_y", "mask_round", "inpainting_fill"),
    *("inpaint_full_res", "inpaint_full_res_padding", "inpainting_mask_invert"),
}
WITHOUT_EFFECT = {
    # Alone, without a refiner or a script.
    *("refiner_switch_at", "script_args"),
    # Images are always kept for a while, as the owner has set, and grids are never made.
    *("save_images", "do_not_save_samples", "do_not_save_grid"),
    # It names a task for the web page.
    "force_task_id",
}


def translated(**fields: Any) -> Translated:
    return translate(Txt2Img(**{"prompt": "a star", **fields}), MODEL)


def from_image(**fields: Any) -> Translated:
    return translate(Img2Img(**{"prompt": "a star", "init_images": ["AAAA"], **fields}), MODEL)


def told(found: Translated) -> list[tuple[str, Any]]:
    return [(notice.code, next(iter(notice.params.values()))) for notice in found.warnings]


@pytest.mark.parametrize("body", [Txt2Img, Img2Img])
def test_every_field_is_used_or_named(body: type[Txt2Img | Img2Img]) -> None:
    assert set(body.model_fields) <= USED | WITHOUT_EFFECT | set(NEUTRAL) | set(OF_HIRES)


def test_the_prompt_alone_leaves_everything_to_the_model() -> None:
    assert translated() == Translated(Draft(prompt="a star", model="base", count=1))


def test_all_that_is_understood() -> None:
    found = translated(
        negative_prompt="",
        seed=42,
        sampler_name="DPM++ 2M",
        scheduler="Karras",
        batch_size=2,
        n_iter=2,
        steps=25,
        cfg_scale=5.5,
        width=832,
        height=1216,
        override_settings={"CLIP_stop_at_last_layers": 3, "sd_vae": "fixed.safetensors"},
    )
    assert found == Translated(
        Draft(
            prompt="a star",
            negative="",
            model="base",
            seed=42,
            scheduler="DPM++ 2M Karras",
            count=4,
            steps=25,
            guidance=5.5,
            size="832x1216",
            clip_skip=3,
        )
    )


def test_two_weights_of_a_lora_are_in_the_order_of_the_web_ui() -> None:
    expected = "a star <lora:ink:te=0.4:unet=1>"
    assert translated(prompt="a star <lora:ink:0.4:1>").draft.prompt == expected
    assert from_image(prompt="a star <lora:ink:0.4:1>").draft.prompt == expected


@pytest.mark.parametrize("seed", [None, -1])
def test_without_a_seed_one_is_drawn(seed: int | None) -> None:
    assert translated(seed=seed).draft.seed is None


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, None),
        ({"clip_skip": 1}, 1),
        ({"clip_skip": 2}, 2),
        ({"override_settings": {"CLIP_stop_at_last_layers": 1}, "clip_skip": 4}, 1),
        ({"override_settings": {"CLIP_stop_at_last_layers": 4.0}}, 4),
    ],
)
def test_clip_skip(asked: dict[str, Any], expected: int | None) -> None:
    assert translated(**asked).draft.clip_skip == expected


class TestASecondPass:
    def test_takes_as_many_steps_as_are_asked_for(self) -> None:
        found = translated(enable_hr=True, steps=20, denoising_strength=0.5, hr_scale=1.5)
        draft = found.draft
        assert (draft.hires, draft.hires_strength, draft.hires_steps) == (1.5, 0.5, 20)
        hires = compose(draft, CATALOG, nsfw=False).hires
        assert hires is not None
        assert hires.taken == 20

    def test_has_the_usual_steps_where_none_are_given(self) -> None:
        draft = translated(enable_hr=True).draft
        assert (draft.hires, draft.hires_strength, draft.hires_steps) == (2.0, 0.75, 30)

    @pytest.mark.parametrize(
        ("size", "scale"),
        [((1536, 1536), 1.5), ((1536, 0), 1.5), ((0, 2048), 2.0), ((1280, 1284), 1.25)],
    )
    def test_of_a_size(self, size: tuple[int, int], scale: float) -> None:
        x, y = size
        assert translated(enable_hr=True, hr_resize_x=x, hr_resize_y=y).draft.hires == scale

    def test_of_another_shape_is_refused(self) -> None:
        with pytest.raises(InvalidRequest, match=r"api\.automatic\.shape"):
            translated(enable_hr=True, hr_resize_x=1536, hr_resize_y=2048)

    def test_is_not_made_unless_asked_for(self) -> None:
        found = translated(hr_scale=1.5, hr_second_pass_steps=9, hr_upscaler="Latent")
        assert found == translated()


class TestFromAnImage:
    def test_it_is_stretched_or_cropped(self) -> None:
        assert from_image().stretched is None
        assert from_image(width=512, height=768).stretched == (512, 768)
        assert from_image(width=512).stretched == (512, 1024)
        cropped = from_image(width=512, height=768, resize_mode=1)
        assert (cropped.stretched, cropped.draft.size) == (None, "512x768")

    def test_its_strength(self) -> None:
        assert from_image().draft.strength == 0.75
        assert from_image(denoising_strength=0.3).draft.strength == 0.3

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"latent_mask": "AAAA"}, "latent_mask"),
            ({"init_images": []}, "init_images"),
            ({"init_images": None}, "init_images"),
            ({"init_images": ["AAAA", "BBBB"]}, "init_images"),
            ({"resize_mode": 2}, "resize_mode"),
        ],
    )
    def test_what_is_not_possible_is_refused(self, fields: dict[str, Any], field: str) -> None:
        with pytest.raises(InvalidRequest) as caught:
            from_image(**fields)
        assert caught.value.field == field

    def test_what_would_need_a_mask_is_no_matter(self) -> None:
        assert told(from_image(mask_blur=8, inpainting_fill=2, inpaint_full_res=True)) == []
        assert told(from_image(mask_blur=8, mask="")) == []

    def test_a_mask(self) -> None:
        found = from_image(mask="BBBB", inpaint_full_res=False, width=512, height=768)
        assert (found.mask, found.inverted, found.stretched) == ("BBBB", False, (512, 768))
        assert from_image(mask="BBBB", inpainting_mask_invert=1).inverted
        for asked, rounded in (
            ({}, True),
            ({"mask_round": None}, True),
            ({"mask_round": False}, False),
        ):
            assert from_image(mask="BBBB", **asked).rounded is rounded
        assert (from_image().mask, from_image(mask="").mask) == (None, None)

    @pytest.mark.parametrize(
        ("fields", "ignored"),
        [
            ({}, []),
            ({"mask_blur_x": 4, "mask_blur_y": 4}, []),
            ({"mask_blur": 4, "mask_blur_y": 8}, ["mask_blur_y"]),
            ({"inpainting_fill": 0}, ["inpainting_fill"]),
            ({"inpainting_fill": 0, "denoising_strength": 1}, []),
            ({"inpainting_fill": 1, "denoising_strength": 1}, ["inpainting_fill"]),
            ({"inpainting_fill": 2, "denoising_strength": 1}, ["inpainting_fill"]),
            ({"inpaint_full_res_padding": 32}, []),
            ({"inpaint_full_res": 1, "inpaint_full_res_padding": 32}, []),
        ],
    )
    def test_what_is_done_otherwise_with_a_mask_is_named(
        self, fields: dict[str, Any], ignored: list[str]
    ) -> None:
        as_here = {"mask": "BBBB", "inpainting_fill": 1, "inpaint_full_res": False}
        assert [name for _, name in told(from_image(**{**as_here, **fields}))] == ignored

    def test_so_it_is_where_it_is_what_they_do_unasked(self) -> None:
        names = {name for _, name in told(from_image(mask="BBBB"))}
        assert names == {"inpainting_fill"}

    @pytest.mark.parametrize(
        ("fields", "area", "padding"),
        [
            ({}, "masked", 0),
            ({"inpaint_full_res": 1, "inpaint_full_res_padding": 32}, "masked", 32),
            ({"inpaint_full_res": False, "inpaint_full_res_padding": 32}, None, None),
            ({"inpaint_full_res": 0}, None, None),
            ({"inpaint_full_res": None}, None, None),
            ({"mask": None}, None, None),
        ],
    )
    def test_only_what_is_masked_may_be_painted(
        self, fields: dict[str, Any], area: str | None, padding: int | None
    ) -> None:
        """As there, where that is the default, and the image then keeps its own size."""
        found = from_image(**{"mask": "BBBB", "width": 512, "height": 768, **fields})
        assert (found.draft.inpaint_area, found.draft.inpaint_padding) == (area, padding)
        assert (found.draft.size, found.stretched is None) == ("512x768", area is not None)


USUAL: dict[str, Any] = {
    "negative_prompt": "fog",
    "cfg_scale": 7,
    "sampler_name": "Euler a",
    "override_settings": {"CLIP_stop_at_last_layers": 2},
}
"""What clients send for any model."""


class TestWhatAModelDoesNotTake:
    @pytest.mark.parametrize("model", EVERY, ids=lambda model: model.key)
    def test_is_left_out_and_named_once(self, model: ModelEntry) -> None:
        found = translate(Txt2Img(prompt="a star", **USUAL), model)
        request = compose(found.draft, Catalog({model.key: model}, {}, model.key), nsfw=False)
        taken = {
            "negative_prompt": request.negative == "fog",
            "cfg_scale": request.guidance == 7,
            "Euler a": request.scheduler == "Euler a",
            "override_settings.CLIP_stop_at_last_layers": request.clip_skip == 2,
        }
        assert {name for _, name in told(found)} == {
            name for name, is_so in taken.items() if not is_so
        }
        assert all(model.key in say(notice.code, **notice.params) for notice in found.warnings)
        assert taken["cfg_scale"] is model.takes_guidance
        assert taken["negative_prompt"] is model.takes_negative

    def test_is_not_named_where_nothing_is_asked_for(self) -> None:
        model = next(each for each in EVERY if "negative" in each.lacks)
        fields = {"negative_prompt": " ", "cfg_scale": 0.5, "clip_skip": 1, "sampler_name": "Euler"}
        found = translate(Txt2Img(prompt="a star", **fields), model)
        assert found.warnings == ()
        compose(found.draft, Catalog({model.key: model}, {}, model.key), nsfw=False)

    @pytest.mark.parametrize(
        ("sampler", "used"), [("DPM++ 2M Karras", "DPM++ 2M"), ("DPM++ SDE", "Euler")]
    )
    def test_a_sampler_is_replaced_by_what_comes_nearest(self, sampler: str, used: str) -> None:
        model = next(each for each in EVERY if each.family is FLUX2)
        found = translate(Txt2Img(prompt="a star", sampler_name=sampler), model)
        assert found.draft.scheduler == used
        (notice,) = found.warnings
        assert (notice.code, notice.params["scheduler"]) == ("api.automatic.sampler", used)

    def test_a_sampler_that_nobody_knows_is_refused(self) -> None:
        model = next(each for each in EVERY if each.family is FLUX2)
        with pytest.raises(InvalidRequest, match=r"scheduler\.unlike"):
            translate(Txt2Img(prompt="a star", sampler_name="Restart"), model)

    def test_clip_skip_is_called_as_it_was_sent(self) -> None:
        model = next(each for each in EVERY if "clip_skip" in each.lacks)
        found = translate(Txt2Img(prompt="a star", clip_skip=2), model)
        assert told(found) == [("api.automatic.not_taken", "clip_skip")]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"script_name": "X/Y/Z plot"}, "script_name"),
        ({"batch_size": 0}, "batch_size"),
        ({"n_iter": -1}, "n_iter"),
        ({"width": -8}, "width"),
        (
            {"override_settings": {"CLIP_stop_at_last_layers": "two"}},
            "override_settings.CLIP_stop_at_last_layers",
        ),
        *(
            (
                {"override_settings": {"CLIP_stop_at_last_layers": number}},
                "override_settings.CLIP_stop_at_last_layers",
            )
            for number in (2.5, float("inf"), float("nan"))
        ),
        (
            {"override_settings": {"CLIP_stop_at_last_layers": True}},
            "override_settings.CLIP_stop_at_last_layers",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        translated(**fields)
    assert caught.value.field == field


OTHER: dict[str, Any] = {
    "subseed_strength": 0.5,
    "seed_resize_from_h": 512,
    "seed_resize_from_w": 512,
    "distilled_cfg_scale": 3.5,
    "restore_faces": True,
    "s_min_uncond": 1.5,
    "s_churn": 1.0,
    "s_tmax": 9.0,
    "s_tmin": 1.0,
    "s_noise": 1.1,
    "override_settings_restore_afterwards": False,
    "refiner_checkpoint": "refiner",
    "disable_extra_networks": True,
    "comments": {"a": "b"},
    "infotext": "Steps: 20",
    "image_cfg_scale": 2.0,
    "initial_noise_multiplier": 0.5,
    "firstphase_width": 512,
    "firstphase_height": 512,
    "hr_upscaler": "Latent",
    "hr_checkpoint_name": "other",
    "hr_additional_modules": ["vae"],
    "hr_sampler_name": "Euler",
    "hr_scheduler": "Karras",
    "hr_prompt": "a moon",
    "hr_negative_prompt": "clouds",
    "hr_cfg": 3.0,
    "hr_distilled_cfg": 3.0,
}
"""A value of each field with which it would change the image elsewhere."""


class TestNaming:
    @pytest.mark.parametrize("field", [*NEUTRAL, *OF_HIRES])
    def test_what_has_no_effect(self, field: str) -> None:
        make = translated if field in Txt2Img.model_fields else from_image
        more = {"enable_hr": True} if field in OF_HIRES else {}
        found = make(**{field: OTHER[field]}, **more)
        assert told(found) == [("api.automatic.ignored", field)]

    @pytest.mark.parametrize(
        ("field", "value"), [(field, v) for field, values in NEUTRAL.items() for v in values]
    )
    def test_not_what_changes_nothing(self, field: str, value: Any) -> None:
        make = translated if field in Txt2Img.model_fields else from_image
        assert told(make(**{field: value})) == []

    @pytest.mark.parametrize("sampler", ["Euler", *ETA])
    @pytest.mark.parametrize("eta", [None, 0.0, 0.5, 1.0])
    def test_eta_where_a_sampler_has_another(self, sampler: str, eta: float | None) -> None:
        named = bool(told(translated(sampler_name=sampler, eta=eta)))
        assert named == (sampler in ETA and eta not in (None, ETA[sampler]))

    def test_styles_scripts_and_settings(self) -> None:
        found = translated(
            styles=["None", "Cinematic"],
            alwayson_scripts={
                "Tiled Diffusion": {"args": [True, {}]},
                "ControlNet": {"args": []},
                "roop": {"args": [False]},
            },
            override_settings={"sd_vae": "other.pt", "eta_noise_seed_delta": 31337},
        )
        assert told(found) == [
            ("api.automatic.ignored", "styles"),
            ("api.automatic.script_ignored", "Tiled Diffusion"),
            ("api.automatic.ignored", "override_settings.sd_vae"),
            ("api.automatic.ignored", "override_settings.eta_noise_seed_delta"),
        ]

    @pytest.mark.parametrize("value", SETTINGS["sd_vae"])
    def test_not_the_models_own_vae(self, value: str | None) -> None:
        assert told(translated(override_settings={"sd_vae": value})) == []

    @pytest.mark.parametrize(
        ("modules", "used"),
        [
            (["ae.safetensors", "Qwen_3_4b.gguf"], True),
            (["qwen_3_4b.safetensors"], True),
            ("/models/text_encoder/qwen_3_4b.safetensors", True),
            (["ae.safetensors", "clip_l.safetensors"], False),
            ([1], False),
        ],
    )
    def test_not_the_models_own_modules(self, modules: Any, used: bool) -> None:
        own = {"vae_path": "vaes/ae.safetensors", "text_encoder_path": "qwen_3_4b.safetensors"}
        entry = MODEL.model_copy(update=own)
        body = Txt2Img(prompt="a star", override_settings={"forge_additional_modules": modules})
        ignored = ("api.automatic.ignored", "override_settings.forge_additional_modules")
        assert told(translate(body, entry)) == ([] if used else [ignored])
        assert told(translate(body, MODEL)) == [ignored]

    def test_unknown_fields_without_their_values(self) -> None:
        found = translated(auth="user:secret", url="http://x")
        assert told(found) == [("api.field.unknown", "auth"), ("api.field.unknown", "url")]
        assert "secret" not in repr(found)


@pytest.mark.parametrize("value", [None, ""])
def test_no_checkpoint_is_asked_for(value: str | None) -> None:
    assert asked_model(Txt2Img(override_settings={"sd_model_checkpoint": value})) is None


def test_a_checkpoint_must_be_text() -> None:
    with pytest.raises(InvalidRequest):
        asked_model(Txt2Img(override_settings={"sd_model_checkpoint": 5}))


def test_names_are_of_fields_of_a_draft() -> None:
    asked = {*Draft.__dataclass_fields__, *UpscaleDraft.__dataclass_fields__}
    assert set(NAMES) <= {*asked, *CONTROL_IMAGES}


TAKEN_BY_SOME = ("negative", "guidance", "clip_skip")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=5,
)
BY_TYPE: dict[type, st.SearchStrategy[Any]] = {
    int: st.integers(-5000, 5000),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    str: st.sampled_from(["", "None", "Euler", "Karras", "DPM++ 2M", "a <lora:b:1>", "?"]),
    list: st.lists(st.sampled_from(["None", "AAAA"]), max_size=2),
    dict: st.dictionaries(
        st.sampled_from(["sd_vae", "CLIP_stop_at_last_layers", "ADetailer"]), JSON, max_size=3
    ),
}


def bodies(kind: type[Txt2Img | Img2Img]) -> st.SearchStrategy[Any]:
    fields = {}
    for name, info in kind.model_fields.items():
        text = str(info.annotation)
        found = [s for key, s in BY_TYPE.items() if key.__name__ in text]
        fields[name] = st.none() | (found[0] if found else st.none())
    return st.fixed_dictionaries({}, optional=fields).map(lambda values: _valid(kind, values))


def _valid(kind: type[Txt2Img | Img2Img], values: dict[str, Any]) -> Txt2Img | Img2Img:
    kept = {}
    for name, value in values.items():
        try:
            kind(**{name: value})
        except ValueError:
            continue
        kept[name] = value
    return kind(**kept)


@given(bodies(Txt2Img) | bodies(Img2Img), st.sampled_from([MODEL, *EVERY]))
def test_any_body_is_translated_or_refused(body: Txt2Img | Img2Img, model: ModelEntry) -> None:
    try:
        asked_model(body)
        found = translate(body, model)
    except InvalidRequest:
        return
    draft = found.draft
    assert draft.count == (body.batch_size or 1) * (body.n_iter or 1)
    assert len({str(notice) for notice in found.warnings}) == len(found.warnings)
    for notice in found.warnings:
        name = str(notice.params.get("field", ""))
        if name in NEUTRAL:
            assert getattr(body, name) not in NEUTRAL[name]
    assert not [name for name in TAKEN_BY_SOME if name in model.lacks and getattr(draft, name)]


@pytest.mark.parametrize(
    ("fields", "variation"),
    [
        ({}, None),
        ({"subseed": 12}, None),
        ({"subseed": 12, "subseed_strength": 0}, None),
        ({"subseed": 12, "subseed_strength": 0.25}, "12:0.25"),
        ({"subseed_strength": 1}, "-1:1"),
        ({"subseed": None, "subseed_strength": 0.5}, "-1:0.5"),
    ],
)
@pytest.mark.parametrize("make", [translated, from_image])
def test_a_variation(
    make: Callable[..., Translated], fields: dict[str, Any], variation: str | None
) -> None:
    found = make(seed=7, **fields)
    assert (found.draft.seed, found.draft.variation) == (7, variation)
    assert not found.warnings


def test_a_mistake_in_a_variation_is_named_as_it_was_sent() -> None:
    with pytest.raises(InvalidRequest) as caught:
        compose(translated(subseed_strength=1.5).draft, CATALOG, nsfw=False)
    assert caught.value.code == "variation.strength"
    assert NAMES[caught.value.field] == "subseed, subseed_strength"
