"""Estimates how long a job will take from how long earlier jobs took.

A job's seconds are nearly linear in a few properties of its request, so there is one least-squares
fit per model over its latest jobs. The cost of switching models is the residual of that fit.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median, median_low

from bot.queue.policy import InPlace
from bot.request import GenerationRequest, paint_order
from catalog import Catalog

REMEMBERED = 150
"""How many of a model's latest jobs count: few enough to learn a new GPU or driver within a day."""
OF_OTHERS = 30
"""How many of each model's latest jobs go into the fit for models without enough of their own."""
ENOUGH = 3
"""The fewest jobs for an estimate."""
NEWS = 15
"""A fit is repeated once at least one in this many of its jobs is new."""
OUTLIER = 4.0
"""Times the median error: jobs further off (a download, a busy machine) are left out."""
RIDGE = 1e-3
TWICE = ("Heun",)
"""Schedulers that run the network twice per step."""
CONTROLNET = 0.4
"""What one adds to a run of the network, as a share of it: of SDXL 0.45, of SD 1.5 0.35 of the
floating-point operations, as torch counts them. Of T2I-Adapters it is too much."""
SHORTEST = 0.05
"""Seconds; the lower bound of an estimate."""

Features = tuple[float, ...]
Guided = Callable[[GenerationRequest], bool]
"""Whether each step of a request runs the network twice, because there is a guidance. Some networks
are told theirs, and run once with any."""


def guided_above_one(request: GenerationRequest) -> bool:
    """As of networks that are told none."""
    return request.guidance > 1


def is_guided(request: GenerationRequest, catalog: Catalog) -> bool:
    """As its model says; as `guided_above_one` where that is gone."""
    model = catalog.models.get(request.model)
    return model.is_guided(request.guidance) if model else guided_above_one(request)


