"""Every reason to refuse an adapter file, and what is not one."""

import contextlib
import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.errors import JobFailed
from catalog.families.sdxl import SDXL
from catalog.misfit import misfit
from catalog.weight_files import (
    SUPPORTED,
    UNSUPPORTED,
    AdapterFacts,
    adapter_facts,
    open_tensors,
    read_configs,
    read_header,
)
from tests.engine.factories import SHAPES, kohya, save
from tests.engine.patches import make
from tests.engine.patches.reading import BASES, NAME, SHAPE, read, refused, subject
from tests.parameters import mostly_long


def one(name: str, *shape: int) -> dict[str, Any]:
    return {name: torch.zeros(shape or (4, 4))}


OTHERS = [
    (f"{NAME}.up_list.0", "DyLoRA"),
    (f"{NAME}.lora_A.3", "DyLoRA"),
    ("lora_controlnet", "ControlLoRA"),
    ("input_blocks.1.1.proj_in.up", "ControlLoRA"),
    ("lllite_unet_input_blocks_4_1.up.0.weight", "ControlNet-LLLite"),
    (f"{NAME}.p_layer.weight", "T-LoRA"),
    (f"{NAME}.lora_E", "AdaLoRA"),
    (f"{NAME}.oft_R.weight", "OFT of OneTrainer, or of peft without adapter_config.json"),
    (f"{NAME}.oft_r", "OFT of peft before 0.16"),
    (f"{NAME}.oft_diag", "OFT of LyCORIS 1"),
    (f"{NAME}.vera_lambda_b", "VeRA"),
    (f"{NAME}.lora_embedding_A", "LoRA of embeddings"),
    ("controlnet_down_blocks.0.weight", "ControlNet"),
    ("image_proj.proj.weight", "IP-Adapter"),
    ("text_encoders_1", "textual inversion"),
    ("string_to_param.*", "textual inversion"),
    ("clip_g", "textual inversion"),
    ("model.diffusion_model.input_blocks.0.0.weight", "checkpoint"),
    ("conditioner.embedders.0.model.ln_final.bias", "checkpoint"),
]


CONFIGURED: list[tuple[dict[str, Any], str]] = [
    ({"peft_type": "ADALORA"}, "AdaLoRA"),
    ({"peft_type": "VERA"}, "VeRA"),
    ({"peft_type": "FOURIERFT"}, "another method of peft"),
    ({"peft_type": "something new"}, "another method of peft"),
    ({"init_lora_weights": "pissa"}, "PiSSA"),
    ({"init_lora_weights": "pissa_niter_16"}, "PiSSA"),
    ({"init_lora_weights": "olora"}, "OLoRA"),
    ({"init_lora_weights": "corda"}, "CorDA"),
    ({"init_lora_weights": "loftq"}, "LoftQ"),
    ({"init_lora_weights": "lora_ga"}, "LoRA-GA"),
    ({"layer_replication": [[0, 4]]}, "LoRA with replicated layers"),
    ({"alora_invocation_tokens": [1]}, "aLoRA"),
    ({"use_qalora": True}, "QALoRA"),
    ({"velora_config": {"rank": 1}}, "VeLoRA"),
    ({"monteclora_config": {"num_samples": 2}}, "MonteCLoRA"),
    ({"use_bdlora": {"nblocks": 2}}, "BD-LoRA"),
    ({"arrow_config": {"top_k": 2}}, "Arrow"),
    ({"kasa_config": {"beta": 1}}, "KaSA"),
]


@pytest.mark.parametrize(("fields", "kind"), CONFIGURED)
def test_other_methods_of_peft_are_named(
    known: dict[str, Any], tmp_path: Path, fields: dict[str, Any], kind: str
) -> None:
    path = save(tmp_path / "adapter_model.safetensors", kohya(NAME, SHAPE))
    config = json.dumps({"peft_type": "LORA", "r": 4} | fields)
    (tmp_path / "adapter_config.json").write_text(config)
    failure = refused(path, known)
    assert (failure.code, failure.params["kind"]) == ("adapter.unsupported", kind)
    assert catalogued(path).algorithm == kind


