"""Unfit: a model whose files cannot be used, and what they are."""

from dataclasses import dataclass

from catalog.weight_files import Refusal


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why a model cannot be used: its file, and what that is.

    file: name of the file or folder.
    """

    file: str
    refusal: Refusal

    @property
    def what(self) -> str:
        """What the file is, a noun phrase without an article."""
        return self.refusal.what

    def __str__(self) -> str:
        return f"{self.file} {self.refusal}"
