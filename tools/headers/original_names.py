"""The names of diffusers and transformers as others write them."""

import re
from collections.abc import Callable, Mapping
from math import prod
from typing import Final

from tools.headers.shapes import Shapes, built

_DOUBLE: Final = r"^transformer_blocks\.(\d+)\."
_SINGLE: Final = r"^single_transformer_blocks\.(\d+)\."
_FLUX: Final = (
    (r"^x_embedder\.", "img_in."),
    (r"^context_embedder\.", "txt_in."),
    (r"^time_(?:text|guidance)_embed\.timestep_embedder\.linear_1", "time_in.in_layer"),
    (r"^time_(?:text|guidance)_embed\.timestep_embedder\.linear_2", "time_in.out_layer"),
    (r"^time_(?:text|guidance)_embed\.guidance_embedder\.linear_1", "guidance_in.in_layer"),
    (r"^time_(?:text|guidance)_embed\.guidance_embedder\.linear_2", "guidance_in.out_layer"),
    (r"^time_text_embed\.text_embedder\.linear_1", "vector_in.in_layer"),
    (r"^time_text_embed\.text_embedder\.linear_2", "vector_in.out_layer"),
    (r"modulation(\w*)\.linear\.", r"modulation\1.lin."),
    (r"^norm_out\.linear", "final_layer.adaLN_modulation.1"),
    (r"^proj_out", "final_layer.linear"),
    *(
        (_DOUBLE + name, rf"double_blocks.\1.{original}")
        for name, original in (
            (r"norm1\.linear", "img_mod.lin"),
            (r"norm1_context\.linear", "txt_mod.lin"),
            (r"attn\.norm_q\.weight", "img_attn.norm.query_norm.scale"),
            (r"attn\.norm_k\.weight", "img_attn.norm.key_norm.scale"),
            (r"attn\.norm_added_q\.weight", "txt_attn.norm.query_norm.scale"),
            (r"attn\.norm_added_k\.weight", "txt_attn.norm.key_norm.scale"),
            (r"attn\.to_out\.0", "img_attn.proj"),
            (r"attn\.to_add_out", "txt_attn.proj"),
            (r"ff\.(?:linear_in|net\.0\.proj)", "img_mlp.0"),
            (r"ff\.(?:linear_out|net\.2)", "img_mlp.2"),
            (r"ff_context\.(?:linear_in|net\.0\.proj)", "txt_mlp.0"),
            (r"ff_context\.(?:linear_out|net\.2)", "txt_mlp.2"),
        )
    ),
    *(
        (_SINGLE + name, rf"single_blocks.\1.{original}")
        for name, original in (
            (r"norm\.linear", "modulation.lin"),
            (r"attn\.norm_q\.weight", "norm.query_norm.scale"),
            (r"attn\.norm_k\.weight", "norm.key_norm.scale"),
            (r"attn\.to_qkv_mlp_proj", "linear1"),
            (r"(?:attn\.to_out|proj_out)", "linear2"),
        )
    ),
)
"""Names of diffusers → those of Black Forest Labs, in the converters of diffusers'
loaders/single_file_utils.py read backwards; those of fused tensors apart."""
_FUSED: Final = (
    (_DOUBLE + r"attn\.to_[qkv]\.", r"double_blocks.\1.img_attn.qkv."),
    (_DOUBLE + r"attn\.add_[qkv]_proj\.", r"double_blocks.\1.txt_attn.qkv."),
    (_SINGLE + r"(?:attn\.to_[qkv]|proj_mlp)\.", r"single_blocks.\1.linear1."),
)


def _of_black_forest(shapes: Shapes) -> Shapes:
    renamed: Shapes = {}
    for name, shape in shapes.items():
        if (fused := _first(_FUSED, name)) != name:
            rows = renamed.get(fused, (0,))[0] + shape[0]
            renamed[fused] = (rows, *shape[1:])
        else:
            renamed[_first(_FLUX, name)] = shape
    return renamed


_CHROMA: Final = (
    (r"^(distilled_guidance_layer\.norms\.\d+)\.weight", r"\1.scale"),
    (r"^(distilled_guidance_layer\.layers\.\d+)\.linear_1\.", r"\1.in_layer."),
    (r"^(distilled_guidance_layer\.layers\.\d+)\.linear_2\.", r"\1.out_layer."),
)
"""The same for what Chroma has and FLUX.1 has not."""


def _of_lodestone(shapes: Shapes) -> Shapes:
    return _of_black_forest({_first(_CHROMA, name): shape for name, shape in shapes.items()})