@pytest.mark.parametrize(("extra", "kind"), OTHERS)
def test_other_kinds_are_named_not_dropped(
    known: dict[str, Any], tmp_path: Path, extra: str, kind: str
) -> None:
    tensors = {**kohya(NAME, SHAPE), **one(extra)}
    path = save(tmp_path / "x.safetensors", tensors)
    failure = refused(path, known)
    assert (failure.code, failure.params["kind"]) == ("adapter.unsupported", kind)
    told = catalogued(path)
    assert told.algorithm == kind
    why = misfit(told, [SDXL], vouched=True)
    assert why is not None
    assert (why.kind, why.found) == ("algorithm", kind)


def test_every_kind_that_cannot_be_applied_is_told_by_some_name() -> None:
    assert {kind for _, kind in OTHERS} | {kind for _, kind in CONFIGURED} == {*UNSUPPORTED}


@pytest.mark.parametrize("family", [name for name in make.ALGORITHMS if name != "norm"])
def test_what_the_catalog_takes_for_possible_the_engine_applies(
    known: dict[str, Any], tmp_path: Path, family: str
) -> None:
    modules = make.demo_modules(text=False)
    if "Tucker" in family:
        modules = {name: shape for name, shape in modules.items() if len(shape) > 2}
    path = make.file(tmp_path / "x.safetensors", family, modules)
    assert read(path, known).changes
    told = catalogued(path)
    assert set(told.algorithm.split(" + ")) <= set(SUPPORTED)
    assert misfit(told, [SDXL], vouched=True) is None


def catalogued(path: Path) -> AdapterFacts:
    """The catalog's facts about a file."""
    header = read_header(path)
    return adapter_facts(header.shapes, header.metadata, read_configs(path, header.metadata))


@pytest.mark.parametrize(
    "tensor",
    [
        *(f"{NAME}.{end}" for end in ("diff.weight", "lora_A", "lora_A.b.c.weight", "set_weight")),
        *(f"{NAME}.{end}" for end in ("down.weight", "lora_C.weight", "lora_down.x.weight")),
        *("unet.conv_in.weight", "weight"),
    ],
)
def test_a_tensor_of_no_known_kind_is_named(
    known: dict[str, Any], tmp_path: Path, tensor: str
) -> None:
    tensors = {**kohya(NAME, SHAPE), **one(tensor)}
    failure = refused(save(tmp_path / "x.safetensors", tensors), known)
    assert (failure.code, failure.params["tensor"]) == ("adapter.unknown_tensor", tensor)
    why = misfit(catalogued(tmp_path / "x.safetensors"), [SDXL], vouched=True)
    assert why is not None, "it would be offered"
    assert tensor[:60] in why.found


FLUX = "lora_unet_double_blocks_0_img_attn_proj"
SD3 = "transformer.transformer_blocks.0.attn.add_k_proj"


@pytest.mark.parametrize(
    ("name", "shape", "metadata", "family"),
    [
        (FLUX, (64, 64), {}, "Flux"),
        (SD3, (64, 1536), {}, "SD 3"),
        ("lora_unet_input_blocks_99_1_transformer_blocks_0_attn2_to_k", (64, 768), {}, "SD 1.5"),
        ("lora_unet_up_blocks_x_attn2_to_v", (64, 1024), {}, "SD 2"),
        ("lora_unet_up_blocks_x_attn2_to_v", (64, 2048), {}, "SDXL"),
        ("x", (64, 64), {"modelspec.architecture": "stable-diffusion-v1/lora"}, "SD 1.5"),
        ("x", (64, 64), {"ss_base_model_version": "sdxl_base_v1-0"}, "SDXL"),
    ],
)
@pytest.mark.parametrize("kind", ["LoRA", "LoHa", "LoKr"])
def test_a_file_that_fits_nothing_says_what_it_is_for(
    known: dict[str, Any],
    tmp_path: Path,
    name: str,
    shape: tuple[int, int],
    metadata: dict[str, str],
    family: str,
    kind: str,
) -> None:
    modules = {name: shape, "lora_unet_other": (8, 8)}
    path = make.file(tmp_path / "x.safetensors", kind, modules, metadata=metadata)
    failure = refused(path, known)
    assert failure.code == "adapter.other_base"
    assert (failure.params["family"], failure.params["total"]) == (family, 2)


