"""`main.py check`: what is wrong with an installation."""

from math import prod
from pathlib import Path
from types import SimpleNamespace

import pytest

from bot.cli import check as check_module
from bot.cli.check import TOKEN_SHAPE, Finding, _device, check
from bot.engine import DeviceReport
from bot.settings import Settings
from bot.store import COPY_NOTICED, Store, now_ms
from tests.catalog.home import SDXL, checkpoint_bytes
from tests.cli.folders import CATALOG, cut_lora_in, old_lora_in, settings_in
from tests.gguf_files import Tensor, written


class TestCheck:
    def test_a_lora_that_fits_no_model_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = settings_in(tmp_path, monkeypatch, CATALOG)
        old_lora_in(tmp_path)
        [found] = [f for f in check_module._catalog(settings) if "LoRA old" in f.text]
        assert found.text == "LoRA old: made for SD 1.5, which fits no model here"
        assert found.mend == "remove it, or replace it with a LoRA for Stable Diffusion XL"
        assert not found.fatal

    def test_what_else_would_fit_is_listed_with_commas(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        entries = (
            f'[models.{key}]\nname = "{key}"\npath = "a/{key}"\nfamily = "{key}"\n'
            'variant = "base"\n'
            for key in ("sdxl", "zimage", "anima")
        )
        settings = settings_in(tmp_path, monkeypatch, 'default = "sdxl"\n' + "".join(entries))
        old_lora_in(tmp_path)
        [found] = [f for f in check_module._catalog(settings) if "LoRA old" in f.text]
        assert found.mend.endswith(" a LoRA for Stable Diffusion XL, Z-Image, or Anima")

    def test_a_model_whose_variant_nothing_tells_is_named_with_what_to_write(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = settings_in(tmp_path, monkeypatch, CATALOG)
        shapes = {"cap_pad_token": [1, 1], "noise_refiner.0.attention.k_norm.weight": [1]}
        file = settings.models_dir / "checkpoints" / "z_image_bf16.safetensors"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(checkpoint_bytes(shapes))
        [found] = [f for f in check_module._catalog(settings) if "z_image_bf16" in f.text]
        assert found.text == (
            "model z_image_bf16: z_image_bf16.safetensors is a Z-Image model, but neither its files"
            " nor its name says whether it is turbo or base, so it is not offered"
        )
        assert found.mend == (
            'write variant = "turbo" or variant = "base" in its entry [models.z_image_bf16] in'
            " models.toml"
        )

    def test_a_model_that_is_sampled_in_another_way_than_most_is_named_with_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = settings_in(tmp_path, monkeypatch, CATALOG)
        for name in ("sdxl_lightning", "mine"):
            file = settings.models_dir / "checkpoints" / f"{name}.safetensors"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(checkpoint_bytes())
        found = [f.text for f in check_module._catalog(settings)]
        assert "model sdxl_lightning: downloaded at first use, sampled as distilled" in found
        assert "model mine: downloaded at first use" in found

    @pytest.mark.parametrize(
        ("name", "shapes", "noted"),
        [
            ("noobaiXLNAIXL_vPred10Version", SDXL, True),
            ("mine-v-pred", SDXL, True),
            ("mine_vpred", SDXL, True),
            ("mine_vpred", {**SDXL, "v_pred": [0]}, False),
            ("mine", SDXL, False),
            ("predator_v2", SDXL, False),
        ],
    )
    def test_a_model_that_only_its_name_calls_v_prediction_is_named_with_what_to_write(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        name: str,
        shapes: dict[str, list[int]],
        noted: bool,
    ) -> None:
        settings = settings_in(tmp_path, monkeypatch, CATALOG)
        file = settings.models_dir / "checkpoints" / f"{name}.safetensors"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(checkpoint_bytes(shapes))
        found = [f for f in check_module._catalog(settings) if "v-prediction" in f.text]
        assert [f.fatal for f in found] == [False] * noted
        for finding in found:
            assert finding.text.endswith(
                f": {name.lower()}: its name says v-prediction, but its files do not: it is sampled"
                " as epsilon"
            )
            said = f'write prediction = "v_prediction" in its entry [models.{name.lower()}]'
            assert said in finding.mend
        entry = f'[models.{name.lower()}]\nname = "x"\npath = "checkpoints/{name}.safetensors"\n'
        models = settings.catalog_dir / "models.toml"
        models.write_text(f'{CATALOG}{entry}prediction = "v_prediction"\n', encoding="utf-8")
        assert not [f for f in check_module._catalog(settings) if "v-prediction" in f.text]

    def test_controlnets_are_found_or_refused_by_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = settings_in(tmp_path, monkeypatch, CATALOG)
        folder = settings.models_dir.absolute() / "controlnets"
        folder.mkdir(parents=True)
        shapes = {"conv_in.weight": [1, 768, 3, 3], "body.0.block1.weight": [1, 1, 3, 3]}
        (folder / "edges.safetensors").write_bytes(checkpoint_bytes(shapes))
        (folder / "lora.safetensors").write_bytes(checkpoint_bytes({"lora_unet_x.lora_up": [1]}))
        table = f'[controlnets.{{}}]\nname = "X"\npath = "{folder}/{{}}.safetensors"\n'
        (settings.catalog_dir / "controlnets.toml").write_text(
            f'[depth]\npath = "{tmp_path}/gone"\n[pose]\npath = "{tmp_path}/gone"\n'
            + table.format("mine", "lora")
            + table.format("gone", "gone"),
            encoding="utf-8",
        )
        (folder / "other.safetensors").write_bytes((folder / "lora.safetensors").read_bytes())
        said = {f.text: f.mend for f in check_module._catalog(settings) if "LoRA" not in f.text[:5]}
        assert said["ControlNet edges: found"] == ""
        [other] = [mend for text, mend in said.items() if "other.safetensors" in text]
        assert other == "move it to the folder for such files, or delete it"
        [text] = [text for text in said if ": mine:" in text]
        assert "lora.safetensors: it is a LoRA, not a ControlNet" in text
        assert not any(text.startswith("ControlNet mine") for text in said)
        assert any(text.startswith("ControlNet gone: path") for text in said)
        [depth] = [text for text in said if text.startswith("depth")]
        assert depth == f"depth: {tmp_path}/gone is no hub id or existing folder"
        assert f"pose: {tmp_path}/gone is no hub id or existing folder" in said

    def test_a_controlnet_among_loras_is_to_be_moved(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = settings_in(tmp_path, monkeypatch, CATALOG)
        file = settings.models_dir.absolute() / "loras" / "lost-way.safetensors"
        file.parent.mkdir(parents=True, exist_ok=True)
        name = "controlnet_cond_embedding.conv_in.weight"
        file.write_bytes(checkpoint_bytes({name: [16, 3, 3, 3]}))
        [found] = [f for f in check_module._catalog(settings) if "lost-way" in f.text]
        assert "a ControlNet, not a LoRA: it belongs in controlnets/" in found.text
        assert found.mend == f"move it to {settings.models_dir.absolute() / 'controlnets'}"

    def test_what_keeps_an_entry_disabled_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = settings_in(tmp_path, monkeypatch, CATALOG)
        [found] = [f for f in check_module._catalog(settings) if "model lost" in f.text]
        assert "enabled = false" in found.text
        assert not found.mend

    def test_a_broken_file_is_not_to_be_mended_in_an_entry(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = settings_in(tmp_path, monkeypatch, CATALOG)
        cut_lora_in(tmp_path)
        found = [f for f in check_module._catalog(settings) if f.text.startswith("catalog: ")]
        assert {("models-cut" in f.text, "entry" in f.mend) for f in found} == {
            (True, False),
            (False, True),
        }

    def test_gguf_files_are_found_or_refused_by_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = settings_in(tmp_path, monkeypatch, CATALOG)
        sdxl: dict[str, Tensor] = {
            name: ("F16", shape, bytes(2 * prod(shape))) for name, shape in SDXL.items()
        }
        flux: dict[str, Tensor] = {
            "double_blocks.0.img_attn.qkv.weight": ("F16", (1, 1), bytes(2)),
            "img_in.weight": ("F16", (1, 64), bytes(128)),
        }
        packed = {**sdxl, "model.diffusion_model.out.2.weight": ("IQ4_XS", (1, 256), bytes(136))}
        models = tmp_path / "models"
        written(models / "checkpoints/fine-Q8_0.gguf", sdxl)
        written(models / "checkpoints/flux1-Q8_0.gguf", flux)
        written(models / "checkpoints/small-IQ4_XS.gguf", packed)
        written(models / "loras/a.gguf", sdxl)
        (models / "checkpoints/cut.gguf").write_bytes(b"GGUF\3")
        found = {f.text: f.mend for f in check_module._catalog(settings)}
        # Its configuration is.
        assert found["model fine-q8_0: downloaded at first use"] == ""
        said = "\n".join(found)
        assert all(mend for text, mend in found.items() if ".gguf" in text)
        for part in (
            "flux1-Q8_0.gguf is a FLUX.1-like transformer, so it is not offered",
            "small-IQ4_XS.gguf is an SDXL checkpoint (its weights cannot be read:"
            " model.diffusion_model.out.2.weight is of type IQ4_XS",
            "a.gguf: a: not offered: a LoRA cannot be a .gguf file; only models can",
            "cut.gguf: cut: not offered: its header is cut off",
        ):
            assert part in said

    @pytest.mark.parametrize(
        ("token", "sound"),
        [
            ("MTIzNDU2Nzg5MDEyMzQ1Njc4.GcanaR.y_canary-canary-canary-canary-canary", True),
            ("paste your token here", False),
            ("Bot MTIzNDU2Nzg5MDEyMzQ1Njc4.GcanaR.y_canary-canary-canary-canary", False),
            ("a.b.c", False),
        ],
    )
    def test_the_shape_of_a_token(self, token: str, sound: bool) -> None:
        assert bool(TOKEN_SHAPE.fullmatch(token)) is sound

    def test_a_wrong_setting_is_named_with_its_mend(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("IMAGEN_DEVICE", "gpu")
        assert check() == 1
        said = capsys.readouterr().out
        assert "✗ settings: IMAGEN_DEVICE" in said
        assert "→" in said

    @pytest.mark.parametrize(
        ("findings", "code", "marks"),
        [
            ([Finding("fine")], 0, ["✓"]),
            ([Finding("fine"), Finding("so-so", "mend it")], 0, ["✓", "!"]),
            ([Finding("bad", "mend it", fatal=True), Finding("fine")], 1, ["✗", "✓"]),
        ],
    )
    def test_only_what_is_fatal_fails(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        findings: list[Finding],
        code: int,
        marks: list[str],
    ) -> None:
        monkeypatch.setattr(check_module, "_findings", lambda: iter(findings))
        assert check() == code
        lines = [x for x in capsys.readouterr().out.splitlines() if not x.startswith(" ")]
        assert [line[0] for line in lines[:-1]] == marks
        assert lines[-1] == (
            "The bot cannot run: fix what is marked ✗." if code else "The bot can run."
        )

    async def test_a_database_that_cannot_be_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = settings_in(tmp_path, monkeypatch, CATALOG)
        assert not (await check_module._database(settings)).fatal
        (tmp_path / "blocked").write_text("")
        monkeypatch.setenv("IMAGEN_DATA_DIR", str(tmp_path / "blocked"))
        finding = await check_module._database(Settings.load())
        assert finding.fatal
        assert "IMAGEN_DATA_DIR" in finding.mend

    @pytest.mark.parametrize(
        ("host", "port", "key", "said", "wrong", "fatal"),
        [
            ("127.0.0.1", "", False, "only with `serve`", False, False),
            ("127.0.0.1", "8009", False, "this machine only", False, False),
            ("0.0.0.0", "8009", True, "port 8009; keys: 1", False, False),
            ("0.0.0.0", "", False, "no key", True, False),
            ("0.0.0.0", "8009", False, "no key", True, True),
        ],
    )
    async def test_who_is_served_over_http(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        host: str,
        port: str,
        key: bool,
        said: str,
        wrong: bool,
        fatal: bool,
    ) -> None:
        monkeypatch.setenv("IMAGEN_API_HOST", host)
        if port:
            monkeypatch.setenv("IMAGEN_API_PORT", port)
        settings = settings_in(tmp_path, monkeypatch, CATALOG)
        async with Store.open(settings.database.absolute()) as store:
            await store.api_keys.add("bob")
            await store.api_keys.revoke("bob")
            if key:
                await store.api_keys.add("ada")
        [finding] = await check_module._http(settings)
        assert said in finding.text
        assert (bool(finding.mend), finding.fatal) == (wrong, fatal)

    async def test_another_copy_is_reported_for_a_day(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = settings_in(tmp_path, monkeypatch, CATALOG)
        assert await check_module._copies(settings) == []
        for ago, reported in ((60_000, 1), (check_module.DAY_MS, 0)):
            async with Store.open(settings.database.absolute()) as store:
                await store.set_setting(COPY_NOTICED, str(now_ms() - ago))
            assert len(await check_module._copies(settings)) == reported

    def test_the_token_is_never_printed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings_in(tmp_path, monkeypatch, CATALOG)
        for token in ("canary", "MTIzNDU2Nzg5MDEyMzQ1Njc4.GcanaR.y_canary-canary-canary-canary"):
            monkeypatch.setenv("DISCORD_TOKEN", token)
            assert "canary" not in check_module._token(Settings.load()).text


@pytest.mark.parametrize(
    ("profile", "free", "fine"),
    [
        *(("11gb", 9.6, True), ("11gb", 9.4, False)),
        *(("16gb", 14.1, True), ("16gb", 13.2, False), ("full", 19.6, True), ("full", 18.9, False)),
    ],
)
def test_check_tells_what_the_cards_profile_wants(
    monkeypatch: pytest.MonkeyPatch, profile: str, free: float, fine: bool
) -> None:
    gib = 2**30
    report = DeviceReport("cuda", "a card", "float16", 16 * gib, int(free * gib), None, profile)
    engine = SimpleNamespace(device_report=lambda: report)
    monkeypatch.setattr("bot.cli.check.build_engine", lambda *_: engine)
    finding = _device(Settings.model_construct(), "auto")
    assert finding.text.endswith(f"{free} of 16.0 GiB free, memory profile {profile}")
    assert (finding.mend == "") is fine
    assert not finding.fatal


@pytest.mark.parametrize("for_gpus", [True, False])
def test_check_tells_of_a_torch_that_uses_no_gpu(
    monkeypatch: pytest.MonkeyPatch, for_gpus: bool
) -> None:
    report = DeviceReport("cpu", "a CPU", "float32", None, None, None, for_gpus=for_gpus)
    engine = SimpleNamespace(device_report=lambda: report)
    monkeypatch.setattr("bot.cli.check.build_engine", lambda *_: engine)
    mend = _device(Settings.model_construct(), "auto").mend
    assert "many minutes on a CPU" in mend
    assert ("Which torch" in mend) is not for_gpus


def test_check_tells_of_a_card_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    report = DeviceReport(
        "cpu", "a CPU", "float32", None, None, None, unused="its driver is too old", mend="a newer"
    )
    engine = SimpleNamespace(device_report=lambda: report)
    monkeypatch.setattr("bot.cli.check.build_engine", lambda *_: engine)
    finding = _device(Settings.model_construct(), "auto")
    assert finding.text.endswith("; the GPU cannot be used: its driver is too old")
    assert (finding.mend, finding.fatal) == ("a newer", False)


def test_check_tells_what_becomes_of_models_that_are_too_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small, large = ("sd15", "flux2", "zimage"), ("anima",)
    report = DeviceReport("cuda", "a card", "float16", 2**30, 2**30, None, "11gb", small, large)
    engine = SimpleNamespace(device_report=lambda: report)
    monkeypatch.setattr("bot.cli.check.build_engine", lambda *_: engine)
    text = _device(Settings.model_construct(), "auto").text
    assert ", int8 for Stable Diffusion 1.5, FLUX.2 klein, and Z-Image, streamed from RAM" in text
    assert " streamed from RAM for Anima, " in text
