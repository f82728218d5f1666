"""What the programs would say of one image, each in its own form."""

import json
from typing import Any

SHA256 = "31e35c80fc4829d14f90153f4c74cd59c90b779f6afe05a74cd6120b893f7e5b"
PROMPT, NEGATIVE = "a red fox, snow 🦊, café", "blurry, low quality"

A1111 = (
    f"{PROMPT} <lora:ink:0.8>\nNegative prompt: {NEGATIVE}\n"
    "Steps: 25, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, Seed: 1234567890, "
    "Size: 832x1216, Model hash: 31e35c80fc, Model: sd_xl_base_1.0, Denoising strength: 0.4, "
    'Clip skip: 2, Hires upscale: 1.5, Hires steps: 12, Hires upscaler: Latent, Lora hashes: "ink: '
    '0123456789ab", Version: v1.10.1'
)
FORGE = A1111.replace("v1.10.1", "f2.0.1v1.10.1-previous-659-gc055f2d4")
A1111_SINGLE = "a red fox, snow\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512"

COMFYUI_PROMPT: dict[str, Any] = {
    "3": {
        "class_type": "KSampler",
        "inputs": {
            "seed": 1234567890,
            "steps": 25,
            "cfg": 6.5,
            "sampler_name": "dpmpp_2m",
            "scheduler": "karras",
            "denoise": 1,
            "model": ["12", 0],
            "positive": ["6", 0],
            "negative": ["7", 0],
            "latent_image": ["5", 0],
        },
        "_meta": {"title": "KSampler"},
    },
    "4": {
        "class_type": "CheckpointLoaderSimple",
        "inputs": {"ckpt_name": "XL\\sd_xl_base_1.0.safetensors"},
    },
    "5": {
        "class_type": "EmptyLatentImage",
        "inputs": {"width": 832, "height": 1216, "batch_size": 1},
    },
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": PROMPT, "clip": ["11", 0]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": NEGATIVE, "clip": ["11", 0]}},
    "8": {"class_type": "VAEDecode", "inputs": {"samples": ["14", 0], "vae": ["4", 2]}},
    "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "fox", "images": ["8", 0]}},
    "11": {
        "class_type": "CLIPSetLastLayer",
        "inputs": {"stop_at_clip_layer": -2, "clip": ["12", 1]},
    },
    "12": {
        "class_type": "LoraLoader",
        "inputs": {
            "lora_name": "styles/ink.safetensors",
            "strength_model": 0.8,
            "strength_clip": 0.5,
            "model": ["4", 0],
            "clip": ["4", 1],
        },
    },
    "13": {
        "class_type": "LatentUpscaleBy",
        "inputs": {"upscale_method": "bilinear", "scale_by": 1.5, "samples": ["3", 0]},
    },
    "14": {
        "class_type": "KSampler",
        "inputs": {
            "seed": 99,
            "steps": 12,
            "cfg": 6.5,
            "sampler_name": "euler",
            "denoise": 0.4,
            "scheduler": "normal",
            "model": ["12", 0],
            "positive": ["6", 0],
            "negative": ["7", 0],
            "latent_image": ["13", 0],
        },
    },
}
COMFYUI_WORKFLOW: dict[str, Any] = {
    "last_node_id": 14,
    "nodes": [
        {
            "id": 3,
            "type": "KSampler",
            "mode": 0,
            "inputs": [
                {"name": "model", "type": "MODEL", "link": 1},
                {"name": "positive", "type": "CONDITIONING", "link": 2},
                {"name": "negative", "type": "CONDITIONING", "link": 3},
                {"name": "latent_image", "type": "LATENT", "link": 4},
            ],
            "widgets_values": [1234567890, "randomize", 25, 6.5, "dpmpp_2m", "karras", 1],
        },
        {
            "id": 4,
            "type": "CheckpointLoaderSimple",
            "mode": 0,
            "inputs": [],
            "widgets_values": ["sd_xl_base_1.0.safetensors"],
        },
        {
            "id": 5,
            "type": "EmptyLatentImage",
            "mode": 0,
            "inputs": [],
            "widgets_values": [832, 1216, 1],
        },
        {
            "id": 6,
            "type": "CLIPTextEncode",
            "mode": 0,
            "inputs": [{"name": "clip", "type": "CLIP", "link": 5}],
            "widgets_values": [PROMPT],
        },
        {
            "id": 7,
            "type": "CLIPTextEncode",
            "mode": 0,
            "inputs": [{"name": "clip", "type": "CLIP", "link": 6}],
            "widgets_values": [NEGATIVE],
        },
        {
            "id": 9,
            "type": "SaveImage",
            "mode": 0,
            "inputs": [{"name": "images", "type": "IMAGE", "link": 7}],
            "widgets_values": ["fox"],
        },
        {
            "id": 12,
            "type": "LoraLoader",
            "mode": 0,
            "inputs": [
                {"name": "model", "type": "MODEL", "link": 8},
                {"name": "clip", "type": "CLIP", "link": 9},
            ],
            "widgets_values": ["ink.safetensors", 0.8, 0.5],
        },
        {
            "id": 13,
            "type": "LoraLoaderModelOnly",
            "mode": 4,
            "inputs": [{"name": "model", "type": "MODEL", "link": 10}],
            "widgets_values": ["bypassed.safetensors", 1],
        },
    ],
    "links": [
        [1, 13, 0, 3, 0, "MODEL"],
        [2, 6, 0, 3, 1, "CONDITIONING"],
        [3, 7, 0, 3, 2, "CONDITIONING"],
        [4, 5, 0, 3, 3, "LATENT"],
        [5, 12, 1, 6, 0, "CLIP"],
        [6, 12, 1, 7, 0, "CLIP"],
        [7, 3, 0, 9, 0, "LATENT"],
        [8, 4, 0, 12, 0, "MODEL"],
        [9, 4, 1, 12, 1, "CLIP"],
        [10, 12, 0, 13, 0, "MODEL"],
    ],
    "version": 0.4,
}
FLUX_PROMPT: dict[str, Any] = {
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": ["30", 0], "clip": ["11", 0]}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["13", 0]}},
    "10": {"class_type": "UNETLoader", "inputs": {"unet_name": "flux1-dev.safetensors"}},
    "13": {
        "class_type": "SamplerCustomAdvanced",
        "inputs": {
            "noise": ["25", 0],
            "guider": ["22", 0],
            "sampler": ["16", 0],
            "sigmas": ["17", 0],
            "latent_image": ["27", 0],
        },
    },
    "16": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}},
    "17": {
        "class_type": "BasicScheduler",
        "inputs": {"scheduler": "simple", "steps": 20, "denoise": 1, "model": ["10", 0]},
    },
    "22": {"class_type": "BasicGuider", "inputs": {"model": ["10", 0], "conditioning": ["26", 0]}},
    "25": {"class_type": "RandomNoise", "inputs": {"noise_seed": 77}},
    "26": {"class_type": "FluxGuidance", "inputs": {"guidance": 3.5, "conditioning": ["6", 0]}},
    "27": {"class_type": "EmptySD3LatentImage", "inputs": {"width": 1024, "height": ["31", 0]}},
    "30": {"class_type": "PrimitiveStringMultiline", "inputs": {"value": PROMPT}},
    "31": {"class_type": "PrimitiveInt", "inputs": {"value": 768}},
}
INVOKEAI: dict[str, Any] = {
    "generation_mode": "sdxl_txt2img",
    "positive_prompt": PROMPT,
    "negative_prompt": NEGATIVE,
    "width": 832,
    "height": 1216,
    "seed": 1234567890,
    "rand_device": "cpu",
    "cfg_scale": 6.5,
    "steps": 25,
    "scheduler": "dpmpp_2m_k",
    "app_version": "5.4.2",
    "model": {"key": "145c", "hash": f"sha256:{SHA256}", "name": "sd_xl_base_1.0", "base": "sdxl"},
    "loras": [
        {"model": {"key": "9b7b", "hash": "blake3:b10f3ccf", "name": "ink"}, "weight": 0.8},
    ],
    "vae": {"key": "6415", "hash": "blake3:9b7c", "name": "sdxl-vae-fp16-fix"},
}
INVOKEAI_2: dict[str, Any] = {
    "model": "stable diffusion",
    "model_weights": "sdxl-base",
    "model_hash": SHA256,
    "app_version": "2.3.5",
    "image": {
        "prompt": [{"prompt": "a red fox [blurry] [low quality]", "weight": 1.0}],
        "steps": 25,
        "cfg_scale": 6.5,
        "height": 1216,
        "width": 832,
        "seed": 1234567890,
        "sampler": "k_euler_a",
    },
}
SWARMUI: dict[str, Any] = {
    "sui_image_params": {
        "prompt": f"{PROMPT} <lora:ink:0.8>",
        "negativeprompt": NEGATIVE,
        "steps": 25,
        "model": "Official/sd_xl_base_1.0",
        "seed": 1234567890,
        "cfgscale": 6.5,
        "aspectratio": "Custom",
        "width": 832,
        "height": 1216,
        "sampler": "dpmpp_2m",
        "scheduler": "karras",
        "clipstopatlayer": -2,
        "loras": ["styles/ink"],
        "loraweights": ["0.8"],
        "swarm_version": "0.9.7.2",
    },
    "sui_extra_data": {"date": "2025-11-02", "generation_time": "4.84 (gen) seconds"},
    "sui_models": [
        {"name": "Official/sd_xl_base_1.0.safetensors", "param": "model", "hash": f"0x{SHA256}"},
        {"name": "styles/ink.safetensors", "param": "loras", "hash": "0x0123456789ab"},
    ],
}
NOVELAI_COMMENT: dict[str, Any] = {
    "prompt": PROMPT,
    "steps": 25,
    "height": 1216,
    "width": 832,
    "scale": 6.5,
    "uncond_scale": 0.0,
    "cfg_rescale": 0.0,
    "seed": 1234567890,
    "n_samples": 1,
    "noise_schedule": "karras",
    "sampler": "k_dpmpp_2m",
    "uc": NEGATIVE,
    "strength": 0.7,
    "v4_prompt": {
        "caption": {"base_caption": PROMPT, "char_captions": [{"char_caption": "girl, scarf"}]},
        "use_coords": False,
    },
    "v4_negative_prompt": {"caption": {"base_caption": NEGATIVE, "char_captions": []}},
    "request_type": "PromptGenerateRequest",
    "signed_hash": "ZmFrZQ==",
}
NOVELAI: dict[str, str] = {
    "Title": "NovelAI generated image",
    "Description": PROMPT,
    "Software": "NovelAI",
    "Source": "NovelAI Diffusion V4.5 4BDE2A90",
    "Generation time": "6.2",
    "Comment": json.dumps(NOVELAI_COMMENT),
}
FOOOCUS: dict[str, Any] = {
    "adm_guidance": "(1.5, 0.8, 0.3)",
    "base_model": "sd_xl_base_1.0",
    "base_model_hash": SHA256[:10],
    "clip_skip": 2,
    "full_negative_prompt": [NEGATIVE],
    "full_prompt": [PROMPT, "cinematic still"],
    "guidance_scale": 6.5,
    "lora_combined_1": "ink : 0.8",
    "loras": [["ink", 0.8, "0123456789ab"]],
    "metadata_scheme": "fooocus",
    "negative_prompt": NEGATIVE,
    "performance": "Speed",
    "prompt": PROMPT,
    "resolution": "(832, 1216)",
    "sampler": "dpmpp_2m",
    "scheduler": "karras",
    "seed": "1234567890",
    "sharpness": 2.0,
    "steps": 25,
    "styles": "['Fooocus V2']",
    "vae": "Default (model)",
    "version": "Fooocus v2.5.5",
}
FOOOCUS_A1111 = (
    f"{PROMPT}, cinematic still\nNegative prompt: {NEGATIVE}, ugly\n"
    "Steps: 25, Sampler: DPM++ 2M Karras, Seed: 1234567890, Size: 832x1216, CFG scale: 6.5, "
    'Sharpness: 2.0, ADM Guidance: "(1.5, 0.8, 0.3)", Model: sd_xl_base_1.0, '
    f'Model hash: {SHA256[:10]}, Performance: Speed, Scheduler: karras, Raw prompt: "{PROMPT}", '
    f'Raw negative prompt: "{NEGATIVE}", Lora hashes: "ink: 0123456789ab", '
    'Lora weights: "ink: 0.8", Version: Fooocus v2.5.5'
)
NOVELAI_JSON = json.dumps(NOVELAI)
