"""LoRA files: how they change the weights, in which order, and every reason to refuse one."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from bot.errors import JobFailed, PaintStopped, StopReason
from bot.progress import Notice
from bot.request import AdapterUse
from catalog import AdapterEntry
from catalog.weight_files import open_tensors
from tests.engine.factories import (
    CONTEXT,
    CONVOLUTION,
    OUT,
    QUERY,
    SHAPES,
    TEXT_WIDTHS,
    TINY,
    catalog,
    digests,
    kohya,
    kohya_lora,
    paint,
    pair,
    plain_pipeline,
    request,
    resident,
    save,
    text_shapes,
)
from tests.engine.images import farthest
from tests.parameters import mostly_long

SGM = {
    QUERY: "input_blocks_4_1_transformer_blocks_0_attn1_to_q",
    OUT: "input_blocks_4_1_transformer_blocks_0_attn1_to_out_0",
    CONTEXT: "output_blocks_1_1_transformer_blocks_0_attn2_to_k",
    CONVOLUTION: "input_blocks_7_0_in_layers_2",
}


def refused(engine: Engine, path: Path | AdapterEntry) -> JobFailed:
    with pytest.raises(JobFailed) as failure:
        paint(engine, request(("bad", 1.0)), catalog(bad=path))
    assert failure.value.params["adapter"] == "bad"
    return failure.value


def diffusers_lora(path: Path, *, old: bool, alpha: bool = False) -> Path:
    """As diffusers writes it: `lora_A/B` today, `processor.to_q_lora.down` before 0.22."""
    tensors: dict[str, Any] = {}
    modules: dict[str, tuple[int, ...]] = {
        **{f"unet.{name}": shape for name, shape in SHAPES.items() if not old or "attn" in name},
    }
    for encoder, width in (("text_encoder", 32), ("text_encoder_2", 48)):
        for name, text_shape in text_shapes(width).items():
            if not old or "self_attn" in name:
                modules[f"{encoder}.{name}"] = text_shape
    for number, (module, shape) in enumerate(modules.items()):
        down, up = pair(shape, seed=number)
        if old:
            module = module.replace("attn1.", "attn1.processor.").replace(
                "attn2.", "attn2.processor."
            )
            module = module.replace("q_proj", "to_q").replace("out_proj", "to_out")
            module = module.removesuffix(".0")
            names = (f"{module}_lora.down.weight", f"{module}_lora.up.weight")
        else:
            names = (f"{module}.lora_A.weight", f"{module}.lora_B.weight")
        tensors |= dict(zip(names, (down, up), strict=True))
    config = {f"{part}.lora_alpha": 2 for part in ("unet", "text_encoder", "text_encoder_2")}
    config |= {f"{part}.r": 4 for part in ("unet", "text_encoder", "text_encoder_2")}
    return save(path, tensors, {"lora_adapter_metadata": json.dumps(config)} if alpha else None)


def sgm_lora(path: Path) -> Path:
    """As kohya's trainer writes it for SDXL with Stability's UNet: the usual file on Civitai."""
    tensors: dict[str, Any] = {}
    for number, (module, name) in enumerate(SGM.items()):
        tensors |= kohya(f"lora_unet_{name}", SHAPES[module], seed=number, rank=2 + number)
    for encoder, width in TEXT_WIDTHS.items():
        for module, shape in text_shapes(width).items():
            tensors |= kohya(f"lora_{encoder}_{module.replace('.', '_')}", shape, alpha=1.0)
    return save(path, tensors)


@pytest.mark.parametrize(
    "make",
    mostly_long(
        [
            kohya_lora,
            lambda path: kohya_lora(path, text=False),
            sgm_lora,
            lambda path: diffusers_lora(path, old=False),
            lambda path: diffusers_lora(path, old=True),
        ],
        usual=1,
    ),
    ids=["kohya", "kohya without text encoders", "kohya sgm", "peft", "old diffusers"],
)
def test_paints_what_diffusers_paints_with_it(
    engine: Engine, models_dir: Path, tmp_path: Path, make: Any
) -> None:
    import torch

    path = make(tmp_path / "lora.safetensors")
    painting = paint(engine, request(("lora", 0.7)), catalog(lora=path))
    plain = plain_pipeline(models_dir / TINY)
    plain.load_lora_weights(path.parent, weight_name=path.name, adapter_name="lora")
    plain.set_adapters("lora", 0.7)
    expected = plain(
        "a fox in the snow",
        num_inference_steps=2,
        guidance_scale=5.0,
        width=64,
        height=64,
        generator=torch.Generator().manual_seed(11),
    ).images[0]
    assert painting.warnings == ()
    # peft multiplies by both matrices at every step; we add their product to the weight once.
    assert farthest(painting.images[0].image, expected) <= 1
    assert farthest(painting.images[0].image, paint(engine, request()).images[0].image) > 10


@pytest.mark.parametrize("module", [QUERY, CONVOLUTION])
def test_the_weight_becomes_w_plus_weight_alpha_over_rank_times_up_down(
    engine: Engine, tmp_path: Path, module: str
) -> None:
    import torch

    shape, name = SHAPES[module], f"lora_unet_{module.replace('.', '_')}"
    path = save(tmp_path / "one.safetensors", kohya(name, shape, alpha=3.0, rank=4))
    down, up = pair(shape, rank=4)
    paint(engine, request(("one", -0.5)), catalog(one=path))
    patched = resident(engine).denoiser.get_submodule(module).weight.clone()
    paint(engine, request())
    pristine = resident(engine).denoiser.get_submodule(module).weight
    product = torch.einsum("or,ri...->oi...", up.flatten(1), down)
    expected = pristine + -0.5 * (3.0 / 4) * product
    torch.testing.assert_close(patched, expected, rtol=1e-6, atol=1e-6)


def test_alphas_beside_the_tensors_count(engine: Engine, tmp_path: Path) -> None:
    """diffusers ≥ 0.35 keeps them in the file's metadata; half the alpha is half the weight."""
    full = diffusers_lora(tmp_path / "full.safetensors", old=False)
    half = diffusers_lora(tmp_path / "half.safetensors", old=False, alpha=True)
    offered = catalog(full=full, half=half)
    assert digests(paint(engine, request(("half", 1.0)), offered)) == digests(
        paint(engine, request(("full", 0.5)), offered)
    )


