"""What adapter files of many programs call the modules of a diffusion transformer."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.factories import save
from tests.engine.patches import make
from tests.engine.patches.reading import read

WIDTH = 32


def attention(*, added: bool) -> torch.nn.Module:
    module = torch.nn.Module()
    for name in ("to_q", "to_k", "to_v", *(("add_q_proj", "add_k_proj", "add_v_proj") * added)):
        module.add_module(name, torch.nn.Linear(WIDTH, WIDTH, bias=False))
    module.norm_q = torch.nn.RMSNorm(8)
    module.to_out = torch.nn.ModuleList([torch.nn.Linear(WIDTH, WIDTH), torch.nn.Dropout()])
    return module


def transformer() -> torch.nn.Module:
    """Two layers of two streams, one of one, and a last modulation."""
    module = torch.nn.Module()
    for name, layers in (("transformer_blocks", 2), ("single_transformer_blocks", 1)):
        blocks = torch.nn.ModuleList()
        for _ in range(layers):
            block = torch.nn.Module()
            block.attn = attention(added=name == "transformer_blocks")
            blocks.append(block)
        module.add_module(name, blocks)
    module.norm_out = torch.nn.Module()
    module.norm_out.linear = torch.nn.Linear(WIDTH, 2 * WIDTH)
    return module


def originals() -> Any:
    from bot.engine.patches.spelling import Share

    attn = "transformer_blocks.{}.attn"
    return {
        "double_blocks.{}.img_attn.qkv": (f"{attn}.to_q", f"{attn}.to_k", f"{attn}.to_v"),
        "double_blocks.{}.img_attn.proj": f"{attn}.to_out.0",
        "double_blocks.{}.img_attn.norm.query_norm": f"{attn}.norm_q",
        "double_blocks.{}.img_mlp.0": f"{attn}.nowhere",
        "double_blocks.{}.both": (f"{attn}.to_q", f"{attn}.nowhere"),
        "final_layer.adaLN_modulation.1": (
            Share("norm_out.linear", 1, 2),
            Share("norm_out.linear", 0, 2),
        ),
    }


def known() -> dict[str, Any]:
    from bot.engine.patches.spelling import denoiser_names

    return denoiser_names("transformer", transformer(), originals())


def as_written(path: str) -> list[str]:
    """The names of a module by program."""
    flat = path.replace(".", "_")
    return [
        *(path, f"base_model.model.{path}", f"transformer.{path}", f"diffusion_model.{path}"),
        f"transformer.base_model.model.{path}",
        *(f"lora_unet_{flat}", f"lora_unet__{flat}", f"lora_transformer_{flat}"),
        *(f"lycoris_{flat}", f"model.diffusion_model.{path}"),
    ]


PATHS = {
    "transformer_blocks.1.attn.to_q": ("transformer_blocks.1.attn.to_q",),
    "transformer_blocks.1.attn.to_out.0": ("transformer_blocks.1.attn.to_out.0",),
    "double_blocks.1.img_attn.proj": ("transformer_blocks.1.attn.to_out.0",),
    "double_blocks.0.img_attn.qkv": tuple(f"transformer_blocks.0.attn.to_{x}" for x in "qkv"),
    "transformer_blocks.0.attn.to_qkv": tuple(f"transformer_blocks.0.attn.to_{x}" for x in "qkv"),
    "single_transformer_blocks.0.attn.to_kv": tuple(
        f"single_transformer_blocks.0.attn.to_{x}" for x in "kv"
    ),
    "transformer_blocks.1.attn.to_added_qkv": tuple(
        f"transformer_blocks.1.attn.add_{x}_proj" for x in "qkv"
    ),
    "final_layer.adaLN_modulation.1": ("norm_out.linear", "norm_out.linear"),
}


@pytest.mark.parametrize("path", PATHS)
def test_every_program_may_spell_a_module(path: str, tmp_path: Path) -> None:
    """In any of its names for LoRA, and all of them the same modules."""
    rows = WIDTH * len(PATHS[path])
    names = known()
    pairs = (
        ("lora_A.weight", "lora_B.weight"),
        ("lora_A", "lora_B"),
        ("lora_down.weight", "lora_up.weight"),
    )
    for name in as_written(path):
        for down, up in pairs:
            tensors = {
                f"{name}.{down}": torch.ones(4, WIDTH),
                f"{name}.{up}": torch.ones(rows, 4),
            }
            file = read(save(tmp_path / "x.safetensors", tensors), names)
            assert (file.total, file.matched) == (1, 1), name
            wanted = [f"{module}.weight" for module in PATHS[path]]
            assert [change.parameter for change in file.changes] == wanted, name


def test_an_export_that_lost_the_beginning_of_a_name_is_read(tmp_path: Path) -> None:
    path = make.file(
        tmp_path / "x.safetensors",
        "LoRA",
        {"diffusion_model.sformer_blocks.1.attn.to_q": (WIDTH, WIDTH)},
    )
    (change,) = read(path, known()).changes
    assert change.parameter == "transformer_blocks.1.attn.to_q.weight"


def test_the_halves_of_the_last_modulation_change_places(tmp_path: Path) -> None:
    name = "diffusion_model.final_layer.adaLN_modulation.1"
    shift_then_scale = torch.cat([torch.full((WIDTH, WIDTH), 1.0), torch.full((WIDTH, WIDTH), 2.0)])
    bias = torch.cat([torch.full((WIDTH,), 3.0), torch.full((WIDTH,), 4.0)])
    tensors = {f"{name}.diff": shift_then_scale, f"{name}.diff_b": bias}
    file = read(save(tmp_path / "x.safetensors", tensors), known())
    weight, both = torch.zeros(2 * WIDTH, WIDTH), torch.zeros(2 * WIDTH)
    for change in file.changes:
        total = both if change.parameter.endswith("bias") else weight
        change.add_to(total, total.clone(), 1.0)
    assert torch.equal(weight, shift_then_scale.roll(WIDTH, 0))
    assert torch.equal(both, bias.roll(WIDTH, 0))


def test_a_name_for_something_that_the_model_lacks_in_part_is_no_name_at_all() -> None:
    names = known()
    assert not any("double_blocks.0.both" in name or "img_mlp" in name for name in names)
    assert not any("double_blocks.2" in name for name in names)
    assert "double_blocks.1.img_attn.qkv" in names


def test_rows_that_cannot_be_shared_are_a_mistake_of_ours() -> None:
    from bot.engine.patches.spelling import Share, denoiser_names

    with pytest.raises(ValueError, match="64 rows, which 3 cannot share"):
        denoiser_names("transformer", transformer(), {"x": (Share("norm_out.linear", 0, 3),)})


def test_a_network_that_is_inside_the_transformer_in_files_has_no_name_of_its_own() -> None:
    """Anima's conditioner, whose blocks would else take the names of the transformer's."""
    from bot.engine.patches.spelling import Prefixes, denoiser_names

    conditioner = transformer()
    inside = {f"llm_adapter.{path}": path for path, _ in conditioner.named_modules() if path}
    names: Any = denoiser_names(
        "text_conditioner", conditioner, inside, own=Prefixes(("text_conditioner.",))
    )
    path = "transformer_blocks.0.attn.to_q"
    assert names[f"lora_unet_llm_adapter_{path.replace('.', '_')}"].path == path
    assert names[f"text_conditioner.{path}"].path == path
    assert not any(name.startswith((path, f"diffusion_model.{path}")) for name in names)


@pytest.mark.parametrize("head", [False, True])
def test_every_program_may_spell_a_text_encoder(head: bool, tmp_path: Path) -> None:
    from transformers import Qwen3Config, Qwen3ForCausalLM, Qwen3Model

    from bot.engine.patches.spelling import encoder_names

    config = Qwen3Config(
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=16,
        vocab_size=10,
    )
    with torch.device("meta"):
        encoder = (Qwen3ForCausalLM if head else Qwen3Model)(config)
    names = encoder_names("text_encoder", encoder, "qwen3_4b")
    path = "layers.0.self_attn.q_proj"
    for name in (
        f"text_encoder.{path}",
        f"text_encoder.model.{path}",
        f"text_encoders.qwen3_4b.transformer.model.{path}",
        "lora_te_layers_0_self_attn_q_proj",
        "lora_te1_model_layers_0_self_attn_q_proj",
    ):
        file = read(make.file(tmp_path / "x.safetensors", "LoRA", {name: (WIDTH, WIDTH)}), names)
        (change,) = file.changes
        wanted = f"model.{path}" if head else path
        assert (change.part, change.parameter) == ("text_encoder", f"{wanted}.weight")


# --- norms ------------------------------------------------------------------------------------


def norms() -> list[Any]:
    from diffusers.models.normalization import RMSNorm
    from transformers.models.qwen3.modeling_qwen3 import Qwen3RMSNorm

    return [torch.nn.RMSNorm(8), RMSNorm(8, eps=1e-6), Qwen3RMSNorm(8)]


@pytest.mark.parametrize("kind", [0, 1, 2])
@pytest.mark.parametrize("role", ["diff", "w_norm"])
def test_an_rms_norm_is_changed_by_files_of_differences(
    kind: int, role: str, tmp_path: Path
) -> None:
    """ComfyUI's extraction of a LoRA writes `diff` for it, LyCORIS `w_norm`."""
    from bot.engine.patches import Target

    target = Target.of("transformer", "norm_q", norms()[kind])
    assert target == Target("transformer", "norm_q", (8,), has_bias=False)
    path = save(tmp_path / "x.safetensors", {f"norm_q.{role}": torch.arange(8.0)})
    (change,) = read(path, {"norm_q": target}).changes
    assert change.parameter == "norm_q.weight"
    assert torch.equal(change.delta(torch.ones(8)), torch.arange(8.0))


def test_a_norm_without_weights_is_none_that_an_adapter_changes() -> None:
    from diffusers.models.normalization import RMSNorm

    from bot.engine.patches import Target

    without = [torch.nn.RMSNorm(8, elementwise_affine=False)]
    without.append(RMSNorm(8, eps=1e-6, elementwise_affine=False))
    assert not any(Target.of("transformer", "norm", each) for each in without)
    assert Target.of("transformer", "embed", torch.nn.Embedding(4, 8)) is None
