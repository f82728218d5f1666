# STUB until merged
from collections import OrderedDict
from dataclasses import dataclass
from types import SimpleNamespace

import torch

from bot.engine import adapter_file
from bot.engine.adapter_file import check_header
from bot.engine.adapter_names import Target
from bot.engine.adapter_names import targets as _targets


@dataclass(eq=False)
class Change:
    part: str
    parameter: str
    d: object

    def delta(self, base):
        up = self.d.up.float()
        down = self.d.down.float()
        return (self.d.alpha / self.d.rank) * torch.einsum(
            "or,ri...->oi...", up.flatten(1), down
        ).reshape(base.shape)


@dataclass
class AdapterFile:
    changes: tuple
    total: int
    matched: int
    skipped: tuple = ()
    family: str = "LoRA"


def targets(parts):
    return _targets(SimpleNamespace(**parts))


def read(path, known, owner):
    f = adapter_file.read(path, known, owner)
    return AdapterFile(
        tuple(Change(d.target.part, d.target.path + ".weight", d) for d in f.deltas),
        f.total,
        len(f.deltas),
    )


class Library:
    def __init__(self, limit):
        self.k = {}

    def get(self, path, known, owner):
        s = path.stat()
        key = (str(path), s.st_size, s.st_mtime_ns)
        if key not in self.k:
            self.k[key] = read(path, known, owner)
        return self.k[key]