@pytest.mark.long
def test_what_was_worn_before_leaves_no_trace(
    engine: Engine, models_dir: Path, tmp_path: Path
) -> None:
    offered = catalog(
        a=kohya_lora(tmp_path / "a.safetensors", seed=1),
        b=kohya_lora(tmp_path / "b.safetensors", seed=2, text=False),
    )
    plain = request()
    asked = [
        request(("a", 0.8), ("b", 0.6)),
        request(("b", 0.6), ("a", 0.8)),
        request(("b", 0.9)),
        plain,
        request(("b", 0.6), ("a", 0.3)),
        request(("b", 0.6), ("a", 0.8)),
        plain,
    ]
    after_another = [digests(paint(engine, wanted, offered)) for wanted in asked]
    for wanted, got in list(zip(asked, after_another, strict=True))[:4]:
        new = Engine(models_dir=models_dir, hashes_file=models_dir / "hashes.json")
        assert digests(paint(new, wanted, offered)) == got
        new.close()
    assert after_another[5] == after_another[1]
    assert after_another[6] == after_another[3]


def test_weight_zero_is_no_adapter(engine: Engine, tmp_path: Path) -> None:
    offered = catalog(a=kohya_lora(tmp_path / "a.safetensors"))
    assert digests(paint(engine, request(("a", 0.0)), offered)) == digests(
        paint(engine, request(), offered)
    )


@pytest.mark.parametrize(
    ("weight", "text_weight", "changed"),
    [(0.8, 0.0, {"unet"}), (0.0, 0.8, {"text_encoder", "text_encoder_2"})],
)
def test_each_of_the_two_weights_reaches_its_own_networks(
    engine: Engine, tmp_path: Path, weight: float, text_weight: float, changed: set[str]
) -> None:
    import torch

    offered = catalog(a=kohya_lora(tmp_path / "a.safetensors"))
    paint(engine, request())
    networks = {name: part.module for name, part in resident(engine).parts.items()}
    pristine = {
        name: [parameter.clone() for parameter in network.parameters()]
        for name, network in networks.items()
    }
    paint(engine, request(adapters=(AdapterUse("a", weight, text_weight),)), offered)
    differing = {
        name
        for name, network in networks.items()
        if not all(map(torch.equal, network.parameters(), pristine[name]))
    }
    assert differing == changed


