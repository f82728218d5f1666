"""Reading models.toml and loras.toml: valid entries work, invalid ones are reported."""

import contextlib
import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import catalog
from catalog import Catalog, CatalogError, Problem, ReferenceEntry, dropin_models, read_catalog
from tests.catalog.home import ONE_MODEL, Home

SHIPPED = Path(catalog.__file__).parent


@pytest.fixture
def shipped(tmp_path: Path) -> Catalog:
    return read_catalog(SHIPPED, tmp_path)


class TestShipped:
    def test_it_has_no_problems(self, shipped: Catalog) -> None:
        assert shipped.problems == ()

    def test_sdxl_base_is_the_default_and_pony_waits_disabled(self, shipped: Catalog) -> None:
        assert shipped.default == "sdxl-base"
        base, pony = shipped.models["sdxl-base"], shipped.models["pony-xl-v6"]
        assert base.vae_path == pony.vae_path == "madebyollin/sdxl-vae-fp16-fix"
        assert base.default_negative == "low quality, bad anatomy"
        assert pony.path == "AstraliteHeart/pony-diffusion-v6-xl"
        assert not pony.enabled
        assert [m.key for m in shipped.offered_models(nsfw=True)] == [
            "sdxl-base",
            "dreamshaper-xl-turbo",
        ]

    def test_the_demos_are_offered_only_where_they_are_asked_for(self, tmp_path: Path) -> None:
        models, adapters = ["demo", "demo-ink"], ["sketch", "neon", "pixel", "clay"]
        hidden = read_catalog(SHIPPED, tmp_path)
        offered = read_catalog(SHIPPED, tmp_path, demos="offered")
        default = read_catalog(SHIPPED, tmp_path, demos="default")
        assert offered.problems == default.problems == ()
        assert (offered.default, default.default) == (hidden.default, "demo")
        for read, shown in ((hidden, False), (offered, True), (default, True)):
            keys = [m.key for m in read.offered_models(nsfw=False)]
            assert [key for key in models if key in keys] == (models if shown else [])
            keys = [a.key for a in read.offered_adapters(nsfw=False, model="demo")]
            assert [key for key in adapters if key in keys] == (adapters if shown else [])

    def test_where_a_demo_is_the_default_what_works_without_a_download_comes_first(
        self, tmp_path: Path
    ) -> None:
        read = read_catalog(SHIPPED, tmp_path, demos="default")
        adapters = ["sketch", "neon", "pixel", "clay"]
        assert [m.key for m in read.search_models("", nsfw=False)][:2] == ["demo", "demo-ink"]
        assert [a.key for a in read.search_adapters("", nsfw=False)][:4] == adapters
        # No demo adapters are offered, because what is made for SDXL does not fit them.
        assert [a.key for a in read.search_adapters("", nsfw=False, model="demo")] == adapters
        assert read.misfit("anime-style", "demo") is not None
        assert read.misfit("anime-style", "sdxl-base") is None
        assert read.kept_to("anime-style") == ("sdxl-base", "dreamshaper-xl-turbo")

    def test_where_no_demo_is_offered_an_adapter_that_names_no_model_is_for_all(
        self, shipped: Catalog
    ) -> None:
        assert shipped.kept_to("anime-style") == ()

    def test_where_there_is_no_demo_another_model_is_the_default(self, home: Home) -> None:
        read = read_catalog(home.catalog_dir, home.models_dir, demos="default")
        assert (read.default, read.problems) == ("base", ())

    def test_a_distilled_model_takes_few_steps(self, shipped: Catalog) -> None:
        assert shipped.models["dreamshaper-xl-turbo"].steps.default <= 8

    def test_every_entry_says_what_it_is_for_and_under_which_licence(
        self, shipped: Catalog
    ) -> None:
        entries = [*shipped.models.values(), *shipped.adapters.values()]
        for entry in entries:
            assert entry.description, entry.key
            assert entry.licence, entry.key
            if not entry.demo:
                assert entry.url == f"https://huggingface.co/{entry.path}"

    def test_fast_is_there_with_what_it_needs(self, shipped: Catalog) -> None:
        base, turbo = shipped.models["sdxl-base"], shipped.models["dreamshaper-xl-turbo"]
        assert base.fast
        assert base.fast.adapter
        lora = shipped.adapters[base.fast.adapter]
        assert lora.models == ("sdxl-base",)
        assert base.fast.scheduler == "LCM"
        assert turbo.fast
        assert (turbo.fast.adapter, turbo.fast.steps) == (None, turbo.steps.default)

    def test_a_picture_can_guide(self, shipped: Catalog) -> None:
        assert shipped.references.keys() == {"sdxl", "sd15"}
        assert shipped.references["sdxl"].path == "h94/IP-Adapter"
        assert (
            shipped.references["sdxl"].weight_name
            == "sdxl_models/ip-adapter_sdxl_vit-h.safetensors"
        )
        assert shipped.references["sdxl"].encoder == "models/image_encoder"

    def test_an_image_can_be_followed(self, shipped: Catalog) -> None:
        controlnets = shipped.controlnets
        for key, entry in controlnets.entries.items():
            assert entry.description, key
            assert entry.licence, key
            assert entry.demo or entry.url == f"https://huggingface.co/{entry.path}"
            assert (controlnets.family_of(key) == "sd15") == key.endswith("-sd15")
            # The names of an entry tell the same as what is written, for whoever copies one.
            plain = entry.model_copy(update={"type": None})
            assert entry.type in (plain.told_type, "canny"), key
        assert "tile" in controlnets.types_of("union")
        assert controlnets.depth
        for key, family in (("sdxl-base", "sdxl"), ("sd15", "sd15")):
            offered = controlnets.offered(nsfw=False, model=shipped.models[key])
            assert controlnets.type_of(offered[0].key) == "canny"
            assert {controlnets.family_of(each.key) for each in offered} == {family}
        assert not controlnets.offered(nsfw=False, model=shipped.models["demo"])

    def test_every_lora_names_its_file(self, shipped: Catalog) -> None:
        assert len(shipped.adapters) >= 6
        assert all(a.weight_name for a in shipped.adapters.values() if not a.demo)
        anime = shipped.adapters["anime-style"]
        assert (anime.default_weight, anime.trigger_words) == (0.75, ("anime style", "detailed"))