def test_a_broken_module_does_not_hide_what_a_file_is_for(
    known: dict[str, Any], tmp_path: Path
) -> None:
    both = make.module("LoRA", (64, 768)) | make.module("LoHa", (64, 768))
    tensors = {f"lora_unet_up_blocks_a_attn2_to_k.{part}": tensor for part, tensor in both.items()}
    tensors |= kohya("lora_unet_up_blocks_b_attn2_to_k", (64, 768))
    failure = refused(save(tmp_path / "x.safetensors", tensors), known)
    assert (failure.code, failure.params["family"]) == ("adapter.other_base", "SD 1.5")


def test_a_file_that_fits_nothing_and_says_nothing(known: dict[str, Any], tmp_path: Path) -> None:
    failure = refused(save(tmp_path / "x.safetensors", kohya("lora_unet_x", (4, 4))), known)
    assert (failure.code, failure.params["tensors"]) == ("adapter.matches_nothing", 3)
    hostile = {"modelspec.architecture": "@everyone"}
    path = save(tmp_path / "y.safetensors", kohya("lora_unet_x", (4, 4)), hostile)
    assert refused(path, known).code == "adapter.matches_nothing"


@pytest.mark.parametrize("family", ["LoRA", "LoHa", "LoKr", "GLoRA", "full", "DoRA"])
@pytest.mark.parametrize(("width", "base"), [(2048, "SDXL"), (48, "another base model")])
def test_other_shapes_are_refused(
    known: dict[str, Any], tmp_path: Path, family: str, width: int, base: str
) -> None:
    name = NAME.replace("attn1_to_q", "attn2_to_k")
    failure = refused(make.file(tmp_path / "x.safetensors", family, {name: (64, width)}), known)
    assert failure.code == "adapter.other_shape"
    assert failure.params["module"] == name
    assert failure.params["found"] == f"64×{width}"
    assert failure.params["expected"] == "64×80"
    assert failure.params["family"] == base


@pytest.mark.parametrize("family", ["LoRA", "LoHa", "LoKr", "GLoRA", "full", "DoRA"])
@pytest.mark.parametrize(("width", "base"), [(768, "SD 1.5"), (1024, "SD 2")])
def test_a_shape_that_tells_another_base_says_so(
    known: dict[str, Any], tmp_path: Path, family: str, width: int, base: str
) -> None:
    modules = {NAME: SHAPE, NAME.replace("attn1_to_q", "attn2_to_k"): (64, width)}
    failure = refused(make.file(tmp_path / "x.safetensors", family, modules), known)
    assert failure.code == "adapter.other_base"
    assert (failure.params["family"], failure.params["total"]) == (base, 2)


@pytest.mark.parametrize("family", mostly_long(make.fitting((8, 8, 3, 3)), usual=4))
def test_no_family_accepts_other_shapes(known: dict[str, Any], tmp_path: Path, family: str) -> None:
    """Or a norm, or a convolution with another kernel. Never a crash, never wrong broadcasting."""
    convolution = "lora_unet_down_blocks_2_resnets_0_conv1"  # 96×64×3×3
    norm = next(iter(make.demo_norms()))
    codes = set()
    for number, (name, shape) in enumerate(
        [(NAME, (32, 32)), (convolution, (32, 32, 3, 3)), (norm, (32, 32)), (norm, (32, 8, 3, 3))]
    ):
        if "Tucker" not in family or len(shape) > 2:
            path = make.file(tmp_path / f"{number}.safetensors", family, {name: shape})
            codes.add(refused(path, known).code)
    assert codes <= {"adapter.other_shape", "adapter.broken"}


