"""The model on the device: loading it, keeping it, and freeing it completely."""

import gc
import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from bot.engine import networks
from bot.engine.environment import Place, is_the_devices
from bot.engine.families import VAE, Family
from bot.engine.hashing import HashCache
from bot.engine.networks import ModelFiles, Tensors
from bot.engine.patches import AnyTarget, Change, Weighted
from bot.engine.sources import Source
from bot.engine.subject import Subject
from bot.engine.weights import Part, PristineWeights, WeightCache
from bot.errors import ImagenError
from bot.progress import Stage

log = logging.getLogger(__name__)

TOKENIZERS_MAX = 8


@dataclass(slots=True)
class Resident:
    """The model that the networks hold now.

    index: of its pipeline. tokenizers: by the names in `Family.tokenizers`.
    targets: names that adapter files use for its modules.
    shapes: network → its configuration and formats, as text.
    """

    key: str
    family: Family
    files: tuple[Any, ...]
    parts: Mapping[str, Part]
    index: Mapping[str, Any]
    tokenizers: Mapping[str, Any]
    targets: Mapping[str, AnyTarget]
    shapes: Mapping[str, str]

    @property
    def denoiser(self) -> Any:
        return self.network(self.family.denoiser)

    @property
    def vae(self) -> Any:
        return self.network(VAE)

    def network(self, name: str) -> Any:
        """The module of one of the family's networks."""
        return self.parts[name].module

    def park(self, *names: str) -> None:
        """Free the device's memory of these networks until `wake`."""
        for name in names:
            if self.parts[name].present:
                self.parts[name].park()

    def wake(self, check_stop: Callable[[], None], *names: str) -> None:
        """Make these networks ready on the device, with the adapters of `set_adapters`."""
        for name in names:
            self.parts[name].wake(check_stop)

    def set_adapters(self, adapters: Sequence[tuple[float, float, Sequence[Change]]]) -> None:
        """Have exactly these adapters applied when each network wakes.

        adapters: weight in the denoiser, weight in the text encoders, changes; order matters.
        """
        family = self.family
        wanted: dict[str, dict[str, list[Weighted]]] = {name: {} for name in family.patched}
        for own_weight, text_weight, changes in adapters:
            for change in changes:
                weight = own_weight if change.part == family.denoiser else text_weight
                if weight:
                    wanted[change.part].setdefault(change.parameter, []).append((weight, change))
        for name, changed in wanted.items():
            self.parts[name].set_changes(changed)