def test_a_bad_entry_is_reported_and_left_out_while_the_rest_works(home: Home) -> None:
    home.write(
        ONE_MODEL + '[models.bad]\nname = "Bad"\npath = "a.ckpt"\n',
        '[loras.good]\nname = "G"\npath = "o/g"\n[loras.bad]\nname = "B"\n',
    )
    read = home.read()
    assert list(read.models) == ["base"]
    assert list(read.adapters) == ["good"]
    assert [(Path(p.file).name, p.key) for p in read.problems] == [
        ("models.toml", "bad"),
        ("loras.toml", "bad"),
    ]
    assert "only .safetensors" in read.problems[0].reason
    assert read.problems[1].reason == "path is missing"


def test_a_problem_is_one_line_with_file_key_and_reason(home: Home) -> None:
    assert str(Problem("f.toml", "k", "why")) == "f.toml: k: why"
    home.write(ONE_MODEL + '[models."a\\n2026 ERROR forged"]\nname = "x"\npath = "a/b"\n')
    (problem,) = home.problems()
    assert "\n" not in problem
    assert "the key must be" in problem


def test_an_unknown_field_is_answered_with_the_nearest_one(home: Home) -> None:
    home.write(ONE_MODEL + 'descripton = "x"\n')
    assert "descripton is not a known field (did you mean description?)" in home.problems()[0]


def test_the_key_stands_in_the_heading_only(home: Home) -> None:
    home.write(ONE_MODEL + 'key = "x"\n')
    assert "the key is in the table's heading" in home.problems()[0]


def test_a_key_with_a_dot_needs_quotes(home: Home) -> None:
    home.write(ONE_MODEL + '[models.v1.5]\nname = "x"\npath = "a/b"\n')
    assert 'a key with a dot needs quotes: [models."v1.5"]' in home.problems()[0]
    home.write(ONE_MODEL + '[models."v1.5"]\nname = "x"\npath = "a/b"\n')
    assert "v1.5" in home.read().models


def test_an_entry_that_is_no_table_is_reported(home: Home) -> None:
    home.write(ONE_MODEL, 'loras = {a = "x"}\n')
    assert "a: must be a table [loras.a], got 'x'" in home.problems()[0]
    home.write(ONE_MODEL, "loras = 3\n")
    assert "must be tables such as [loras.my-key], got 3" in home.problems()[0]


