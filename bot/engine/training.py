"""How a model was trained: what its files and its entry say, and what follows."""

from dataclasses import replace

from bot.engine.families import Family
from bot.engine.networks import ModelFiles
from bot.engine.subject import Subject
from catalog import ModelEntry
from catalog.weight_files.prediction import Training, UnknownTraining, moments_of, numbers_of


def training_of(files: ModelFiles, family: Family, entry: ModelEntry, subject: Subject) -> Training:
    """What the model of `entry` was trained to predict.

    Raises JobFailed when its files say something unknown or contradictory about it that the entry
    does not settle, or cannot be read.
    """
    single = files.checkpoint.single is not None
    try:
        weights = [
            (path, files.header_of(path, subject)) for path in files.holding(family.denoiser)
        ]
        return family.training(weights, files.root, entry, single=single)
    except UnknownTraining as error:
        raise subject.failed("model.training", reason=str(error)) from None
    except OSError as error:
        raise subject.unread(files.checkpoint.root, error) from error


def with_moments(files: ModelFiles, subject: Subject) -> ModelFiles:
    """`files` with the moments of the latents that a single-file checkpoint brings along.

    Raises JobFailed when they are malformed or cannot be read.
    """
    path = files.checkpoint.single
    if path is None:
        return files
    try:
        header = files.header_of(path, subject)
        return replace(files, moments=moments_of(header.shapes, numbers_of(path, header)))
    except UnknownTraining as error:
        raise subject.failed("model.training", reason=str(error)) from None
    except OSError as error:
        raise subject.unread(path, error) from error
