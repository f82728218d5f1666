"""Refuse what is no model of a family, by what `catalog.weight_files` says that it is."""

from pathlib import Path

from bot.engine.subject import Subject
from catalog.families import Family as Facts
from catalog.weight_files import Header, Refusal, checkpoint_facts
from catalog.weight_files.pipeline import folder_facts


def check_single(facts: Facts, file: Path, header: Header, subject: Subject) -> None:
    """Raise JobFailed unless the single `file` with this header is a checkpoint of the family, or
    its denoiser alone. What its entry has to say besides is not asked about, and neither is the
    format of its weights.
    """
    said = checkpoint_facts(file, header)
    _check(facts, said.unfit(of=facts.architectures, config=True, prediction=True), subject)


def check_folder(facts: Facts, folder: Path, subject: Subject) -> None:
    """The same of a folder in diffusers' layout, as far as that tells.

    Raises OSError if one of its configurations cannot be read.
    """
    said = folder_facts(folder)
    _check(facts, said.unfit(of=facts.architectures, prediction=True), subject)


def foreign(facts: Facts, subject: Subject, what: str) -> Exception:
    """That a model is `what`, a noun phrase, instead of one of the family."""
    return subject.failed("model.other_family", family=facts.name, what=what)


def _check(facts: Facts, refusal: Refusal | None, subject: Subject) -> None:
    if refusal and not refusal.unread:
        raise foreign(facts, subject, refusal.what)
