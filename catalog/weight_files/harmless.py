"""Tensors in a checkpoint that no network needs, and that mean nothing for its images."""

import re
from typing import Final

from catalog.weight_files.quantisation import is_companion

_HARMLESS: Final = re.compile(
    r"""
    # the running average that training kept, its losses and the state of its optimizer
      model_ema\. | ema\. | loss\. | first_stage_model\.(?:loss|model_ema)\. | optimizer
    | (?:lr_scheduler|scaler|callbacks|hyper_parameters)\b
    | (?:global_step|epoch|step|state_dict|pytorch-lightning_version|embedding_manager)\b
    # schedules that every program computes itself
    | (?:denoiser|model_sampling|sampler)\. | (?:log_)?sigmas$ | (?:log_)?one_minus_alphas
    | alphas_cumprod(?:_prev)?$ | betas$ | logvar$ | posterior_ | (?:sqrt|log)_ | lvlb_weights$
    # how it was trained, which is read elsewhere
    | (?:model\.(?:diffusion_model\.)?)?(?:v_pred|ztsnr|edm_(?:mean|std|vpred\.sigma_m(?:ax|in)))$
    # constants and training temperatures of the text encoders, and their unused halves
    | .*\.position_ids$ | .*\blogit_(?:scale|bias)$ | .*\.attn_mask$
    | conditioner\.embedders\.\d+\.(?:model|open_clip\.model)\.visual\.
    | (?:conditioner\.embedders\.0|cond_stage_model|text_encoders\.clip_l)\.transformer\.
      (?:text_projection\.weight$|visual_projection\.)
    | text_projection\.weight$ | visual_projection\. | vision_model\.
    """,
    re.VERBOSE,
)


def is_harmless(name: str) -> bool:
    """Whether a tensor of this name may be left out without a word."""
    return is_companion(name) or _HARMLESS.match(name) is not None
