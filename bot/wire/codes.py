"""The sentences that an engine elsewhere may want people to be told."""

from typing import Final

CODES: Final = frozenset(
    {
        *("adapter.bad_config", "adapter.broken", "adapter.choose_file"),
        *("adapter.download_failed", "adapter.embeddings", "adapter.gated"),
        *("adapter.matches_nothing", "adapter.missing", "adapter.no_bias"),
        *("adapter.no_safetensors", "adapter.no_scale", "adapter.no_such_file"),
        *("adapter.no_such_module", "adapter.not_finite", "adapter.not_on_hub"),
        *("adapter.not_safetensors", "adapter.other_base", "adapter.other_shape"),
        *("adapter.partial", "adapter.rank_too_high", "adapter.something_else"),
        *("adapter.strays", "adapter.too_large", "adapter.unknown_tensor", "adapter.unreachable"),
        *("adapter.unreadable", "adapter.unsupported"),
        "check.unusable",
        *("control.choose_file", "control.configuration", "control.download_failed"),
        *("control.foreign", "control.gated", "control.incomplete", "control.missing"),
        *("control.no_safetensors", "control.no_such_file", "control.not_on_hub"),
        *("control.not_safetensors", "control.type", "control.unreachable", "control.unreadable"),
        *("depth.configuration", "depth.download_failed", "depth.gated", "depth.incomplete"),
        *("depth.missing", "depth.no_safetensors", "depth.not_on_hub", "depth.not_safetensors"),
        *("depth.unreachable", "depth.unreadable"),
        *("pose.configuration", "pose.download_failed", "pose.gated", "pose.incomplete"),
        *("pose.missing", "pose.no_safetensors", "pose.nobody", "pose.not_on_hub"),
        *("pose.not_safetensors", "pose.unreachable", "pose.unreadable"),
        *("detail.none", "detail.none_in"),
        *("describer.configuration", "describer.download_failed", "describer.gated"),
        *("describer.incomplete", "describer.missing", "describer.no_safetensors"),
        *("describer.not_on_hub", "describer.not_safetensors", "describer.unreachable"),
        *("describer.other", "describer.unreadable"),
        *("detector.configuration", "detector.download_failed", "detector.gated"),
        *("detector.incomplete", "detector.missing", "detector.no_safetensors"),
        *("detector.not_on_hub", "detector.not_safetensors", "detector.unreachable"),
        "detector.unreadable",
        *("device.absent", "device.unsupported"),
        *("embedding.choose_file", "embedding.download_failed", "embedding.gated"),
        *("embedding.missing", "embedding.no_safetensors", "embedding.no_such_file"),
        *("embedding.not_finite", "embedding.not_on_hub", "embedding.not_safetensors"),
        *("embedding.other_width", "embedding.partial", "embedding.too_large"),
        *("embedding.unreachable", "embedding.unreadable", "embedding.unsupported"),
        *("image.black", "image.diverged", "image.not_finite"),
        *("memory.lowered", "memory.model", "memory.out"),
        *("model.choose_file", "model.choose_network", "model.clip_skip", "model.configuration"),
        *(
            "model.download_failed",
            "model.gated",
            "model.incomplete",
            "model.inside",
            "model.missing",
            "model.no_safetensors",
        ),
        *("model.no_such_file", "model.not_on_hub", "model.not_gguf", "model.not_safetensors"),
        *("model.other_encoder", "model.other_family", "model.other_vae", "model.quantised"),
        *("model.training", "model.unreachable", "model.unreadable"),
        *("picture.gone", "picture.narrow", "picture.small"),
        *("prompt.chunks", "prompt.tokens"),
        *("reference.configuration", "reference.download_failed", "reference.encoder"),
        *("reference.foreign", "reference.gated", "reference.incomplete", "reference.missing"),
        *("reference.no_such_file", "reference.not_on_hub", "reference.not_safetensors"),
        *("reference.unreachable", "reference.unreadable"),
        *("scheduler.prediction", "scheduler.spacing", "scheduler.steps", "scheduler.zero_snr"),
        *("upscaler.choose_file", "upscaler.download_failed", "upscaler.gated"),
        *("upscaler.missing", "upscaler.no_safetensors", "upscaler.no_such_file"),
        *("upscaler.not_finite", "upscaler.not_on_hub", "upscaler.not_safetensors"),
        *("upscaler.too_large", "upscaler.unfit", "upscaler.unreachable", "upscaler.unreadable"),
    }
)
"""Of the engine itself: all that are in `bot/engine/`."""
LACKS: Final = frozenset(
    {
        *("part.missing", "part.unreachable", "part.refused", "part.wrong", "part.too_large"),
        *("part.disk_full", "part.unwritable", "part.no_room"),
    }
)
"""Of files that a worker cannot get: all that are in `bot/distributed/`."""
