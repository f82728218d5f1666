"""A training loop that can be stopped at any time and resumed."""

import math
import time
from collections.abc import Callable, Iterable
from copy import deepcopy
from pathlib import Path

import torch


class Loop:
    """Trains parameters for a number of steps; the state is saved in one file in `folder`.

    name: of the file, also printed. rate: the highest learning rate, reached after a short warm-up
    and lowered to zero along half a cosine. decay: weight decay. keep: of the parameters' running
    mean, per step; 0 for none. Running it again with the same arguments resumes after the last
    saved step. Each step has its own generator, so an interrupted run ends like any other.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        parameters: Iterable[torch.nn.Parameter],
        *,
        steps: int,
        rate: float,
        decay: float = 0.01,
        keep: float = 0.0,
    ) -> None:
        self._file = folder / f"{name}.pt"
        self._name = name
        self._parameters = list(parameters)
        self._steps = steps
        self._rate = rate
        self._keep = keep
        self._optimizer = torch.optim.AdamW(
            self._parameters, rate, betas=(0.9, 0.99), weight_decay=decay
        )
        self._mean = [parameter.detach().clone() for parameter in self._parameters]

    def run(self, seed: int, loss_of: Callable[[int, torch.Generator], torch.Tensor]) -> None:
        """Train to the end; then, unless `keep` is 0, the parameters are set to their running mean.

        loss_of: from the number of a step and its generator to a scalar.
        """
        first = self._load()
        began, total = time.monotonic(), 0.0
        for step in range(first, self._steps):
            for group in self._optimizer.param_groups:
                group["lr"] = self._rate * self._share(step)
            loss = loss_of(step, torch.Generator().manual_seed(seed * 1_000_003 + step))
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self._parameters, 1.0)
            self._optimizer.step()
            self._follow(step)
            total += loss.item()
            if (step + 1) % 100 == 0:
                pace = (time.monotonic() - began) / (step + 1 - first)
                left = pace * (self._steps - step - 1) / 60
                done = f"{self._name} {step + 1}/{self._steps}"
                print(f"{done} loss {total / 100:.4f} · {left:.0f} min left", flush=True)
                total = 0.0
            if (step + 1) % 500 == 0 or step + 1 == self._steps:
                self._save(step + 1)
        if self._keep:
            self.settle()

    def settle(self) -> None:
        """Set the parameters to their running mean."""
        with torch.no_grad():
            for parameter, mean in zip(self._parameters, self._mean, strict=True):
                parameter.copy_(mean)

    def load(self) -> int:
        """Load the saved state, if there is one; returns the number of steps done."""
        return self._load()

    def _share(self, step: int) -> float:
        warm = min(1.0, (step + 1) / 100)
        return warm * 0.5 * (1 + math.cos(math.pi * step / self._steps))

    def _follow(self, step: int) -> None:
        keep = min(self._keep, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(self._mean, [*self._parameters], 1 - keep)

    def _save(self, step: int) -> None:
        state = {
            "step": step,
            "parameters": [parameter.detach() for parameter in self._parameters],
            "mean": self._mean,
            "optimizer": self._optimizer.state_dict(),
        }
        draft = self._file.with_suffix(".draft")
        torch.save(state, draft)
        draft.replace(self._file)

    def _load(self) -> int:
        if not self._file.is_file():
            return 0
        state = torch.load(self._file, weights_only=True)
        with torch.no_grad():
            for mine, saved in zip(self._parameters, state["parameters"], strict=True):
                mine.copy_(saved)
        self._mean = state["mean"]
        self._optimizer.load_state_dict(deepcopy(state["optimizer"]))
        return int(state["step"])