_KREA: Final = (
    (r"^img_in\.", "first."),
    (r"^time_embed\.linear_1\.", "tmlp.0."),
    (r"^time_embed\.linear_2\.", "tmlp.2."),
    (r"^time_mod_proj\.", "tproj.1."),
    (r"^txt_in\.norm\.weight", "txtmlp.0.scale"),
    (r"^txt_in\.linear_1\.", "txtmlp.1."),
    (r"^txt_in\.linear_2\.", "txtmlp.3."),
    (r"^final_layer\.scale_shift_table", "last.modulation.lin"),
    (r"^final_layer\.norm\.weight", "last.norm.scale"),
    (r"^final_layer\.linear\.", "last.linear."),
    (r"^text_fusion\.", "txtfusion."),
    (r"^transformer_blocks\.", "blocks."),
    (r"\.attn\.to_([qkv])\.", r".attn.w\1."),
    (r"\.attn\.to_out\.0\.", ".attn.wo."),
    (r"\.attn\.to_gate\.", ".attn.gate."),
    (r"\.attn\.norm_([qk])\.weight", r".attn.qknorm.\1norm.scale"),
    (r"\.ff\.", ".mlp."),
    (r"\.norm1\.weight", ".prenorm.scale"),
    (r"\.norm2\.weight", ".postnorm.scale"),
    (r"\.scale_shift_table", ".mod.lin"),
)
"""Names of diffusers → those of Krea, as for `_FLUX`."""


def _of_krea(shapes: Shapes) -> Shapes:
    renamed = {_every(_KREA, name): shape for name, shape in shapes.items()}
    # What modulates a block is one row there.
    return {n: (prod(s),) if n.endswith(".mod.lin") else s for n, s in renamed.items()}


_ANIMA: Final = (
    (r"^patch_embed\.proj\.", "x_embedder.proj.1."),
    (r"^time_embed\.t_embedder\.", "t_embedder.1."),
    (r"^time_embed\.norm\.", "t_embedding_norm."),
    (r"^proj_out\.", "final_layer.linear."),
    (r"^norm_out\.linear_(\d)\.", r"final_layer.adaln_modulation.\1."),
    *(
        (rf"^transformer_blocks\.(\d+)\.{ours}", rf"blocks.\1.{theirs}")
        for ours, theirs in (
            (r"norm1\.linear_(\d)\.", r"adaln_modulation_self_attn.\2."),
            (r"norm2\.linear_(\d)\.", r"adaln_modulation_cross_attn.\2."),
            (r"norm3\.linear_(\d)\.", r"adaln_modulation_mlp.\2."),
            (r"attn1\.to_out\.0\.", "self_attn.output_proj."),
            (r"attn2\.to_out\.0\.", "cross_attn.output_proj."),
            (r"attn1\.to_([qkv])\.", r"self_attn.\2_proj."),
            (r"attn2\.to_([qkv])\.", r"cross_attn.\2_proj."),
            (r"attn1\.norm_([qk])\.", r"self_attn.\2_norm."),
            (r"attn2\.norm_([qk])\.", r"cross_attn.\2_norm."),
            (r"ff\.net\.0\.proj\.", "mlp.layer1."),
            (r"ff\.net\.2\.", "mlp.layer2."),
        )
    ),
)
"""Names of diffusers → those of NVIDIA, as for `_FLUX`."""


def _of_anima(shapes: Shapes) -> Shapes:
    """With the text conditioner, which the authors' file has inside the transformer."""
    within = {f"llm_adapter.{n}": s for n, s in built("AnimaTextConditioner", {}).items()}
    return {**{_first(_ANIMA, name): shape for name, shape in shapes.items()}, **within}


_ZIMAGE: Final = (
    (r"^all_(x_embedder|final_layer)\.2-1\.", r"\1."),
    (r"\.attention\.to_[qkv]\.", ".attention.qkv."),
    (r"\.attention\.to_out\.0\.", ".attention.out."),
    (r"\.attention\.norm_([qk])\.", r".attention.\1_norm."),
)
"""Names of diffusers → those of Alibaba's Tongyi Lab, as for `_FLUX`."""


def _of_tongyi(shapes: Shapes) -> Shapes:
    renamed: Shapes = {}
    for name, shape in shapes.items():
        own = _first(_ZIMAGE, name)
        fused = ".attention.qkv." in own
        renamed[own] = (renamed.get(own, (0,))[0] + shape[0], *shape[1:]) if fused else shape
    return renamed


