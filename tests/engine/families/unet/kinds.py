"""The families with a UNet: what of their tiny models the tests of all of them need."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bot.engine.families.unet.adapter_names import Blocks

UNET: Final = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
CONVOLUTION: Final = "down_blocks.2.resnets.0.conv1"
TEXT: Final = "encoder.layers.0.self_attn.q_proj"


@dataclass(frozen=True, slots=True)
class Kind:
    """A family and its tiny model.

    pipeline: its class in diffusers. folder: below `models_dir`. blocks: of the UNet.
    shapes: part → path of a module → shape of its weight.
    prefixes: text encoder → what files put before its paths.
    usual: paths to try in every spelling.
    """

    key: str
    pipeline: str
    folder: str
    blocks: Blocks
    shapes: Mapping[str, Mapping[str, tuple[int, ...]]]
    prefixes: Mapping[str, tuple[str, ...]]
    usual: tuple[str, ...] = (UNET,)

    @property
    def encoders(self) -> tuple[str, ...]:
        return tuple(self.prefixes)

    def targets(self, models: Path) -> dict[str, Any]:
        """The adapter names of the tiny model, from its real networks."""
        import diffusers

        from bot.engine.families import FAMILIES

        pipeline = getattr(diffusers, self.pipeline).from_pretrained(
            models / self.folder, local_files_only=True, safety_checker=None, feature_extractor=None
        )
        parts = {name: getattr(pipeline, name) for name in ("unet", *self.encoders)}
        return dict(FAMILIES[self.key].targets(parts))


_OF_THE_ONLY_ONE: Final = (
    *("", "base_model.model.", "lycoris_", "module.", "_orig_mod."),
    *("lora_te1_", "lora_te1.", "lora_te_", "text_encoder.", "text_encoder_", "clip_l."),
    *("text_encoders.clip_l.transformer.", "text_encoder.base_model.model."),
    *("base_model.model.text_encoder.", "text_encoder.module.", "module.text_encoder."),
    *("_orig_mod.text_encoder.", "text_encoder._orig_mod.", "lora_te1__orig_mod_"),
    *("clip_l.transformer.", "text_encoders.clip_l."),
    *("lora_text_encoder_", "lycoris_text_encoder_"),
)

KINDS: Final = (
    Kind(
        key="sdxl",
        pipeline="StableDiffusionXLPipeline",
        folder="tiny",
        blocks=Blocks(2, (True, True, False)),
        shapes={
            "unet": {UNET: (64, 64), CONVOLUTION: (96, 64, 3, 3)},
            "text_encoder": {TEXT: (32, 32)},
            "text_encoder_2": {TEXT: (48, 48)},
        },
        prefixes={
            "text_encoder": (*_OF_THE_ONLY_ONE, "conditioner.embedders.0.transformer."),
            "text_encoder_2": (
                *("lora_te2_", "lora_te2.", "text_encoder_2.", "text_encoder_2_", "clip_g."),
                *("text_encoders.clip_g.transformer.", "text_encoder_2.base_model.model."),
                *("base_model.model.text_encoder_2.", "text_encoder_2.module."),
                *("_orig_mod.text_encoder_2.", "text_encoder_2._orig_mod."),
                *("lora_te2__orig_mod_", "", "base_model.model.", "lycoris_", "module."),
                *("_orig_mod.", "clip_g.transformer.", "text_encoders.clip_g."),
                *("lora_text_encoder_2_", "lycoris_text_encoder_2_"),
            ),
        },
        usual=(UNET, CONVOLUTION),
    ),
    Kind(
        key="sd15",
        pipeline="StableDiffusionPipeline",
        folder="sd15",
        blocks=Blocks(2, (False, True, True, True)),
        shapes={
            "unet": {
                UNET: (48, 48),
                CONVOLUTION: (64, 48, 3, 3),
                # Where Stability's code numbers the blocks of SD 1.5 otherwise than SDXL's.
                "up_blocks.0.upsamplers.0.conv": (64, 64, 3, 3),
                "up_blocks.1.upsamplers.0.conv": (64, 64, 3, 3),
                # A convolution in SD 1.5, a Linear in SDXL.
                "down_blocks.0.attentions.1.proj_in": (32, 32, 1, 1),
            },
            "text_encoder": {TEXT: (32, 32)},
        },
        prefixes={"text_encoder": (*_OF_THE_ONLY_ONE, "cond_stage_model.transformer.")},
    ),
)