def test_what_was_read_ahead_is_not_read_again(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its tensors nor for its hashes."""
    path = kohya_lora(tmp_path / "a.safetensors")
    offered = catalog(a=path)
    plain = paint(engine, request())  # a loaded model tells the names of its modules
    engine.prefetch([offered.adapters["a"]])
    real = Path.open

    def open_others(file: Path, *args: Any, **options: Any) -> Any:
        assert file != path, "read again"
        return real(file, *args, **options)

    monkeypatch.setattr(Path, "open", open_others)
    painting = paint(engine, request(("a", 1.0)), offered)
    assert digests(painting) != digests(plain)


def test_the_same_set_is_not_put_on_again(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.engine.weights import PristineWeights

    offered = catalog(a=kohya_lora(tmp_path / "a.safetensors"))
    strong = digests(paint(engine, request(("a", 1.0)), offered))
    copied: list[str] = []
    real = PristineWeights.tensor

    def counted(contents: PristineWeights, name: str) -> Any:
        copied.append(name)
        return real(contents, name)

    monkeypatch.setattr(PristineWeights, "tensor", counted)
    assert digests(paint(engine, request(("a", 1.0)), offered)) == strong
    assert copied == []
    assert digests(paint(engine, request(("a", 0.5)), offered)) != strong
    assert len(copied) == len(SHAPES) + 3 * len(TEXT_WIDTHS)


def test_a_changed_file_is_read_again(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    offered = catalog(a=kohya_lora(path, seed=1))
    first = paint(engine, request(("a", 1.0)), offered)
    kohya_lora(path, seed=2, text=False)
    second = paint(engine, request(("a", 1.0)), offered)
    assert digests(first) != digests(second)
    assert first.recipe.adapters != second.recipe.adapters


def test_the_recipe_names_it_as_civitai_does(engine: Engine, tmp_path: Path) -> None:
    import hashlib

    path = kohya_lora(tmp_path / "a.safetensors")
    raw = path.read_bytes()
    (weights,) = paint(engine, request(("a", 1.0)), catalog(a=path)).recipe.adapters
    start = 8 + int.from_bytes(raw[:8], "little")
    assert weights.name == "a"
    assert weights.sha256 == hashlib.sha256(raw).hexdigest()
    assert weights.short == hashlib.sha256(raw[start:]).hexdigest()[:12]


def test_a_partial_match_is_applied_and_said(engine: Engine, tmp_path: Path) -> None:
    import torch

    tensors = kohya("lora_unet_" + SGM[QUERY], SHAPES[QUERY])
    strange = "lora_unet_input_blocks_8_1_transformer_blocks_9_attn1_to_q"
    tensors |= kohya(strange, (96, 96))
    tensors[f"lora_unet_{SGM[QUERY]}.diff_b"] = torch.ones(SHAPES[QUERY][0])
    path = save(tmp_path / "half.safetensors", tensors)
    said = (
        Notice("adapter.partial", {"adapter": "half", "matched": 0, "total": 2}),
        Notice("adapter.no_such_module", {"adapter": "half", "count": 1, "example": strange}),
        Notice("adapter.no_bias", {"adapter": "half", "count": 1, "example": NAME}),
    )
    for _ in range(2):
        painting = paint(engine, request(("half", 1.0)), catalog(half=path))
        assert painting.warnings == said
    assert digests(painting) != digests(paint(engine, request()))


NAME = f"lora_unet_{SGM[QUERY]}"


def test_a_file_for_another_model_is_refused(engine: Engine, tmp_path: Path) -> None:
    tensors = kohya("lora_unet_double_blocks_0_img_attn_proj", (64, 64))
    failure = refused(engine, save(tmp_path / "flux.safetensors", tensors))
    assert (failure.code, failure.params["family"]) == ("adapter.other_base", "FLUX.1/Chroma")


FAMILIES = [(2048, "SDXL"), (48, "another base model")]


@pytest.mark.parametrize(("width", "family"), FAMILIES)
def test_other_shapes_are_refused(engine: Engine, tmp_path: Path, width: int, family: str) -> None:
    name = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
    failure = refused(engine, save(tmp_path / "x.safetensors", kohya(name, (64, width))))
    assert failure.code == "adapter.other_shape"
    assert failure.params["module"] == name
    assert failure.params["found"] == f"64×{width}"
    assert failure.params["expected"] == "64×80"
    assert failure.params["family"] == family


def test_numbers_that_are_none_are_refused(engine: Engine, tmp_path: Path) -> None:
    tensors = kohya(NAME, SHAPES[QUERY])
    tensors[f"{NAME}.lora_up.weight"][3, 1] = float("nan")
    failure = refused(engine, save(tmp_path / "nan.safetensors", tensors))
    assert (failure.code, failure.params["module"]) == ("adapter.not_finite", NAME)


@pytest.mark.long
def test_which_of_two_faults_is_told_does_not_depend_on_the_model_that_is_there(
    fresh: Engine, tmp_path: Path
) -> None:
    """A header comes before the numbers of another file, whether they were read first or not."""
    tensors = kohya(NAME, SHAPES[QUERY])
    tensors[f"{NAME}.lora_up.weight"][3, 1] = float("nan")
    (tmp_path / "other.safetensors").write_bytes(b"no header")
    offered = catalog(
        nan=save(tmp_path / "nan.safetensors", tensors),
        other=tmp_path / "other.safetensors",
        good=kohya_lora(tmp_path / "good.safetensors"),
    )
    orders = [("nan", "other"), ("other", "nan"), ("good", "nan", "other"), ("nan", "good")]

    def told() -> list[str]:
        failures = []
        for keys in orders:
            with pytest.raises(JobFailed) as failure:
                paint(fresh, request(*((key, 1.0) for key in keys)), offered)
            failures.append(str(failure.value.params["adapter"]))
        return failures

    assert fresh.loaded is None
    expected = ["other", "other", "other", "nan"]
    assert told()[:3] == expected[:3]
    paint(fresh, request(), offered)
    assert told() == expected


def test_the_files_of_a_set_are_opened_once_where_the_model_is_there(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint(engine, request())
    opened: list[str] = []

    def counted(path: Path) -> Any:
        opened.append(path.stem)
        return open_tensors(path)

    monkeypatch.setattr("bot.engine.patches.file.open_tensors", counted)
    a, b = (kohya_lora(tmp_path / f"{key}.safetensors", seed=7) for key in "ab")
    paint(engine, request(("a", 1.0), ("b", 1.0)), catalog(a=a, b=b))
    assert opened == ["a", "b"]


def test_half_a_pair_is_broken(engine: Engine, tmp_path: Path) -> None:
    tensors = kohya(NAME, SHAPES[QUERY])
    del tensors[f"{NAME}.lora_up.weight"]
    assert refused(engine, save(tmp_path / "x.safetensors", tensors)).code == "adapter.broken"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 a zip, as torch.save writes",
        b"\x80\x02}q\x00.",
        struct.pack("<Q", 2**40) + b"{}",
        struct.pack("<Q", 4) + b"nope",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 70)
        + b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}'.ljust(70)
        + bytes(8),
    ],
    ids=["empty", "zip", "pickle", "endless header", "no json", "no table", "cut off"],
)
def test_what_is_no_safetensors_is_never_loaded(
    engine: Engine, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    assert refused(engine, path).code == "adapter.not_safetensors"


def test_a_folder_needs_one_file_or_a_name(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "loras"
    folder.mkdir()
    assert refused(engine, folder).code == "adapter.no_safetensors"
    kohya_lora(folder / "one.safetensors")
    painted = paint(engine, request(("a", 1.0)), catalog(a=folder))
    kohya_lora(folder / "two.safetensors", seed=5)
    failure = refused(engine, folder)
    assert failure.code == "adapter.choose_file"
    assert failure.params["files"] == "one.safetensors, two.safetensors"
    entry = AdapterEntry(key="a", name="a", path=str(folder), weight_name="one.safetensors")
    assert digests(paint(engine, request(("a", 1.0)), catalog(a=entry))) == digests(painted)


def test_a_missing_file_is_named(engine: Engine, tmp_path: Path) -> None:
    failure = refused(engine, tmp_path / "gone.safetensors")
    assert failure.code == "adapter.missing"
    assert failure.params["path"] == "gone.safetensors"  # shown to users, so without folders


def test_a_failure_leaves_the_model_clean(engine: Engine, tmp_path: Path) -> None:
    """A file is refused before it is applied, or the job is stopped while it is being applied."""
    import torch

    expected = digests(paint(engine, request()))
    good = kohya_lora(tmp_path / "good.safetensors")
    bad = save(tmp_path / "bad.safetensors", kohya("lora_unet_nothing", (4, 4)))
    offered = catalog(good=good, bad=bad)
    for _ in range(2):
        with pytest.raises(JobFailed):
            paint(engine, request(("good", 1.0), ("bad", 1.0)), offered)
        assert digests(paint(engine, request(), offered)) == expected

    unet = resident(engine).denoiser

    def stops_half_way() -> None:
        if not torch.equal(unet.get_submodule(QUERY).weight, query):
            raise PaintStopped(StopReason.CANCELLED)

    query = unet.get_submodule(QUERY).weight.clone()
    with pytest.raises(PaintStopped):
        paint(engine, request(("good", 1.0)), offered, check_stop=stops_half_way)
    assert resident(engine).denoiser is unet, "nothing is built anew"
    assert digests(paint(engine, request(), offered)) == expected
    assert torch.equal(unet.get_submodule(QUERY).weight, query)
