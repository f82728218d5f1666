"""Configurations that strangers wrote choose neither code nor sizes."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from bot.errors import JobFailed
from tests.engine.factories import TINY, catalog, digests, model, paint, request
from tests.parameters import mostly_long

ASKED = request(model="x")


@pytest.fixture
def folder(models_dir: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(models_dir / TINY, tmp_path / "copy"))


def say(folder: Path, file: str, **fields: Any) -> None:
    """Add fields to a configuration of the model in `folder`."""
    path = folder / file
    said = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**said, **fields}), encoding="utf-8")


def painted(engine: Engine, folder: Path) -> list[str]:
    return digests(paint(engine, ASKED, catalog([model("x", str(folder))])))


@pytest.fixture
def no_kernels(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kernels that transformers was made to look for, instead of loading them."""
    import transformers.modeling_utils as loading

    asked: list[str] = []

    def seen(implementation: object, *_: object, **__: object) -> bool:
        if isinstance(implementation, str) and "/" in implementation:
            asked.append(implementation)
        return False

    monkeypatch.setattr(loading, "is_kernel", seen)
    return asked


HARMLESS: dict[str, dict[str, Any]] = {
    "text_encoder/config.json": {
        "attn_implementation": "someone/kernel",
        "_attn_implementation": "someone/kernel",
        "_attn_implementation_internal": "someone/kernel",
        "experts_implementation": "someone/kernel",
        "trust_remote_code": True,
        "use_kernels": True,
        "torch_dtype": "os",
        "dtype": "float64",
        "gradient_checkpointing": True,
        "output_attentions": True,
        "return_dict": False,
        "use_return_dict": False,
        "per_layer_config": {"0": {"hidden_size": 1}},
        "chunk_size_feed_forward": 7,
        "dropout": 0.5,
        "invented": [1, 2],
    },
    "unet/config.json": {
        "_use_default_values": ["cross_attention_dim", "block_out_channels"],
        "_diffusers_version": "99",
        "invented": {"a": 1},
    },
    "vae/config.json": {"_use_default_values": ["latent_channels"], "invented": None},
    "tokenizer/tokenizer_config.json": {
        "auto_map_": "x",
        "chat_template": "{% for a in range(10**9) %}{{ a }}{% endfor %}",
        "name_or_path": "/etc/passwd",
        "vocab_file": "/etc/passwd",
        "init_inputs": ["/etc/passwd"],
        "processor_class": "Mine",
        "padding_side": "left",
    },
}


@pytest.mark.parametrize("file", mostly_long(HARMLESS, usual=2))
def test_what_chooses_code_or_is_unknown_changes_nothing(
    engine: Engine, folder: Path, no_kernels: list[str], file: str
) -> None:
    say(folder, file, **HARMLESS[file])
    assert painted(engine, folder) == digests(paint(engine, request()))
    assert no_kernels == []


def test_without_the_whitelist_a_kernel_would_be_loaded(no_kernels: list[str]) -> None:
    from transformers import CLIPTextConfig, CLIPTextModel

    raw = {"hidden_size": 32, "num_hidden_layers": 1, "attn_implementation": "someone/kernel"}
    with pytest.raises(ValueError, match="someone/kernel"):
        CLIPTextModel(CLIPTextConfig.from_dict(raw))
    assert no_kernels == ["someone/kernel"]


