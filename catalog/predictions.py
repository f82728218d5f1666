"""What a denoiser may have been trained to predict, by its names in the catalog."""

from typing import Final

EPSILON: Final = "epsilon"
VELOCITY: Final = "v_prediction"
EDM: Final = "edm"
EDM_VELOCITY: Final = "edm_v_prediction"
FLOW: Final = "flow"
PREDICTIONS: Final = (EPSILON, VELOCITY, EDM, EDM_VELOCITY, FLOW)
"""Every training that the engine can sample from. epsilon, v_prediction: over discrete steps, as
SDXL itself. edm: preconditioned as in arXiv 2206.00364, as Playground v2.5. edm_v_prediction: the
velocity over continuous noise levels, as CosXL. flow: from noise to image in a straight line
(rectified flow, arXiv 2209.03003), as bigASP 2.5."""