@pytest.mark.parametrize("family", mostly_long(sorted(make.ALGORITHMS), usual=4))
def test_a_missing_or_misshapen_tensor_is_an_error(
    known: dict[str, Any], tmp_path: Path, family: str
) -> None:
    """Each tensor in turn is left out, cut, made an integer: reported or harmless, no crash."""
    name = (
        next(iter(make.demo_norms()))
        if family == "norm"
        else "lora_unet_down_blocks_2_resnets_0_conv1"
    )
    shape = make.NORM_SHAPE if family == "norm" else SHAPES["down_blocks.2.resnets.0.conv1"]
    whole = make.module(family, shape)
    optional = {"alpha", "rescale", "dora_scale", "diff_b", "b_norm"}
    if "Tucker" not in family:
        optional |= {"lora_mid.weight"}
    for part, tensor in whole.items():
        rest = {key: value for key, value in whole.items() if key != part}
        cases = [rest | {part: tensor.reshape(-1)[: tensor.numel() // 2]}] if tensor.ndim else []
        if (family, part) != ("LoKr, full", "alpha"):
            cases.append(rest | {part: torch.ones(2, 3, 5)})
        if part not in {"alpha", "on_input"}:
            cases.append(rest | {part: torch.ones(tensor.shape, dtype=torch.int32)})
        if part not in optional and len(whole) > 1 and part not in {"w_norm", "diff"}:
            cases.append(rest)
        for number, case in enumerate(cases):
            path = tmp_path / f"{number}.safetensors"
            save(path, {f"{name}.{key}": value for key, value in case.items()})
            code = refused(path, known).code
            assert code in {"adapter.broken", "adapter.other_shape", "adapter.unknown_tensor"}, part


def test_two_families_in_one_module_are_broken(known: dict[str, Any], tmp_path: Path) -> None:
    both = make.module("LoRA", SHAPE) | make.module("LoHa", SHAPE)
    path = save(tmp_path / "x.safetensors", {f"{NAME}.{key}": t for key, t in both.items()})
    assert refused(path, known).code == "adapter.broken"


def test_one_module_under_two_names_is_broken(known: dict[str, Any], tmp_path: Path) -> None:
    other = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
    tensors = {**kohya(NAME, SHAPE), **kohya(other, SHAPE)}
    assert refused(save(tmp_path / "x.safetensors", tensors), known).code == "adapter.broken"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(
    "dtype", mostly_long(["float32", "float16", "bfloat16", "float64", "float8_e5m2"], usual=2)
)
@pytest.mark.parametrize("part", ["lora_up.weight", "alpha"])
def test_numbers_that_are_none_are_refused(
    known: dict[str, Any], tmp_path: Path, value: float, dtype: str, part: str
) -> None:
    tensors = make.module("LoRA", SHAPE)
    if part == "alpha":
        tensors[part] = torch.tensor(value)
    else:
        tensors[part][3, 1] = value
    tensors = {f"{NAME}.{key}": t.to(getattr(torch, dtype)) for key, t in tensors.items()}
    failure = refused(save(tmp_path / "x.safetensors", tensors), known)
    assert (failure.code, failure.params["module"]) == ("adapter.not_finite", NAME)


@pytest.mark.parametrize("family", ["LoRA", "LoHa", "LoKr"])
def test_a_scale_beyond_all_weights_is_refused(
    known: dict[str, Any], tmp_path: Path, family: str
) -> None:
    tensors = make.module(family, SHAPE) | {"alpha": torch.tensor(1e300, dtype=torch.float64)}
    named = {f"{NAME}.{key}": tensor for key, tensor in tensors.items()}
    assert refused(save(tmp_path / "x.safetensors", named), known).code == "adapter.broken"


def test_numbers_that_are_not_used_may_be_none(known: dict[str, Any], tmp_path: Path) -> None:
    tensors = {**kohya(NAME, SHAPE), **kohya("lora_unet_x", SHAPE)}
    tensors["lora_unet_x.lora_up.weight"][0, 0] = float("nan")
    assert read(save(tmp_path / "x.safetensors", tensors), known).matched == 1


def test_8_bit_numbers_and_whole_alphas_are_read(known: dict[str, Any], tmp_path: Path) -> None:
    """Mixed with others, so that they are not aligned to their size."""
    tensors = make.module("LoRA", SHAPE, rank=3)
    tensors["lora_up.weight"] = tensors["lora_up.weight"].to(torch.float8_e4m3fn)
    tensors["alpha"] = torch.tensor(6)
    named = {f"{NAME}.{key}": tensor for key, tensor in tensors.items()}
    delta = (
        read(save(tmp_path / "x.safetensors", named), known).changes[0].delta(torch.zeros(SHAPE))
    )
    expected = 2.0 * tensors["lora_up.weight"].float() @ tensors["lora_down.weight"]
    torch.testing.assert_close(delta, expected)


def test_unaligned_numbers_are_read(known: dict[str, Any], tmp_path: Path) -> None:
    down, up = torch.randn(2, 64), torch.randn(64, 2)
    parts: dict[str, Any] = {
        "pad.alpha": b"\0",
        f"{NAME}.lora_down.weight": down,
        f"{NAME}.lora_up.weight": up,
    }
    header, data = {}, b""
    for name, tensor in parts.items():
        raw = tensor if isinstance(tensor, bytes) else tensor.numpy().tobytes()
        shape = [1] if isinstance(tensor, bytes) else list(tensor.shape)
        dtype = "U8" if isinstance(tensor, bytes) else "F32"
        place = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": place}
        data += raw
    text = json.dumps(header).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    delta = read(path, known).changes[0].delta(torch.zeros(SHAPE))
    torch.testing.assert_close(delta, up @ down)


def test_absurd_sizes_are_refused(
    known: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.engine.patches import file as module
    from bot.engine.patches.algorithms import algorithm

    path = save(tmp_path / "x.safetensors", kohya(NAME, SHAPE, rank=4))
    monkeypatch.setattr(algorithm, "RANK_LIMIT", 3)
    failure = refused(path, known)
    assert (failure.code, failure.params["rank"]) == ("adapter.rank_too_high", 4)
    monkeypatch.setattr(module, "FILE_LIMIT", 100)
    assert refused(path, known).code == "adapter.too_large"


def claiming(*tensors: dict[str, Any] | str, data: bytes = bytes(64)) -> bytes:
    """A file whose header declares this dtype for its tensors."""
    parts = [
        f'"m{n}.alpha":{t if isinstance(t, str) else json.dumps(t)}' for n, t in enumerate(tensors)
    ]
    header = ("{" + ",".join(parts) + "}").encode()
    return struct.pack("<Q", len(header)) + header + data


SCALAR = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b"PK\x03\x04 a zip, as torch.save writes", "a ZIP archive"),
        (b"\x80\x02}q\x00. a pickle, as torch.save wrote", "a pickle file"),
        (struct.pack("<Q", 2) + b"[]", "not a JSON object"),
        (struct.pack("<Q", 100_000) + b"[" * 100_000, "not JSON"),
        (claiming({**SCALAR, "shape": [9], "data_offsets": [0, 36]}, data=bytes(8)), "cut off"),
        (claiming({**SCALAR, "shape": [2**62, 4]}), "size of a tensor"),
        (claiming({**SCALAR, "dtype": ["F32"]}), "does not follow the format"),
        (claiming(SCALAR, {**SCALAR, "data_offsets": [2, 6]}), "overlap"),
        (claiming(*['{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'] * 100_000), "100000"),
    ],
    ids=range(10),
)
def test_what_is_no_safetensors_is_never_loaded(
    known: dict[str, Any], tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    failure = refused(path, known)
    assert failure.code == "adapter.not_safetensors"
    assert said in str(failure.params["reason"])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_is_not_waited_for(known: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    os.mkfifo(path)
    assert refused(path, known).code == "adapter.not_safetensors"


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1),
    cut=st.integers(0, 10_000),
)
def test_whatever_a_file_holds_it_is_read_or_refused(
    known: dict[str, Any], tmp_path: Path, changes: list[tuple[int, int]], cut: int
) -> None:
    path = save(tmp_path / "x.safetensors", kohya(NAME, SHAPE, rank=1))
    data = bytearray(path.read_bytes())
    for position, value in changes:
        data[position % len(data)] = value
    path.write_bytes(bytes(data[: cut or None]))
    with contextlib.suppress(JobFailed):
        read(path, known)


def test_a_file_that_is_cut_while_it_is_read(
    known: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "x.safetensors", kohya(NAME, SHAPE))

    def opened_then_cut(path: Path) -> Any:
        opened = open_tensors(path)
        os.truncate(path, path.stat().st_size - 100)
        return opened

    monkeypatch.setattr("bot.engine.patches.file.open_tensors", opened_then_cut)
    assert refused(path, known).code == "adapter.not_safetensors"


def test_a_file_that_goes_before_it_is_read(known: dict[str, Any], tmp_path: Path) -> None:
    failure = refused(tmp_path / "x.safetensors", known)
    assert (failure.code, failure.params["path"]) == ("adapter.missing", "x.safetensors")


def test_a_file_may_be_replaced_after_it_was_read(known: dict[str, Any], tmp_path: Path) -> None:
    """Its tensors are in RAM, not mapped from the file, or truncating it would end the process."""
    path = save(tmp_path / "x.safetensors", kohya(NAME, SHAPE))
    change = read(path, known).changes[0]
    base = torch.zeros(SHAPE)
    before = change.delta(base)
    path.write_bytes(b"")
    assert torch.equal(change.delta(base), before)


def test_a_stopped_job_stops_the_reading(known: dict[str, Any], tmp_path: Path) -> None:
    from bot.engine.patches import read

    class Stopped(Exception):
        pass

    def stop() -> None:
        raise Stopped

    path = save(tmp_path / "x.safetensors", kohya(NAME, SHAPE))
    with pytest.raises(Stopped):
        read(path, known, BASES, subject(stop))


DEEP = "model.diffusion_model.middle_block.1.transformer_blocks.0."
OTHER_FILES: list[tuple[dict[str, tuple[int, ...]], str]] = [
    ({"decoder.conv_in.weight": (8, 4, 3, 3), "encoder.conv_in.weight": (8, 3, 3, 3)}, "VAE"),
    ({"first_stage_model.decoder.conv_in.weight": (8, 4, 3, 3)}, "VAE"),
    ({"text_model.embeddings.token_embedding.weight": (8, 768)}, "text encoder (CLIP)"),
    ({"encoder.block.0.layer.0.SelfAttention.q.weight": (8, 8)}, "text encoder (T5)"),
    ({"conv_first.weight": (8, 3, 3, 3)}, "upscaler"),
    ({"double_blocks.0.img_attn.qkv.weight": (8, 8), "img_in.weight": (8, 64)}, "Flux (schnell)"),
    (
        {
            "model.diffusion_model.input_blocks.0.0.weight": (8, 4, 3, 3),
            "model.diffusion_model.label_emb.0.0.weight": (8, 2816),
            f"{DEEP}attn2.to_k.weight": (8, 2048),
            "first_stage_model.decoder.conv_in.weight": (8, 4, 3, 3),
        },
        "SDXL checkpoint",
    ),
]


@pytest.mark.parametrize(("shapes", "kind"), OTHER_FILES)
def test_a_file_of_another_kind_is_called_what_it_is(
    known: dict[str, Any], tmp_path: Path, shapes: dict[str, tuple[int, ...]], kind: str
) -> None:
    path = save(tmp_path / "x.safetensors", {n: torch.zeros(s) for n, s in shapes.items()})
    failure = refused(path, known)
    assert failure.code == "adapter.something_else"
    assert str(failure.params["kind"]).startswith(kind)
    assert failure.params["kind"] == catalogued(path).other