@dataclass(frozen=True, slots=True)
class Sample:
    """A generated job. before: what was loaded when it started; None if unknown."""

    request: GenerationRequest
    seconds: float
    before: InPlace | None


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is kept of a sample. switched: a different or unknown model was loaded before."""

    features: Features
    seconds: float
    switched: bool


def needs(request: GenerationRequest) -> InPlace:
    """What is loaded once `request` has been generated."""
    last = request.each[paint_order(request.each)[-1]]
    return InPlace(last.model, tuple(map(str, last.adapters)))


def features(
    request: GenerationRequest, before: InPlace | None, guided: Guided = guided_above_one
) -> Features:
    """The properties that a job's seconds are nearly linear in.

    A constant; the megapixels of its images (text, VAE, files); the megapixels denoised over all
    steps, and the same weighted by megapixels, because attention makes larger steps cost more than
    in proportion; and the LoRAs to load when they change.
    """
    work = superlinear = 0.0
    for pixels, steps in _passes(request):
        runs = request.count * steps * (2 if guided(request) else 1) / 2
        runs *= 2 if request.scheduler in TWICE else 1
        runs *= 1 + CONTROLNET * sum(use.end - use.start for use in request.controls)
        work += runs * pixels
        superlinear += runs * pixels * pixels
    width, height = request.final_size
    wanted = needs(request)
    changes = bool(request.model) and before != wanted
    changed = float(len(request.adapters) + 1 if changes and request.adapters else changes)
    return 1.0, request.count * width * height / 1e6, work, superlinear, changed


def _passes(request: GenerationRequest) -> list[tuple[float, int]]:
    """Megapixels and denoising steps of each pass over one image."""
    steps, upscale = request.steps, request.upscale
    if upscale is not None:
        width, height = request.final_size
        taken = int(steps * (upscale.strength or 0.0))
        return [(width * height / 1e6, max(1, taken) if request.model else 0)]
    if request.init_image is not None:
        steps = max(1, int(steps * request.init_image.strength))
    # Each image to edit, of a megapixel at most, is read at every step beside what is generated.
    passes = [(request.width * request.height / 1e6 + len(request.pictures), steps)]
    # As if each were found once.
    pixels = request.width * request.height / 1e6
    passes += [(pixels, max(1, int(request.steps * use.strength))) for use in request.detail]
    if request.hires is not None:
        width, height = request.final_size
        passes.append((width * height / 1e6, request.hires.taken))
    return passes


@dataclass(frozen=True, slots=True)
class _Fit:
    """A fitted model. switch: extra seconds for loading the model; None if not seen yet."""

    coefficients: Features
    switch: float | None

    def seconds(self, found: Features) -> float:
        return sum(a * b for a, b in zip(self.coefficients, found, strict=True))


class Estimator:
    """Learns from samples, of which it keeps the latest of each model."""

    def __init__(self, guided: Guided = guided_above_one) -> None:
        self._guided = guided
        self._samples: dict[str, deque[_Seen]] = defaultdict(lambda: deque(maxlen=REMEMBERED))
        self._fits: dict[str | None, _Fit | None] = {}
        self._unused: Counter[str | None] = Counter()

    def learn(self, sample: Sample) -> None:
        """Add a generated job. Jobs must be added in the order in which they ran.

        A comparison teaches nothing: some of its cells may be from an earlier attempt.
        """
        if sample.request.comparison is not None:
            return
        model = _made_with(sample.request)
        switched = bool(sample.request.model) and (
            sample.before is None or sample.before.model != model
        )
        found = features(sample.request, sample.before, self._guided)
        self._samples[model].append(_Seen(found, sample.seconds, switched))
        for which in (model, None):
            self._unused[which] += 1
            # A fit blocks the event loop for milliseconds, and one job among many changes little.
            if self._unused[which] * NEWS >= len(self._samples[model]):
                self._fits.pop(which, None)

    def seconds(self, request: GenerationRequest, before: InPlace) -> float | None:
        """How long `request` will take if `before` is loaded; None while there are too few jobs."""
        if request.comparison is not None:
            return self._seconds_of_all(request, before)
        fit = self._fit(_made_with(request)) or self._fit(None)
        if fit is None:
            return None
        found = fit.seconds(features(request, before, self._guided))
        if request.model and before.model != request.model:
            switch = fit.switch
            if switch is None and (others := self._fit(None)) is not None:
                switch = others.switch
            found += switch or 0.0
        return max(SHORTEST, found)

    def _seconds_of_all(self, request: GenerationRequest, before: InPlace) -> float | None:
        """How long the cells of a comparison take, one after the other."""
        total = 0.0
        here = None if before.model is None else (before.model, before.adapters)
        for n in paint_order(request.each, here):
            cell = request.each[n]
            if (seconds := self.seconds(cell, before)) is None:
                return None
            total, before = total + seconds, needs(cell)
        return total

    def _fit(self, model: str | None) -> _Fit | None:
        """The fit for one model, or for all of them (None); returns None with too few jobs."""
        if model not in self._fits:
            self._fits[model] = self._fitted(model)
            self._unused[model] = 0
        return self._fits[model]

    def _fitted(self, model: str | None) -> _Fit | None:
        if model is None:
            seen = [one for of in self._samples.values() for one in list(of)[-OF_OTHERS:]]
        else:
            seen = list(self._samples.get(model, ()))
        plain = [one for one in seen if not one.switched]
        if len(plain) < ENOUGH:
            # With rare requests, every job finds the model unloaded, or seems to.
            plain = seen
        if len(plain) < ENOUGH:
            return None
        fit = _Fit(least_squares(plain, [1.0] * len(plain)), None)
        # Fit again with errors relative to the first estimate: long jobs may be off by more.
        fit = _Fit(least_squares(plain, _weights(fit, plain)), None)
        weights = _weights(fit, plain)
        errors = [
            abs(fit.seconds(one.features) - one.seconds) * weight
            for one, weight in zip(plain, weights, strict=True)
        ]
        bound = OUTLIER * median(errors)
        kept = [one for one, error in zip(plain, errors, strict=True) if error <= bound]
        if ENOUGH <= len(kept) < len(plain):
            fit = _Fit(least_squares(kept, _weights(fit, kept)), None)
        costs = [max(0.0, one.seconds - fit.seconds(one.features)) for one in seen if one.switched]
        # The lower of two, because the first may include downloading the model.
        return _Fit(fit.coefficients, median_low(costs) if costs else None)


def _made_with(request: GenerationRequest) -> str:
    """Whose fit its seconds belong to; upscalers and types of maps may be called as models are."""
    if request.only_map:
        return f"map {request.made_with}"
    if request.describe is not None:
        return request.made_with
    return request.model or f"upscaler {request.made_with}"


def _weights(fit: _Fit, seen: Sequence[_Seen]) -> list[float]:
    return [1 / max(SHORTEST, fit.seconds(one.features)) for one in seen]


def least_squares(seen: Sequence[_Seen], weights: Sequence[float]) -> Features:
    """Non-negative coefficients that minimise the weighted squared errors.

    Ridge regression on the normal equations, solved by coordinate descent; the ridge pulls the
    coefficients of features that hardly vary towards zero. scipy's `nnls` finds the same, but
    nothing else here needs its 143 MB and 0.7 s of import, and this takes 0.3 ms for 150 jobs.
    """
    size = len(seen[0].features)
    scale = [max(one.features[k] for one in seen) or 1.0 for k in range(size)]
    rows = [
        [value * weight / scale[k] for k, value in enumerate(one.features)]
        for one, weight in zip(seen, weights, strict=True)
    ]
    wanted = [one.seconds * weight for one, weight in zip(seen, weights, strict=True)]
    gram = [[sum(row[i] * row[j] for row in rows) for j in range(size)] for i in range(size)]
    target = [sum(row[k] * y for row, y in zip(rows, wanted, strict=True)) for k in range(size)]
    ridge = RIDGE * sum(weight * weight for weight in weights)
    solution = [0.0] * size
    for _ in range(100):
        moved = 0.0
        for k in range(size):
            rest = sum(gram[k][j] * solution[j] for j in range(size) if j != k)
            value = max(0.0, (target[k] - rest) / (gram[k][k] + ridge))
            moved = max(moved, abs(value - solution[k]))
            solution[k] = value
        if moved < 1e-6:
            break
    return tuple(value / scale[k] for k, value in enumerate(solution))