REFUSED = [
    ("text_encoder/config.json", "auto_map", {"AutoModel": "someone/code--m.Model"}),
    ("text_encoder/config.json", "model_type", "chatglm"),
    ("text_encoder/config.json", "architectures", ["ChatGLMModel"]),
    ("text_encoder/config.json", "hidden_act", "someone/act"),
    ("text_encoder/config.json", "num_hidden_layers", 10**9),
    ("text_encoder/config.json", "max_position_embeddings", 10**12),
    ("text_encoder/config.json", "vocab_size", True),
    ("text_encoder_2/config.json", "hidden_size", "48"),
    ("unet/config.json", "_class_name", "FluxTransformer2DModel"),
    ("unet/config.json", "custom_pipeline", "someone/pipeline"),
    ("unet/config.json", "block_out_channels", [10**9]),
    ("unet/config.json", "block_out_channels", [32] * 10_000),
    ("unet/config.json", "down_block_types", ["KDownBlock2D"]),
    ("unet/config.json", "class_embed_type", "timestep"),
    ("unet/config.json", "attention_type", "gated"),
    ("unet/config.json", "norm_eps", float("nan")),
    ("vae/config.json", "_class_name", "AutoencoderTiny"),
    ("vae/config.json", "latent_channels", 16),
    ("vae/config.json", "shift_factor", 0.1159),
    ("vae/config.json", "layers_per_block", 10**9),
    ("tokenizer/tokenizer_config.json", "tokenizer_class", "SomeonesTokenizer"),
    ("tokenizer/tokenizer_config.json", "auto_map", {"AutoTokenizer": ["a.B", None]}),
    ("tokenizer_2/tokenizer_config.json", "pad_token", ["a"]),
    ("tokenizer/tokenizer_config.json", "added_tokens_decoder", {"x": {"content": "a"}}),
]


@pytest.mark.parametrize(("file", "field", "value"), mostly_long(REFUSED, usual=8))
def test_what_would_change_the_result_is_refused_by_name(
    engine: Engine, folder: Path, file: str, field: str, value: object
) -> None:
    say(folder, file, **{field: value})
    with pytest.raises(JobFailed) as failure:
        painted(engine, folder)
    assert failure.value.code == "model.configuration"
    assert failure.value.params["field"] == f"{file.partition('/')[0]}.{field}"
    assert failure.value.params["allowed"]
    assert len(str(failure.value.params["value"])) <= 60
    # The engine goes on with what it had.
    assert digests(paint(engine, request()))


def test_layers_are_limited_together(engine: Engine, folder: Path) -> None:
    say(folder, "unet/config.json", transformer_layers_per_block=[64] * 8, layers_per_block=8)
    with pytest.raises(JobFailed) as failure:
        painted(engine, folder)
    assert failure.value.params["reason"] == "more than 1000 layers"


def test_a_configuration_that_is_no_object_is_refused(engine: Engine, folder: Path) -> None:
    (folder / "text_encoder" / "config.json").write_text("[]")
    with pytest.raises(JobFailed):
        painted(engine, folder)