class Residency:
    """Holds one model on the device, in networks that are reused for the next one of that shape.

    in_eight_bits: whether a family's large matrices are stored in 8 bits here.
    dropped: is told of each network's module that is not used any more.
    targets: names that adapter files use for the modules of the networks; empty without a model.
    adapter_bases: base models whose adapters fit those networks.
    """

    def __init__(
        self,
        place: Place,
        cache: WeightCache,
        hashes: HashCache,
        in_eight_bits: Callable[[Family], bool],
        dropped: Callable[[Any], None],
    ) -> None:
        self._place = place
        self._dropped = dropped
        self._in_eight_bits = in_eight_bits
        self._cache = cache
        self._hashes = hashes
        self._parts: dict[str, tuple[str, Part]] = {}
        self.targets: Mapping[str, AnyTarget] = {}
        self.adapter_bases: tuple[str, ...] = ()
        self._tokenizers: dict[tuple[Any, ...], Any] = {}
        self.resident: Resident | None = None

    def load(
        self,
        files: ModelFiles,
        family: Family,
        subject: Subject,
        at_once: Sequence[str],
        room: int | None,
    ) -> Resident:
        """Load the model from `files`, with the networks `at_once` on the device. room: see `Plan`.

        Those that are there already keep the last job's adapters until they are woken.
        Raises JobFailed, or what `subject.check_stop` raises.
        """
        fingerprint = files.fingerprint()
        here, self.resident = self.resident, None
        if here is None or here.files != fingerprint:
            here = None  # so that what only it has is freed before its place is needed
            try:
                here = self._read(files, fingerprint, family, subject, at_once, room)
            except Exception as error:
                if isinstance(error, ImagenError | MemoryError) or is_the_devices(error):
                    raise
                if isinstance(error, OSError) and error.errno is not None:
                    raise subject.unread(files.root, error) from error
                log.warning("Model %s cannot be loaded", subject.key, exc_info=True)
                raise subject.failed("model.unreadable", reason=type(error).__name__) from error
        here.key = subject.key
        self._stream(family, room)
        missing = [name for name in at_once if not here.parts[name].filled]
        for name in missing:
            part = here.parts[name]
            if not part.present:
                # Otherwise the last job's would be applied, only to be removed again.
                part.set_changes({})
        here.wake(subject.check_stop, *missing)
        self.resident = here
        return here

    def park_denoiser(self) -> None:
        """Free the device's memory of the denoiser, if there is one."""
        if here := self.resident:
            here.park(here.family.denoiser)

    def rest(self) -> None:
        """Free the device's memory; the networks and their compiled code stay."""
        for _, part in self._parts.values():
            part.give_up()  # the denoiser may be compiling in another thread
        gc.collect()
        self._place.empty_cache()

    def free(self) -> None:
        """Free the model entirely; the cache in RAM stays."""
        self.resident = None
        for name in [*self._parts]:
            self._drop(name)
        gc.collect()
        self._place.empty_cache()

    def _read(
        self,
        files: ModelFiles,
        fingerprint: tuple[Any, ...],
        family: Family,
        subject: Subject,
        at_once: Sequence[str],
        room: int | None,
    ) -> Resident:
        subject.tick(Stage.LOADING, 0.0)
        networks.check(files, family, subject)
        index = networks.index(files, family, subject)
        self._build(files, family, subject)
        self._stream(family, room)
        for name, (_, part) in self._parts.items():
            part.hold(self._weights(name, part, files, family, subject))
            if name in at_once:
                part.wake(subject.check_stop)  # a GPU copies while the next one is read
        return Resident(
            key=subject.key,
            family=family,
            files=fingerprint,
            parts={name: part for name, (_, part) in self._parts.items()},
            index=index,
            tokenizers={
                name: self._tokenizer(name, files, family, subject) for name in family.tokenizers
            },
            targets=self.targets,
            shapes={name: shape for name, (shape, _) in self._parts.items()},
        )

    def _build(self, files: ModelFiles, family: Family, subject: Subject) -> None:
        """Build the networks that are missing or of another shape."""
        for other in self._parts.keys() - set(family.networks):
            self._drop(other)  # of another family
        for name in family.networks:
            config = family.checked_config(name, files.config_of(name), subject)
            dtype = family.dtype_of(name, config, self._place)
            formats = family.formats(name, dtype, in_eight_bits=self._in_eight_bits(family))
            described = [family.key, networks.essence(config), str(formats)]
            shape = json.dumps(described, sort_keys=True)
            if name not in self._parts or self._parts[name][0] != shape:
                self._drop(name)
                self.targets = {}  # until all networks are built, as one may fail
                self._place.empty_cache()
                module = family.build(name, config)
                blocks = _blocks(module, family.blocks.get(name, ""))
                self._parts[name] = (shape, Part(module, formats, self._place.device, blocks))
        self._parts = {name: self._parts[name] for name in family.networks}
        if not self.targets:
            patched = {name: self._parts[name][1].module for name in family.patched}
            self.targets = family.targets(patched)
            self.adapter_bases = family.adapter_bases

    def _drop(self, name: str) -> None:
        """Forget a network, if it is there, and free its memory even if it is being compiled."""
        if name in self._parts:
            _, part = self._parts.pop(name)
            part.give_up()
            self._dropped(part.module)

    def _stream(self, family: Family, room: int | None) -> None:
        for name in family.blocks:
            self._parts[name][1].stream(room)

    def _weights(
        self, name: str, part: Part, files: ModelFiles, family: Family, subject: Subject
    ) -> PristineWeights:
        @cache
        def read() -> Tensors:
            return networks.read(name, part.module, part.layout, files, family, subject)

        def tick(fraction: float) -> None:
            subject.tick(Stage.LOADING, fraction)

        # Of one file, families may read different layers.
        read_of_it = f"{name}:{part.layout.outline}"
        digest = self._hashes.of_contents(
            files.holding(name), read_of_it, lambda: networks.digest(read(), tick)
        )
        if part.digest != digest:
            part.let_go()  # so that the cache can reuse its memory
        source = (name, *Source(files.root, files.holding(name)).fingerprint())
        return self._cache.take(digest, part.layout, read, subject.check_stop, source)

    def _tokenizer(self, name: str, files: ModelFiles, family: Family, subject: Subject) -> Any:
        folder = files.root / name
        stats = [(str(path), path.stat().st_mtime_ns) for path in sorted(folder.iterdir())]
        key = (family.key, *stats)
        if key not in self._tokenizers:
            tokenizer = family.tokenizer(folder, subject)
            if len(self._tokenizers) == TOKENIZERS_MAX:
                del self._tokenizers[next(iter(self._tokenizers))]
            self._tokenizers[key] = tokenizer
        return self._tokenizers[key]


def _blocks(module: Any, pattern: str) -> tuple[str, ...]:
    """The paths of the modules in `module` that match all of `pattern`."""
    paths = (path for path, _ in module.named_modules())
    return tuple(path for path in paths if re.fullmatch(pattern, path)) if pattern else ()