_LDM: Final = (
    (r"^(en|de)coder\.conv_norm_out\.", r"\1coder.norm_out."),
    (r"\.mid_block\.resnets\.0\.", ".mid.block_1."),
    (r"\.mid_block\.resnets\.1\.", ".mid.block_2."),
    (r"\.mid_block\.attentions\.0\.group_norm\.", ".mid.attn_1.norm."),
    (r"\.mid_block\.attentions\.0\.to_out\.0\.", ".mid.attn_1.proj_out."),
    (r"\.mid_block\.attentions\.0\.to_([qkv])\.", r".mid.attn_1.\1."),
    (r"\.down_blocks\.(\d)\.resnets\.", r".down.\1.block."),
    (r"\.down_blocks\.(\d)\.downsamplers\.0\.", r".down.\1.downsample."),
    *(
        (rf"\.up_blocks\.{block}\.{ours}\.", f".up.{3 - block}.{theirs}.")
        for block in range(4)
        for ours, theirs in (("resnets", "block"), (r"upsamplers\.0", "upsample"))
    ),
    (r"\.conv_shortcut\.", ".nin_shortcut."),
)
"""The same for a VAE of the code of latent diffusion, whose attention is of 1×1 convolutions."""
_LDM_OF_FLUX2: Final = (
    *_LDM,
    (r"^quant_conv\.", "encoder.quant_conv."),
    (r"^post_quant_conv\.", "decoder.post_quant_conv."),
)


def _of_ldm(shapes: Shapes) -> Shapes:
    table = _LDM_OF_FLUX2 if "bn.running_mean" in shapes else _LDM
    renamed = {_every(table, name): shape for name, shape in shapes.items()}
    return {
        name: (*shape, 1, 1) if ".attn_1." in name and len(shape) == 2 else shape
        for name, shape in renamed.items()
    }


_IN_WAN: Final = {"norm1": 0, "conv1": 2, "norm2": 3, "conv2": 6}
_WAN: Final = (
    *(
        (rf"^((?:en|de)coder\..*)\.{ours}\.", rf"\1.residual.{theirs}.")
        for ours, theirs in _IN_WAN.items()
    ),
    (r"^quant_conv\.", "conv1."),
    (r"^post_quant_conv\.", "conv2."),
    (r"^(en|de)coder\.conv_in\.", r"\1coder.conv1."),
    (r"^(en|de)coder\.norm_out\.", r"\1coder.head.0."),
    (r"^(en|de)coder\.conv_out\.", r"\1coder.head.2."),
    (r"\.mid_block\.resnets\.0\.", ".middle.0."),
    (r"\.mid_block\.attentions\.0\.", ".middle.1."),
    (r"\.mid_block\.resnets\.1\.", ".middle.2."),
    (r"\.down_blocks\.", ".downsamples."),
    *(
        (rf"\.up_blocks\.{block}\.{ours}\.", f".upsamples.{4 * block + number}.")
        for block in range(4)
        for number, ours in enumerate((*(rf"resnets\.{n}" for n in range(3)), r"upsamplers\.0"))
    ),
    (r"\.conv_shortcut\.", ".shortcut."),
)
"""The same for the VAE of Wan, which is Qwen-Image's."""


def _of_wan(shapes: Shapes) -> Shapes:
    return {_every(_WAN, name): shape for name, shape in shapes.items()}


_LLAMA: Final = (
    (r"^model\.embed_tokens\.", "token_embd."),
    (r"^model\.norm\.", "output_norm."),
    (r"^lm_head\.", "output."),
    (r"^model\.layers\.", "blk."),
    (r"\.input_layernorm\.", ".attn_norm."),
    (r"\.post_attention_layernorm\.", ".ffn_norm."),
    (r"\.self_attn\.o_proj\.", ".attn_output."),
    (r"\.self_attn\.([qkv])_proj\.", r".attn_\1."),
    (r"\.self_attn\.([qk])_norm\.", r".attn_\1_norm."),
    (r"\.mlp\.(gate|up|down)_proj\.", r".ffn_\1."),
)
"""Names of transformers → those of llama.cpp (gguf-py/gguf/tensor_mapping.py and constants.py)."""


def _of_llama(shapes: Shapes) -> Shapes:
    return {_every(_LLAMA, name): shape for name, shape in shapes.items()}