def test_published_configurations_pass() -> None:
    """Of stabilityai/stable-diffusion-xl-base-1.0, with what older programs wrote into them."""
    from bot.engine.families import FAMILIES
    from bot.engine.subject import Subject

    checked = FAMILIES["sdxl"].checked_config
    subject = Subject("model", "x", lambda _: None, lambda: None)
    unet = {
        "_class_name": "UNet2DConditionModel", "_diffusers_version": "0.19.0.dev0",
        "act_fn": "silu", "addition_embed_type": "text_time", "addition_embed_type_num_heads": 64,
        "addition_time_embed_dim": 256, "attention_head_dim": [5, 10, 20],
        "block_out_channels": [320, 640, 1280], "center_input_sample": False,
        "class_embed_type": None, "class_embeddings_concat": False, "conv_in_kernel": 3,
        "conv_out_kernel": 3, "cross_attention_dim": 2048, "cross_attention_norm": None,
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
        "downsample_padding": 1, "dual_cross_attention": False, "encoder_hid_dim": None,
        "encoder_hid_dim_type": None, "flip_sin_to_cos": True, "freq_shift": 0, "in_channels": 4,
        "layers_per_block": 2, "mid_block_only_cross_attention": None,
        "mid_block_scale_factor": 1, "mid_block_type": "UNetMidBlock2DCrossAttn",
        "norm_eps": 1e-05, "norm_num_groups": 32, "num_attention_heads": None,
        "num_class_embeds": None, "only_cross_attention": False, "out_channels": 4,
        "projection_class_embeddings_input_dim": 2816, "resnet_out_scale_factor": 1.0,
        "resnet_skip_time_act": False, "resnet_time_scale_shift": "default", "sample_size": 128,
        "time_cond_proj_dim": None, "time_embedding_act_fn": None, "time_embedding_dim": None,
        "time_embedding_type": "positional", "timestep_post_act": None,
        "transformer_layers_per_block": [1, 2, 10],
        "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
        "upcast_attention": None, "use_linear_projection": True,
    }  # fmt: skip
    assert checked("unet", unet, subject) == {k: v for k, v in unet.items() if k[0] != "_"}
    ssd = {
        **unet,
        "transformer_layers_per_block": [0, 2, 4],
        "reverse_transformer_layers_per_block": [[4, 4, 10], [2, 1, 1], 0],
        "mid_block_type": None,
    }
    assert checked("unet", ssd, subject)["mid_block_type"] is None
    text = {
        "architectures": ["CLIPTextModel"], "attention_dropout": 0.0, "bos_token_id": 0,
        "dropout": 0.0, "eos_token_id": 2, "hidden_act": "quick_gelu", "hidden_size": 768,
        "initializer_factor": 1.0, "initializer_range": 0.02, "intermediate_size": 3072,
        "layer_norm_eps": 1e-05, "max_position_embeddings": 77, "model_type": "clip_text_model",
        "num_attention_heads": 12, "num_hidden_layers": 12, "pad_token_id": 1,
        "projection_dim": 768, "torch_dtype": "float16", "transformers_version": "4.32.0.dev0",
        "vocab_size": 49408,
    }  # fmt: skip
    assert checked("text_encoder", text, subject)["num_attention_heads"] == 12
    vae = {
        "_class_name": "AutoencoderKL", "_name_or_path": "../sdxl-vae/", "act_fn": "silu",
        "block_out_channels": [128, 256, 512, 512], "down_block_types": ["DownEncoderBlock2D"] * 4,
        "force_upcast": True, "in_channels": 3, "latent_channels": 4, "layers_per_block": 2,
        "norm_num_groups": 32, "out_channels": 3, "sample_size": 1024,
        "scaling_factor": 0.13025, "up_block_types": ["UpDecoderBlock2D"] * 4,
    }  # fmt: skip
    assert checked("vae", vae, subject)["scaling_factor"] == 0.13025


OF_TOKENS: dict[str, dict[str, Any]] = {
    "tokenizer_config.json": {
        "add_prefix_space": False,
        "do_lower_case": True,
        "errors": "replace",
        "model_max_length": 77,
        "pad_token": "!",
        "bos_token": {
            "__type": "AddedToken", "content": "<|startoftext|>", "lstrip": False,
            "normalized": True, "rstrip": False, "single_word": False,
        },
        "special_tokens_map_file": "./special_tokens_map.json",
        "name_or_path": "openai/clip-vit-large-patch14",
        "tokenizer_class": "CLIPTokenizer",
    },
    "special_tokens_map.json": {"eos_token": "<|endoftext|>", "pad_token": "!"},
    "added_tokens.json": {"<|endoftext|>": 0, "<fox>": 1},
}  # fmt: skip


@pytest.mark.parametrize("files", [[], ["tokenizer_config.json"], [*OF_TOKENS]])
def test_a_tokenizer_is_what_transformers_makes_of_its_files(
    models_dir: Path, tmp_path: Path, files: list[str]
) -> None:
    from transformers import CLIPTokenizer

    from bot.engine.families import family_of
    from bot.engine.subject import Subject

    folder = Path(shutil.copytree(models_dir / TINY / "tokenizer", tmp_path / "tokenizer"))
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    for file in files:
        said = dict(OF_TOKENS[file])
        if file == "added_tokens.json":
            end = vocabulary["<|endoftext|>"]
            said = {"<|endoftext|>": end, "<fox>": end + 1}
        (folder / file).write_text(json.dumps(said), encoding="utf-8")
    subject = Subject("model", "x", lambda _: None, lambda: None)
    ours = family_of(model("x", "y")).tokenizer(folder, subject)
    theirs = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    for name in ("bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id"):
        assert getattr(ours, name) == getattr(theirs, name)
    for text in ("A Fox in the snow, ~ 12 <fox> <|endoftext|> é漢", "", " ! ", "the  DOG"):
        for special in (True, False):
            ids = [each(text, add_special_tokens=special).input_ids for each in (ours, theirs)]
            assert ids[0] == ids[1]
