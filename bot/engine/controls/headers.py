"""The headers of a ControlNet's files, looked at before anything else opens them."""

from bot.engine.sources import Source
from bot.engine.subject import Subject
from catalog.weight_files import NotSafetensors, quantisation, read_header


def check_headers(source: Source, subject: Subject) -> None:
    """Raise JobFailed when a file is not a valid .safetensors file, or is quantised."""
    for path in source.weights:
        try:
            header = read_header(path)
        except NotSafetensors as error:
            raise subject.failed(
                "control.not_safetensors",
                "depth.not_safetensors",
                "pose.not_safetensors",
                "detector.not_safetensors",
                "describer.not_safetensors",
                file=path.name,
                reason=str(error),
            ) from None
        reason = quantisation.refusal(header)
        if reason or any(map(quantisation.is_companion, header.shapes)):
            said = reason or "its weights are scaled 8-bit floats"
            codes = ("control.unreadable", "depth.unreadable", "pose.unreadable")
            looking = ("detector.unreadable", "describer.unreadable")
            raise subject.failed(*codes, *looking, reason=said)
