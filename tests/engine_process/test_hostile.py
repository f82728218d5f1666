"""Whatever an engine process sends that makes no sense ends it, and not the bot."""

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest

from bot.engine_process import ProcessEngine, frames
from bot.engine_process.frames import Frame, Kind
from bot.engine_process.logs import LINE, Line
from bot.engine_process.messages import LOADED, SMALL, Loaded
from bot.errors import EngineLost, Loss
from bot.painting import Painting
from bot.progress import Progress, Stage
from bot.wire import paintings, reports
from tests.engine_process import hostile
from tests.engine_process.conftest import build, order, paint, until
from tests.engine_process.light import image_of, painting_of

Say = Callable[[bytes], ProcessEngine]


@pytest.fixture
def saying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Say]:
    """An engine whose process says that, and then nothing more."""
    engine = build()
    engine._module = hostile.__name__

    def say(data: bytes) -> ProcessEngine:
        file = tmp_path / "said"
        file.write_bytes(data)
        monkeypatch.setenv(hostile.SAYS, str(file))
        return engine

    yield say
    engine.close()


def framed(kind: Kind, head: bytes = b"", body: bytes = b"") -> bytes:
    stream = BytesIO()
    frames.write(stream, Frame(kind, head, body))
    return stream.getvalue()


def line(**changed: object) -> bytes:
    plain = {"level": 20, "logger": "bot", "job": "", "text": "", **changed}
    return framed(Kind.LOG, LINE.encode(Line(**plain)))  # type: ignore[arg-type]


HEADER, PIXELS = paintings.encode_image(image_of(order(), 0))
PAINTED = framed(Kind.PAINTED, paintings.encode(painting_of(order())))
IMAGE = framed(Kind.IMAGE, HEADER, PIXELS)

NOISE: dict[str, tuple[bytes, str]] = {
    "what a library printed": (b"loading weights: 100%\n", "frame: it begins with b'load'"),
    "a size beyond all bounds": (b"img1\x14" + b"\xff" * 8, "REPORT: 4294967295 and 4294967295"),
    "a kind that nobody knows": (b"img1\x63" + bytes(8), "frame: kind 99"),
    "a frame for an engine": (framed(Kind.PAINT), "frame: PAINT: allowed is none now"),
    "another call's end": (framed(Kind.DONE), "frame: DONE: allowed is none in this call"),
    "no report": (framed(Kind.REPORT, b'[{"stage":"queued"}]'), "report: stage"),
    "no preview": (
        framed(Kind.REPORT, reports.encode(Progress(Stage.PAINTING))[0], b"GIF89a"),
        "report: preview: allowed is a JPEG",
    ),
    "another size": (
        framed(Kind.IMAGE, HEADER.replace(b'"width":8', b'"width":9'), PIXELS),
        "image: 9×8; allowed is 8×8",
    ),
    "other pixels": (framed(Kind.IMAGE, HEADER, PIXELS[::-1]), "its pixels have another sha256"),
    "a painting without images": (PAINTED, "was not sent"),
    "another painting": (
        framed(Kind.PAINTED, paintings.encode(painting_of(order(seed=9)))),
        r"recipe\.request",
    ),
    "a failure without a sentence": (
        framed(Kind.FAILED, b'[{"failed":{"code":"no.such","params":{}}}]'),
        "'no.such' is no sentence",
    ),
    "a level": (line(level=99), "line: level 99"),
    "a logger": (line(logger="a\nb"), "line: logger"),
    "a job": (line(job="a b"), "line: logger and job"),
    "a long key": (
        framed(Kind.LOADED, LOADED.encode(Loaded("x" * 4_000)) + b" " * 4 * SMALL),
        "loaded: ",
    ),
    "no measures": (framed(Kind.MEASURED, b"[]"), "measured: "),
}


@pytest.mark.parametrize("what", NOISE)
def test_it_is_refused_by_name(saying: Say, what: str) -> None:
    said, why = NOISE[what]
    engine = saying(said)
    with pytest.raises(EngineLost, match=f"gpu-1: .*{why}") as lost:
        paint(engine)
    assert (lost.value.loss, lost.value.sure) == (Loss.DIED, False)
    assert engine.pid is None


def test_a_frame_that_never_ends_can_be_given_up(saying: Say) -> None:
    engine = saying(frames._HEADER.pack(b"img1", Kind.IMAGE, 5, 5))

    def check_stop() -> None:
        assert engine.renew()

    with pytest.raises(EngineLost, match="given up"):
        paint(engine, check_stop=check_stop)


def test_nothing_of_it_is_in_the_next_call(saying: Say) -> None:
    engine = saying(IMAGE + PAINTED + framed(Kind.DONE))
    painting: Painting = paint(engine)
    assert painting == painting_of(order())
    until(lambda: engine.pid is None)  # the frame too many has ended it
    assert paint(engine) == painting_of(order())
