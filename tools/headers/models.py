"""The published models, and what tells them from the defaults of their classes."""

from collections.abc import Mapping
from typing import Any, Final

_KLEIN: Final = {"attention_head_dim": 128, "guidance_embeds": False}
_SDXL: Final = {
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "attention_head_dim": (5, 10, 20),
    "block_out_channels": (320, 640, 1280),
    "cross_attention_dim": 2048,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "projection_class_embeddings_input_dim": 2816,
    "transformer_layers_per_block": (1, 2, 10),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "use_linear_projection": True,
}
_KL: Final = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "layers_per_block": 2,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
}
_CONTROL_SDXL: Final = {name: it for name, it in _SDXL.items() if name != "up_block_types"}
_HINTS_OF_UNIONS: Final = {"conditioning_embedding_out_channels": (48, 96, 192, 384)}
_T2I: Final = {"in_channels": 3, "channels": (320, 640, 1280, 1280), "num_res_blocks": 2}
_QWEN3: Final = {"vocab_size": 151_936, "num_key_value_heads": 8, "head_dim": 128}
MODELS: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "sd15": ("UNet2DConditionModel", {"cross_attention_dim": 768}),
    "sd2": (
        "UNet2DConditionModel",
        {
            "attention_head_dim": (5, 10, 20, 20),
            "cross_attention_dim": 1024,
            "use_linear_projection": True,
        },
    ),
    "sdxl": ("UNet2DConditionModel", _SDXL),
    "kolors": (
        "UNet2DConditionModel",
        {
            **_SDXL,
            "encoder_hid_dim": 4096,
            "encoder_hid_dim_type": "text_proj",
            "projection_class_embeddings_input_dim": 5632,
        },
    ),
    "flux2-klein-4b": (
        "Flux2Transformer2DModel",
        {
            **_KLEIN,
            "joint_attention_dim": 7680,
            "num_attention_heads": 24,
            "num_layers": 5,
            "num_single_layers": 20,
        },
    ),
    "flux2-klein-9b": (
        "Flux2Transformer2DModel",
        {
            **_KLEIN,
            "joint_attention_dim": 12288,
            "num_attention_heads": 32,
            "num_layers": 8,
            "num_single_layers": 24,
        },
    ),
    "flux2-dev": ("Flux2Transformer2DModel", {}),
    "flux1-dev": ("FluxTransformer2DModel", {"guidance_embeds": True}),
    "flux1-schnell": ("FluxTransformer2DModel", {}),
    "chroma": ("ChromaTransformer2DModel", {}),
    "zimage": ("ZImageTransformer2DModel", {}),
    "anima": (
        "CosmosTransformer3DModel",
        {
            "adaln_lora_dim": 256,
            "attention_head_dim": 128,
            "extra_pos_embed_type": None,
            "in_channels": 16,
            "num_attention_heads": 16,
            "num_layers": 28,
            "text_embed_dim": 1024,
        },
    ),
    "qwen-image": ("QwenImageTransformer2DModel", {}),
    "hidream": (
        "HiDreamImageTransformer2DModel",
        {
            "axes_dims_rope": (64, 32, 32),
            "caption_channels": (4096, 4096),
            "in_channels": 16,
            "out_channels": 16,
            "patch_size": 2,
        },
    ),
    "krea2": ("Krea2Transformer2DModel", {}),
    "ideogram4": ("Ideogram4Transformer2DModel", {}),
    "sana": ("SanaTransformer2DModel", {}),
    "pixart": ("PixArtTransformer2DModel", {}),
    "lumina2": ("Lumina2Transformer2DModel", {}),
    "auraflow": ("AuraFlowTransformer2DModel", {}),
    "sd3": ("SD3Transformer2DModel", {}),
    "cosmos": ("CosmosTransformer3DModel", {}),
    "hunyuan-video": ("HunyuanVideoTransformer3DModel", {}),
    "wan": ("WanTransformer3DModel", {}),
    "ltx-video": ("LTXVideoTransformer3DModel", {}),
    "controlnet-sd15": ("ControlNetModel", {"cross_attention_dim": 768}),
    "controlnet-sd2": (
        "ControlNetModel",
        {
            "attention_head_dim": (5, 10, 20, 20),
            "cross_attention_dim": 1024,
            "use_linear_projection": True,
        },
    ),
    "controlnet-sdxl": ("ControlNetModel", _CONTROL_SDXL),
    "controlnet-sdxl-small": (
        "ControlNetModel",
        {
            **_CONTROL_SDXL,
            "attention_head_dim": 8,
            "down_block_types": ("DownBlock2D",) * 3,
            "mid_block_type": "UNetMidBlock2D",
            "transformer_layers_per_block": 1,
        },
    ),
    "controlnet-union-sdxl": ("ControlNetUnionModel", {**_CONTROL_SDXL, **_HINTS_OF_UNIONS}),
    "controlnet-promax-sdxl": (
        "ControlNetUnionModel",
        {**_CONTROL_SDXL, **_HINTS_OF_UNIONS, "num_control_type": 8},
    ),
    "controlnet-xs-sd15": ("ControlNetXSAdapter", {}),
    "controlnet-flux1": (
        "FluxControlNetModel",
        {"guidance_embeds": True, "num_layers": 5, "num_single_layers": 10},
    ),
    "controlnet-sd3": ("SD3ControlNetModel", {"num_layers": 6}),
    "controlnet-qwen-image": ("QwenImageControlNetModel", {"num_layers": 5}),
    "controlnet-sparse": ("SparseControlNetModel", {}),
    "t2i-adapter-sd15": ("T2IAdapter", {**_T2I, "adapter_type": "full_adapter"}),
    "t2i-adapter-sd15-sketch": (
        "T2IAdapter",
        {**_T2I, "adapter_type": "full_adapter", "in_channels": 1},
    ),
    "t2i-adapter-light-sd15": (
        "T2IAdapter",
        {
            "adapter_type": "light_adapter",
            "channels": (320, 640, 1280),
            "num_res_blocks": 4,
        },
    ),
    "t2i-adapter-sdxl": (
        "T2IAdapter",
        {**_T2I, "adapter_type": "full_adapter_xl", "downscale_factor": 16},
    ),
    "vae-sd": ("AutoencoderKL", _KL),
    "vae-flux1": (
        "AutoencoderKL",
        {**_KL, "latent_channels": 16, "use_quant_conv": False, "use_post_quant_conv": False},
    ),
    "vae-flux2": ("AutoencoderKLFlux2", {}),
    "vae-qwen-image": ("AutoencoderKLQwenImage", {}),
    "vae-qwen-image-layered": ("AutoencoderKLQwenImage", {"input_channels": 4}),
    "vae-wan22": (
        "AutoencoderKLWan",
        {
            **dict.fromkeys(("in_channels", "out_channels"), 12),
            "base_dim": 160,
            "decoder_base_dim": 256,
            "is_residual": True,
            "patch_size": 2,
            "z_dim": 48,
        },
    ),
    "encoder-qwen3-06b": (
        "Qwen3ForCausalLM",
        {
            **_QWEN3,
            "hidden_size": 1024,
            "intermediate_size": 3072,
            "num_hidden_layers": 28,
            "num_attention_heads": 16,
            "max_position_embeddings": 32_768,
            "tie_word_embeddings": True,
        },
    ),
    "encoder-qwen3-4b": (
        "Qwen3ForCausalLM",
        {
            **_QWEN3,
            "hidden_size": 2560,
            "intermediate_size": 9728,
            "num_hidden_layers": 36,
            "num_attention_heads": 32,
            "max_position_embeddings": 40_960,
            "tie_word_embeddings": True,
        },
    ),
    "encoder-qwen3-8b": (
        "Qwen3ForCausalLM",
        {
            **_QWEN3,
            "hidden_size": 4096,
            "intermediate_size": 12_288,
            "num_hidden_layers": 36,
            "num_attention_heads": 32,
            "max_position_embeddings": 40_960,
            "tie_word_embeddings": False,
        },
    ),
    "encoder-qwen3-vl-4b": (
        "Qwen3VLForConditionalGeneration",
        {
            "text_config": {
                **_QWEN3,
                "hidden_size": 2560,
                "intermediate_size": 9728,
                "num_hidden_layers": 36,
                "num_attention_heads": 32,
                "max_position_embeddings": 262_144,
                "rope_parameters": {
                    "rope_type": "default",
                    "rope_theta": 5_000_000.0,
                    "mrope_interleaved": True,
                    "mrope_section": [24, 20, 20],
                },
            },
            "vision_config": {
                "depth": 24,
                "hidden_size": 1024,
                "intermediate_size": 4096,
                "out_hidden_size": 2560,
                "deepstack_visual_indexes": [5, 11, 17],
            },
            "tie_word_embeddings": True,
        },
    ),
    "encoder-t5-xxl": (
        "T5EncoderModel",
        {
            "vocab_size": 32_128,
            "d_model": 4096,
            "d_kv": 64,
            "d_ff": 10_240,
            "num_layers": 24,
            "num_heads": 64,
            "feed_forward_proj": "gated-gelu",
        },
    ),
    "encoder-umt5-xxl": (
        "UMT5EncoderModel",
        {
            "vocab_size": 256_384,
            "d_model": 4096,
            "d_kv": 64,
            "d_ff": 10_240,
            "num_layers": 24,
            "num_heads": 64,
        },
    ),
    "encoder-gemma3-4b": (
        "Gemma3ForCausalLM",
        {
            "hidden_size": 2560,
            "intermediate_size": 10_240,
            "num_hidden_layers": 34,
            "num_attention_heads": 8,
            "num_key_value_heads": 4,
            "head_dim": 256,
            "vocab_size": 262_208,
            "tie_word_embeddings": True,
        },
    ),
}
"""File → class in diffusers or transformers, and what differs from its defaults in the published
model."""
