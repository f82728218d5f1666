"""Unfit: a model whose files cannot be used, and what they are."""

from dataclasses import dataclass

from catalog.weight_files import Refusal, with_article


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

    @property
    def verdict(self) -> str:
        """A sentence with the file's name and what it is."""
        return f"{self.file} is {with_article(self.what)}"

    def __str__(self) -> str:
        """The verdict, and what the owner can do."""
        return "; ".join(filter(None, (self.verdict, self.refusal.advice)))
