"""Orders come out as they went in, or are refused by name."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.errors import WireError
from bot.order import Order
from bot.request import (
    Axis,
    Comparison,
    ControlUse,
    GenerationRequest,
    MapDraft,
    Mix,
    Picture,
    Variation,
)
from bot.request.mapping import compose_map
from bot.wire import orders
from catalog import Catalog, ControlNetEntry, DetectorEntry, PoseEntry
from tests.wire.things import (
    CANARY,
    INK,
    MODEL,
    PICTURE,
    SHA256,
    describing,
    enlarging,
    order,
    png,
    request,
    requests,
)


@pytest.mark.parametrize(
    "sent",
    [
        order(),
        order(count=4),
        order(count=4, variation=Variation(7, 0.2, (Mix(12, 0.1),))),
        enlarging(),
    ],
)
def test_an_order_comes_out_as_it_went_in(sent: Order) -> None:
    data = orders.encode(sent)
    assert PICTURE not in data
    assert orders.decode(data).with_pictures({SHA256: PICTURE}) == sent


@settings(max_examples=30)
@given(requests())
def test_so_does_every_request(asked: GenerationRequest) -> None:
    adapters = tuple(INK for _ in asked.adapters)
    sent = Order(request=asked, model=MODEL, adapters=adapters)
    assert orders.decode(orders.encode(sent)).with_pictures({}) == sent


@given(st.binary(max_size=200) | st.text().map(str.encode))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(WireError, match=r"^order: "):
        orders.decode(noise)


POSED: dict[str, Any] = {
    "key": "union",
    "sha256": "d" * 64,
    "type": "openpose",
    "weight": 1.0,
    "start": 0.0,
    "end": 1.0,
    "is_map": False,
    "of_photo": True,
}
UNION: dict[str, Any] = ControlNetEntry(key="union", name="U", path="org/u").model_dump(mode="json")

Change = Callable[[dict[str, Any]], object]
WRONG: dict[str, tuple[str, Change]] = {
    "networks that nothing lends": ("lent", lambda o: o.update(lent={"unet": "sha256:"})),
    "a field that nobody knows": ("request.shell", lambda o: o["request"].update(shell="rm")),
    "one beside the request": ("folder", lambda o: o.update(folder="/etc")),
    "a missing field": ("request.seed", lambda o: o["request"].pop("seed")),
    "another type": ("request.steps", lambda o: o["request"].update(steps="3")),
    "a truth for a number": ("request.seed", lambda o: o["request"].update(seed=True)),
    "too many steps": ("steps", lambda o: o["request"].update(steps=10**9)),
    "too many pixels": ("pixels", lambda o: o["request"].update(width=5_000, height=5_000)),
    "too wide": ("width", lambda o: o["request"].update(width=10**30)),
    "no width": ("width", lambda o: o["request"].update(width=0)),
    "too many images": ("count", lambda o: o["request"].update(count=1_000)),
    "a seed beyond the last": ("seed", lambda o: o["request"].update(seed=2**32)),
    "a variation beyond the other seed": (
        "variation",
        lambda o: o["request"].update(variation={"seed": 7, "strength": 1.5, "before": []}),
    ),
    "a variation of a seed beyond the last": (
        "variation",
        lambda o: o["request"].update(variation={"seed": 2**32, "strength": 0.5, "before": []}),
    ),
    "more variations than there may be": (
        "mixes",
        lambda o: o["request"].update(
            variation={"seed": 7, "strength": 0.5, "before": [{"seed": 1, "strength": 0.1}] * 8}
        ),
    ),
    "more texts than images": (
        "others",
        lambda o: o["request"].update(
            others=[{"prompt": "", "negative": "", "trigger_words": [], "embeddings": []}]
        ),
    ),
    "an unknown scheduler": ("scheduler", lambda o: o["request"].update(scheduler="Mine")),
    "kernels of its own": ("kernels", lambda o: o["request"].update(kernels="mine")),
    "a picture that is a path": (
        "picture",
        lambda o: o["request"]["init_image"].update(sha256="../../etc/passwd"),
    ),
    "too strong": ("strength", lambda o: o["request"]["init_image"].update(strength=1.5)),
    "a mask that is a path": ("picture", lambda o: o["request"]["init_image"].update(mask="/x")),
    "a box beyond the image": ("box", lambda o: o["request"]["init_image"]["box"].update(left=9)),
    "a box before it": ("box", lambda o: o["request"]["init_image"]["box"].update(left=-1)),
    "an empty box": ("box", lambda o: o["request"]["init_image"]["box"].update(width=0)),
    "an area beside a box": (
        "area",
        lambda o: o["request"]["init_image"].update(area={"padding": 0, "width": 9, "height": 9}),
    ),
    "an area without a size": (
        "pixels in the end",
        lambda o: o["request"]["init_image"].update(area={"padding": 0, "width": 0, "height": 9}),
    ),
    "padding of nothing": (
        "padding",
        lambda o: o["request"]["init_image"].update(area={"padding": -1, "width": 9, "height": 9}),
    ),
    "an area that is too large": (
        "pixels in the end",
        lambda o: o["request"]["init_image"].update(
            box=None, area={"padding": 0, "width": 8_000, "height": 8_000}
        ),
    ),
    "something to find, and nothing that finds it": (
        "detector",
        lambda o: o["request"].update(detail=[{"word": "face", "strength": 0.4}]),
    ),
    "too much to find": (
        "detail",
        lambda o: o["request"].update(detail=[{"word": "face", "strength": 0.4}] * 4),
    ),
    "too much of it changed": (
        "strength",
        lambda o: o["request"].update(detail=[{"word": "face", "strength": 1.4}]),
    ),
    "a word of many lines": (
        "word",
        lambda o: o["request"].update(detail=[{"word": "a\nb", "strength": 0.4}]),
    ),
    "a detector for nothing": ("detector", lambda o: o.update(detector={"path": "org/finds"})),
    "a pose to follow, and nothing that tells it": (
        "pose",
        lambda o: (o["request"].update(controls=[POSED]), o.update(controls=[UNION])),
    ),
    "what tells poses for nothing": ("pose", lambda o: o.update(pose={"path": "org/poses"})),
    "edges of a photo, which are always": (
        "of_photo",
        lambda o: o["request"].update(controls=[{**POSED, "type": "canny"}]),
    ),
    "a map of a photo that is a map": (
        "of_photo",
        lambda o: o["request"].update(controls=[{**POSED, "is_map": True}]),
    ),
    "a map alone beside a model": (
        "controls",
        lambda o: o["request"].update(controls=[{**POSED, "key": ""}]),
    ),
    "a describer for nothing": ("describer", lambda o: o.update(describer={"path": "org/sees"})),
    "something to describe, and nothing that does": (
        "describe",
        lambda o: o["request"].update(describe={"sha256": SHA256, "style": "short"}),
    ),
    "a weight that is too large": (
        "weight",
        lambda o: o["request"]["adapters"][0].update(weight=1e9),
    ),
    "a model that is another": ("model", lambda o: o["model"].update(key="other")),
    "no model": ("model", lambda o: o.update(model=None)),
    "a pickle": ("model.path", lambda o: o["model"].update(path="x.ckpt")),
    "one adapter more": ("adapters", lambda o: o["adapters"].append(o["adapters"][0])),
    "no embedding": ("embeddings", lambda o: o.update(embeddings=[])),
    "an upscaler": ("upscaler", lambda o: o.update(upscaler={**o["adapters"][0]})),
    "no reference": ("reference", lambda o: o.update(reference=None)),
    "a name with a slash": ("name", lambda o: o.update(name="../job")),
    "a name with a line": ("name", lambda o: o.update(name="a:1\n")),
    "a long text": ("request.prompt", lambda o: o["request"].update(prompt="x" * 40_000)),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_named_without_what_was_typed(wrong: str) -> None:
    field, change = WRONG[wrong]
    [parsed] = json.loads(orders.encode(order()))
    change(parsed)
    with pytest.raises(WireError, match=r"^order: ") as refused:
        orders.decode(json.dumps([parsed]).encode())
    assert field in str(refused.value)
    assert CANARY not in str(refused.value)


def test_a_comparison_is_none_of_an_engines_orders() -> None:
    sheet = Comparison((Axis("seed", ("7",)),), (request(),))
    with pytest.raises(WireError, match="comparison"):
        orders.decode(orders.encode(Order(request(comparison=sheet), MODEL)))


def test_numbers_beyond_all_bounds_are_refused() -> None:
    data = orders.encode(order())
    for number in (b"NaN", b"Infinity", b"1e999", b"1" * 5_000):
        with pytest.raises(WireError, match=r"^order: "):
            orders.decode(data.replace(b"5.5", number))


def test_a_message_beyond_its_size_is_refused_at_both_ends() -> None:
    long = replace(request(), trigger_words=("x" * 30_000,) * 40)
    with pytest.raises(WireError, match=r"order: \d+ bytes; allowed are 1048576"):
        orders.encode(Order(long, MODEL))
    with pytest.raises(WireError, match=r"order: \d+ bytes; allowed are 1048576"):
        orders.decode(b" " * 2**21)


def test_a_text_that_is_not_unicode_is_refused_without_being_quoted() -> None:
    with pytest.raises(WireError, match=r"^order: cannot be written as JSON$"):
        orders.encode(Order(request(prompt=f"{CANARY}\ud800"), MODEL))


@pytest.mark.parametrize(
    ("picture", "why"),
    [
        (None, "was not sent"),
        (b"", "bytes: 0"),
        (PICTURE + b"\0", "another sha256"),
    ],
)
def test_a_picture_that_is_not_the_one_is_refused(picture: bytes | None, why: str) -> None:
    sent = orders.decode(orders.encode(order()))
    with pytest.raises(WireError, match=rf"picture {SHA256}: .*{why}"):
        sent.with_pictures({} if picture is None else {SHA256: picture})


def test_a_picture_is_a_png_of_a_usual_size() -> None:
    huge = bytearray(png())
    huge[16:24] = (100_000).to_bytes(4) * 2
    for data, why in ((b"GIF89a", "a PNG"), (bytes(huge), "pixels: 1e.10")):
        sha256 = hashlib.sha256(data).hexdigest()
        asked = enlarging().request
        assert asked.upscale is not None
        upscale = replace(asked.upscale, sha256=sha256)
        sent = replace(enlarging(), request=replace(asked, upscale=upscale))
        with pytest.raises(WireError, match=rf"picture {sha256}: .*{why}"):
            orders.decode(orders.encode(sent)).with_pictures({sha256: data})


def test_a_pose_may_have_a_detector_and_needs_none() -> None:
    use = ControlUse("union", "d" * 64, "openpose", of_photo=True)
    sent = replace(
        order(),
        request=replace(order().request, controls=(use,)),
        controls=(ControlNetEntry(key="union", name="U", path="org/u"),),
        pose=PoseEntry(path="org/poses"),
    )
    for detector in (None, DetectorEntry(path="org/finds")):
        asked = replace(sent, detector=detector)
        decoded = orders.decode(orders.encode(asked))
        assert (decoded.pose, decoded.detector) == (asked.pose, detector)


def test_a_map_alone_is_an_order() -> None:
    draft = MapDraft(image=Picture("a" * 64, 90, 60), type="canny")
    request = compose_map(draft, Catalog({}, {}, ""))
    decoded = orders.decode(orders.encode(Order(request, None)))
    assert decoded.request == request
    assert decoded.controls == ()


def test_an_order_to_describe_comes_out_as_it_went_in_and_no_other() -> None:
    asked = describing()
    sent = orders.decode(orders.encode(asked))
    assert sent.with_pictures(asked.pictures) == asked
    [parsed] = json.loads(orders.encode(asked))
    for wrong in (
        {"describe": {"sha256": SHA256, "style": "loud"}},
        {"describe": {"sha256": "/etc/passwd", "style": "short"}},
        {"count": 2},
    ):
        changed = {**parsed, "request": {**parsed["request"], **wrong}}
        with pytest.raises(WireError, match=r"^order: "):
            orders.decode(json.dumps([changed]).encode())
    with pytest.raises(WireError, match="describer"):
        orders.decode(json.dumps([{**parsed, "describer": None}]).encode())