_LLAMA_OF_T5: Final = (
    (r"^shared\.", "token_embd."),
    (r"^encoder\.final_layer_norm\.", "enc.output_norm."),
    (r"^encoder\.block\.", "enc.blk."),
    (r"\.layer\.0\.layer_norm\.", ".attn_norm."),
    (r"\.layer\.1\.layer_norm\.", ".ffn_norm."),
    (r"\.layer\.0\.SelfAttention\.relative_attention_bias\.", ".attn_rel_b."),
    (r"\.layer\.0\.SelfAttention\.([qkvo])\.", r".attn_\1."),
    (r"\.layer\.1\.DenseReluDense\.wi_0\.", ".ffn_gate."),
    (r"\.layer\.1\.DenseReluDense\.wi_1\.", ".ffn_up."),
    (r"\.layer\.1\.DenseReluDense\.wo\.", ".ffn_down."),
)


def _of_llama_t5(shapes: Shapes) -> Shapes:
    return {_every(_LLAMA_OF_T5, name): shape for name, shape in shapes.items()}


def _every(table: tuple[tuple[str, str], ...], name: str) -> str:
    for pattern, replacement in table:
        name = re.sub(pattern, replacement, name)
    return name


def _of_stability(attentive: tuple[bool, ...]) -> Callable[[Shapes], Shapes]:
    """attentive: whether each block on the way up has attention."""

    def renamed(shapes: Shapes) -> Shapes:
        from bot.engine.families.unet.adapter_names import Blocks, sgm_path

        blocks = Blocks(2, attentive)
        split = ((*name.rpartition(".")[::2], shape) for name, shape in shapes.items())
        return {f"{sgm_path(module, blocks)}.{leaf}": shape for module, leaf, shape in split}

    return renamed


_CONTROL: Final = (
    (r"^controlnet_cond_embedding\.conv_in\.", "input_hint_block.0."),
    *(
        (rf"^controlnet_cond_embedding\.blocks\.{number}\.", f"input_hint_block.{2 * number + 2}.")
        for number in range(6)
    ),
    (r"^controlnet_cond_embedding\.conv_out\.", "input_hint_block.14."),
    (r"^controlnet_down_blocks\.(\d+)\.", r"zero_convs.\1.0."),
    (r"^controlnet_mid_block\.", "middle_block_out.0."),
)
"""Names of diffusers → those of the author of ControlNet, in diffusers'
convert_controlnet_checkpoint read backwards; those that a UNet has as well apart."""


def _of_controlnet(prefix: str) -> Callable[[Shapes], Shapes]:
    """prefix: of the names, as in the files of ControlNet 1.0."""

    def renamed(shapes: Shapes) -> Shapes:
        own = {name: _first(_CONTROL, name) for name in shapes}
        unet = {name: shape for name, shape in shapes.items() if own[name] == name}
        control = {own[name]: shape for name, shape in shapes.items() if own[name] != name}
        original = {**_of_stability((False, True, True, True))(unet), **control}
        return {f"{prefix}{name}": shape for name, shape in original.items()}

    return renamed


def _of_tencent(shapes: Shapes) -> Shapes:
    """Of T2I-Adapter, as ComfyUI's load_t2i_adapter reads diffusers' names."""
    small = "adapter.conv_in.weight" not in shapes
    renamed = {}
    for name, shape in shapes.items():
        own = name.removeprefix("adapter.")
        if small:
            own = own.replace(".resnets.", ".body.")
        elif found := re.fullmatch(r"body\.(\d)\.(?:resnets\.(\d)\.)?(.*)", own):
            own = f"body.{2 * int(found[1]) + int(found[2] or 0)}.{found[3]}"
        renamed[own] = shape
    return renamed


def _first(table: tuple[tuple[str, str], ...], name: str) -> str:
    for pattern, replacement in table:
        renamed, found = re.subn(pattern, replacement, name)
        if found:
            return renamed
    return name


RENAMED: Final[Mapping[str, Callable[[Shapes], Shapes]]] = {
    "flux": _of_black_forest,
    "chroma": _of_lodestone,
    "anima": _of_anima,
    "krea2": _of_krea,
    "zimage": _of_tongyi,
    **dict.fromkeys(("vae-sd", "vae-flux1", "vae-flux2"), _of_ldm),
    "vae-qwen-image": _of_wan,
    **dict.fromkeys(("encoder-qwen3-06b", "encoder-qwen3-4b", "encoder-qwen3-8b"), _of_llama),
    "encoder-t5-xxl": _of_llama_t5,
    "controlnet-sd15": _of_controlnet("control_model."),
    "controlnet-sd2": _of_controlnet(""),
    "t2i-adapter": _of_tencent,
    "sd15": _of_stability((False, True, True, True)),
    "sdxl": _of_stability((True, True, False)),
}
"""What the names of models begin with → how their authors, or other programs, write them."""
