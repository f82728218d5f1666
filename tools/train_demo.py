"""Train the demo models and adapters from scratch, on a CPU, in some hours.

    python -m tools.train_demo                 everything; resumes where it was stopped
    python -m tools.train_demo --only unet     one stage: vae, text, unet, ink, adapters,
                                               controlnet, decoder, upscaler
    python -m tools.train_demo --write demo    write the files to ship, once everything is trained

There is no data set: the images (tools/demo/pictures/) and their captions (tools/demo/words.py) are
generated from fixed seeds. How floats are summed differs between processors, so another machine
gets other weights, which are just as good. `python -m tools.demo.report` measures the result.
"""

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final

import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel

from tools.demo import adapters, controlnet, export, text, unet, upscaler, vae
from tools.demo.adapters import PLANS, Plan
from tools.demo.unet import Pictures

STAGES: Final = ("vae", "text", "unet", "ink", "adapters", "controlnet", "decoder", "upscaler")
SEEDS: Final = {
    "text": 2,
    "pictures": 3,
    "unet": 4,
    "adapters": 5,
    "decoder": 6,
    "controlnet": 7,
}
VAE_STEPS, DECODER_STEPS, TEXT_STEPS = 7_500, 2_500, 1_500
UNET_STEPS, INK_STEPS = 11_000, 1_200
CONTROLNET_STEPS = 2_000
UPSCALER_STEPS = 8_000
CHUNKS: Final = {"flat": 30, "ink": 10}
ADAPTER_CHUNKS: Final = 7
"""The first of every ten chunks, which are all square."""


class Training:
    """All stages; each trains on its first call and loads its result from `folder` later."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def vae(self) -> AutoencoderKL:
        """The VAE of both checkpoints."""
        return vae.train(self._folder, VAE_STEPS)

    def decoder(self) -> AutoencoderKL:
        """The VAE with its decoder trained further: the one to ship."""
        return vae.sharpen(self._folder, self.vae(), SEEDS["decoder"], DECODER_STEPS)

    def text(self) -> text.Text:
        """The text encoders of both checkpoints."""
        return text.train(self._folder, SEEDS["text"], TEXT_STEPS)

    def unet(self) -> UNet2DConditionModel:
        """The UNet of the flat style."""
        torch.manual_seed(SEEDS["unet"])
        return self._unet("flat", unet.build(), steps=UNET_STEPS, rate=1.5e-3)

    def ink(self) -> UNet2DConditionModel:
        """The UNet of the ink style, fine-tuned from the flat one."""
        return self._unet("ink", self.unet().requires_grad_(True), steps=INK_STEPS, rate=1e-3)

    def adapter(self, plan: Plan) -> dict[str, torch.Tensor]:
        """The tensors of one adapter of the flat checkpoint."""
        return adapters.train(
            self._folder,
            self.unet(),
            self.text(),
            plan,
            self._pictures(plan.style, ADAPTER_CHUNKS),
            self._pictures("flat", CHUNKS["flat"]),
            seed=SEEDS["adapters"],
        )

    def controlnet(self) -> ControlNetModel:
        """The ControlNet of the flat checkpoint."""
        return controlnet.train(
            self._folder,
            self.unet(),
            self.text(),
            seed=SEEDS["controlnet"],
            steps=CONTROLNET_STEPS,
        )

    def upscaler(self) -> upscaler.Upscaler:
        """The upscaler, which needs none of the others."""
        return upscaler.train(self._folder, UPSCALER_STEPS)

    def _unet(
        self, style: str, network: UNet2DConditionModel, *, steps: int, rate: float
    ) -> UNet2DConditionModel:
        pictures = self._pictures(style, CHUNKS[style])
        return unet.train(
            self._folder, style, network, self.text(), pictures, steps=steps, rate=rate
        )

    def _pictures(self, style: str, chunks: int) -> Pictures:
        return unet.pictures(self._folder, SEEDS["pictures"], style, chunks)

    def write(self, target: Path) -> None:
        """Write all files to ship into `target`."""
        export.write_folder(target / "flat", self.decoder(), self.text(), self.unet())
        export.write_single_file(target / "ink.safetensors", self.text(), self.ink(), "Demo ink")
        for plan in PLANS:
            file = target / f"{plan.style}.safetensors"
            export.write_adapter(file, plan, self.adapter(plan), ADAPTER_CHUNKS * unet.CHUNK)
        controlnet.write(target / "controlnet.safetensors", self.controlnet())
        upscaler.write(target / "upscaler.safetensors", self.upscaler())


def _adapter(folder: Path, plan: Plan) -> None:
    torch.set_num_threads(1)
    Training(folder).adapter(plan)


def main() -> None:
    """Train or write, as the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=STAGES, help="train this stage and those that it needs")
    parser.add_argument("--state", type=Path, default=Path("data/train-demo"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1, help="adapters trained at once")
    parser.add_argument("--write", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    training = Training(options.state)
    if options.write:
        if any(options.write.glob("*.safetensors")):
            sys.exit(f"{options.write} has weights already; write into an empty folder")
        training.write(options.write)
        return
    for stage in [options.only] if options.only else STAGES:
        if stage == "adapters":
            with ProcessPoolExecutor(options.workers) as pool:
                list(pool.map(_adapter, [options.state] * len(PLANS), PLANS))
        else:
            getattr(training, stage)()


if __name__ == "__main__":
    main()