def test_what_does_not_belong_at_the_top_is_reported(home: Home) -> None:
    home.write(ONE_MODEL, "default = 1\n[lora.x]\n")
    said = home.problems()
    assert len(said) == 2
    assert "lora: unknown key" in said[1]
    assert "(did you mean loras?)" in said[1]


def test_the_same_key_twice_is_not_toml(home: Home) -> None:
    home.write(ONE_MODEL + "[models.base]\n")
    with pytest.raises(CatalogError, match=r"models\.toml is not TOML"):
        home.read()


def test_keys_that_differ_in_case_only_cannot_stand_side_by_side(home: Home) -> None:
    home.write(ONE_MODEL + '[models.BASE]\nname = "x"\npath = "a/b"\n')
    assert list(home.read().models) == ["base"]
    assert "BASE: the key must be" in home.problems()[0]


@pytest.mark.parametrize(
    ("default", "said"),
    [
        ("", "default is missing; using 'base'"),
        ("default = 3\n", "default must be the key of a model in quotes, got 3; using 'base'"),
        ('default = "off"\n', "default names 'off', which is disabled; using 'base'"),
        ('default = "nope"\n', "must be the key of an enabled and valid model, got 'nope'"),
        ('default = "bad"\n', "must be the key of an enabled and valid model, got 'bad'"),
    ],
)
def test_a_wrong_default_falls_back_to_the_first_enabled_model(
    home: Home, default: str, said: str
) -> None:
    home.write(
        default
        + '[models.off]\nname = "x"\npath = "a/b"\nenabled = false\n'
        + '[models.bad]\nname = ""\npath = "a/b"\n'
        + '[models.base]\nname = "x"\npath = "a/b"\n'
    )
    assert home.read().default == "base"
    assert any(said in problem for problem in home.problems())


def test_without_any_enabled_model_there_is_no_default(home: Home) -> None:
    home.write("")
    read = home.read()
    assert read.default == ""
    assert "no enabled and valid model" in str(read.problems[0])
    assert read.offered_models(nsfw=True) == ()


def test_a_drop_in_can_be_the_default(home: Home) -> None:
    home.weights("checkpoints/mine.safetensors")
    home.write('default = "mine"\n')
    read = home.read()
    assert (read.default, read.problems) == ("mine", ())


def test_a_lora_for_a_model_that_nobody_knows_is_reported_and_kept(home: Home) -> None:
    home.write(ONE_MODEL, '[loras.a]\nname = "x"\npath = "a/b"\nmodels = ["base", "bsae"]\n')
    read = home.read()
    assert "a" in read.adapters
    assert "models names 'bsae'" in str(read.problems[0])
    assert len(read.problems) == 1


@pytest.mark.parametrize("name", ["models.toml", "loras.toml"])
def test_an_absent_file_is_an_error_that_names_it(home: Home, name: str) -> None:
    (home.catalog_dir / name).unlink()
    with pytest.raises(CatalogError, match=rf"{name} cannot be read: No such file"):
        home.read()


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"default = ", "is not TOML"),
        (b"\xff\xfe", "is not UTF-8 text: byte 0"),
        (b"a = " + b"[" * 100_000, "is not TOML"),
        (b"a = 2024-13-45", "is not TOML"),
    ],
)
def test_a_file_that_is_not_toml_is_an_error(home: Home, raw: bytes, said: str) -> None:
    home.write(raw)
    with pytest.raises(CatalogError, match=said):
        home.read()


def test_a_file_of_windows_notepad_is_read(home: Home) -> None:
    home.write(b"\xef\xbb\xbf" + ONE_MODEL.replace("\n", "\r\n").encode())
    assert home.read().problems == ()


def test_a_catalog_cannot_be_changed(home: Home) -> None:
    read = home.read()
    with pytest.raises(TypeError):
        read.models["x"] = read.models["base"]  # type: ignore[index]
    with pytest.raises(AttributeError):
        read.default = "x"  # type: ignore[misc]


