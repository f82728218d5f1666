"""Changes of what a file has as one matrix, brought to the parameters of the model.

The change of a fused matrix is defined for it as a whole: W is the model's parameters, row under
row in the order of the file. Nearly every algorithm changes each row by itself, or by factors that
have its rows: then the tensors are cut, and what is left is a change of one parameter like any
other. Where a row depends on others (the norm of a column in DoRA, the rotations of OFT and BOFT),
the parameters are put together and the change of the whole is cut.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar

import torch

from bot.engine.patches.changes import Change
from bot.engine.patches.names import AnyTarget, Fused, Target


@dataclass(frozen=True, slots=True)
class OfSomeRows:
    """The change of some rows of a parameter, as `change` makes it for a parameter that has only
    these."""

    change: Change
    start: int
    stop: int

    @property
    def part(self) -> str:
        return self.change.part

    @property
    def parameter(self) -> str:
        return self.change.parameter

    @property
    def nbytes(self) -> int:
        return self.change.nbytes

    @property
    def reads_base(self) -> bool:
        return self.change.reads_base

    def delta(self, base: torch.Tensor) -> torch.Tensor:
        whole = torch.zeros_like(base)
        whole[self.start : self.stop] = self.change.delta(base[self.start : self.stop])
        return whole

    def add_to(self, total: torch.Tensor, base: torch.Tensor, weight: float) -> None:
        rows = slice(self.start, self.stop)
        self.change.add_to(total[rows], base[rows], weight)

    def of_rows(self, parameter: str, start: int, stop: int) -> Change | None:
        return self.change.of_rows(parameter, start - self.start, stop - self.start)


@dataclass(frozen=True, slots=True)
class OfWhole:
    """What one parameter gets of a change for which all of a fused matrix has to be there.

    change: of the fused matrix. target: that matrix. piece: the place among `target.pieces` of what
        is changed here. siblings: the same object in what the other pieces get of `change`.
    Its `base` is that matrix, pristine, instead of the parameter; `Wholes` puts it together.
    """

    change: Change
    target: Fused
    piece: int
    siblings: object
    reads_base: ClassVar = False

    @property
    def part(self) -> str:
        return self.change.part

    @property
    def parameter(self) -> str:
        return _parameter(self.target.pieces[self.piece], self.change)

    @property
    def nbytes(self) -> int:
        return self.change.nbytes

    def delta(self, base: torch.Tensor) -> torch.Tensor:
        return self.change.delta(base)

    def add_to(self, total: torch.Tensor, base: torch.Tensor, weight: float) -> None:
        self.add_rows_of(self.delta(base), total, weight)

    def add_rows_of(self, delta: torch.Tensor, total: torch.Tensor, weight: float) -> None:
        """Add weight · the rows of `delta`, of the whole matrix, that are for this parameter."""
        *_, (piece, start, stop) = islice(self.target.spans(), self.piece + 1)
        _rows(total, piece).add_(delta[start:stop], alpha=weight)

    def of_rows(self, parameter: str, start: int, stop: int) -> None:
        return None


class Wholes:
    """Adds changes of fused matrices, computing each once for parameters that follow each other.

    On the device it needs room for such a matrix twice in fp32, and for what its formula needs.

    pristine: returns a parameter of the network, in fp32, on the device.
    """

    def __init__(self, pristine: Callable[[str], torch.Tensor]) -> None:
        self._pristine = pristine
        # Of the last change, until its last piece has got it, and what tells that it is that one.
        self._delta: torch.Tensor | None = None
        self._siblings: object = None

    def add_to(self, total: torch.Tensor, change: OfWhole, weight: float) -> None:
        """Add weight · delta to `total`, the parameter that `change` is for, in fp32."""
        delta = self._delta if self._siblings is change.siblings else None
        if delta is None:
            self._delta = None  # its memory is needed
            delta = change.delta(self._base(change))
        change.add_rows_of(delta, total, weight)
        last = change.piece + 1 == len(change.target.pieces)
        self._delta, self._siblings = (None, None) if last else (delta, change.siblings)

    def _base(self, change: OfWhole) -> torch.Tensor:
        pieces = change.target.pieces
        tensors = (_rows(self._pristine(_parameter(p, change.change)), p) for p in pieces)
        return torch.cat(list(tensors))


def placed(change: Change, target: AnyTarget) -> Iterator[Change]:
    """The changes of the model's parameters that make up `change`.

    change: of the weight or the bias of `target` as the file has it; the last part of its
        parameter's name tells which.
    """
    if isinstance(target, Target):
        yield change if target.rows is None else OfSomeRows(change, *target.rows)
        return
    siblings = object()
    for number, (piece, start, stop) in enumerate(target.spans()):
        cut = change.of_rows(_parameter(piece, change), start, stop)
        if cut is None:
            yield OfWhole(change, target, number, siblings)
        else:
            yield from placed(cut, piece)


def _parameter(piece: Target, change: Change) -> str:
    return f"{piece.path}.{change.parameter.rpartition('.')[2]}"


def _rows(parameter: torch.Tensor, piece: Target) -> torch.Tensor:
    return parameter if piece.rows is None else parameter[slice(*piece.rows)]