def test_the_default_model_is_offered_first_and_nsfw_only_where_allowed(home: Home) -> None:
    home.write(
        'default = "b"\n'
        '[models.a]\nname = "x"\npath = "a/b"\n'
        '[models.b]\nname = "x"\npath = "a/b"\n'
        '[models.c]\nname = "x"\npath = "a/b"\nnsfw = true\n'
        '[models.d]\nname = "x"\npath = "a/b"\nenabled = false\n',
        '[loras.all]\nname = "x"\npath = "a/b"\n'
        '[loras.for-a]\nname = "x"\npath = "a/b"\nmodels = ["a"]\n'
        '[loras.adult]\nname = "x"\npath = "a/b"\nnsfw = true\n'
        '[loras.off]\nname = "x"\npath = "a/b"\nenabled = false\n',
    )
    read = home.read()
    assert [m.key for m in read.offered_models(nsfw=False)] == ["b", "a"]
    assert [m.key for m in read.offered_models(nsfw=True)] == ["b", "a", "c"]
    assert [a.key for a in read.offered_adapters(nsfw=False)] == ["all", "for-a"]
    assert [a.key for a in read.offered_adapters(nsfw=True)] == ["all", "for-a", "adult"]
    assert [a.key for a in read.offered_adapters(nsfw=False, model="b")] == ["all"]


REFERENCE = """
[reference]
path = "org/ip"
weight_name = "sdxl/ip.safetensors"
encoder = "encoder"
"""


class TestReference:
    def test_a_sound_one(self, home: Home) -> None:
        assert home.read().references == {}
        home.write(ONE_MODEL + REFERENCE)
        found = home.read()
        assert found.problems == ()
        assert found.references == {
            "sdxl": ReferenceEntry(
                path="org/ip", weight_name="sdxl/ip.safetensors", encoder="encoder"
            )
        }

    @pytest.mark.parametrize(
        ("written", "said"),
        [
            (REFERENCE.replace("encoder =", "encodr ="), "encoder is missing"),
            (REFERENCE.replace("ip.safetensors", "ip.bin"), "must end in .safetensors"),
            (
                REFERENCE.replace('"encoder"', '"../encoder"'),
                "encoder must be the name of a folder",
            ),
            (REFERENCE.replace('"encoder"', '"/encoder"'), "encoder must be the name of a folder"),
            (REFERENCE.replace("org/ip", "../ip"), "path must not contain '..'"),
            ("reference = 5\n", "must be a table like {path ="),
        ],
    )
    def test_a_wrong_one_is_left_out_and_named(self, home: Home, written: str, said: str) -> None:
        models = ONE_MODEL + written if written.startswith("\n") else written + ONE_MODEL
        home.write(models)
        found = home.read()
        assert found.references == {}
        assert found.default == "base"
        [problem] = found.problems
        assert problem.key == "reference"
        assert said in problem.reason


def test_fast_that_names_an_unknown_lora_is_reported(home: Home) -> None:
    fast = 'fast = {adapter = "lcm", steps = 6, guidance = 1.5, scheduler = "LCM"}\n'
    home.write(ONE_MODEL + fast)
    [problem] = home.read().problems
    assert (problem.key, problem.reason) == (
        "base",
        "fast names 'lcm', which is not in loras.toml",
    )
    home.write(ONE_MODEL + fast, '[loras.lcm]\nname = "LCM"\npath = "org/lcm"\n')
    found = home.read()
    assert found.problems == ()
    assert found.models["base"].fast


class TestGarbageCollection:
    """One during the read would stall every other thread."""

    @pytest.fixture(autouse=True)
    def _as_before(self) -> Iterator[None]:
        yield
        gc.enable()

    @pytest.mark.parametrize("enabled", [True, False])
    @pytest.mark.parametrize("loras", ["", "="])
    def test_it_waits(
        self, home: Home, monkeypatch: pytest.MonkeyPatch, loras: str, *, enabled: bool
    ) -> None:
        seen: list[bool] = []
        read = dropin_models.find

        def looking(*args: Any, **options: Any) -> Any:
            seen.append(gc.isenabled())
            return read(*args, **options)

        monkeypatch.setattr(dropin_models, "find", looking)
        home.write(loras=loras)
        if not enabled:
            gc.disable()
        with contextlib.suppress(CatalogError):
            home.read()
        assert True not in seen
        assert seen or loras
        assert gc.isenabled() is enabled
