"""Whatever may cross, drawn by hypothesis and made up by hand."""

import hashlib
import io
from typing import Any

import PIL.Image
from hypothesis import strategies as st

from bot.order import Order
from bot.painting import PaintedImage
from bot.progress import Progress, Stage
from bot.request import (
    CRISP,
    SEED_MAX,
    AdapterUse,
    Box,
    Describe,
    DrawnPrompts,
    EmbeddingUse,
    GenerationRequest,
    Hires,
    InitImage,
    Reference,
    Template,
    Upscale,
)
from catalog import (
    SCHEDULERS,
    AdapterEntry,
    DescriberEntry,
    EmbeddingEntry,
    ModelEntry,
    ReferenceEntry,
    UpscalerEntry,
)

CANARY = "a canary in the coal mine"
MODEL = ModelEntry(key="demo", name="Demo", path="demo")
INK = AdapterEntry(key="ink", name="Ink", path="ink.safetensors", trigger_words=("ink",))
HANDS = EmbeddingEntry(key="hands", name="Hands", path="hands.safetensors")
ULTRA = UpscalerEntry(key="ultra", name="Ultra", path="ultra.safetensors")
SEES = DescriberEntry(path="org/sees", tags="<TAGS>")
GUIDE = ReferenceEntry(path="org/ip", weight_name="ip.safetensors", encoder="encoder")


def png(side: int = 8) -> bytes:
    file = io.BytesIO()
    PIL.Image.new("RGB", (side, side), "teal").save(file, "PNG")
    return file.getvalue()


def jpeg(side: int = 8) -> bytes:
    file = io.BytesIO()
    PIL.Image.new("RGB", (side, side), "teal").save(file, "JPEG")
    return file.getvalue()


PICTURE = png()
SHA256 = hashlib.sha256(PICTURE).hexdigest()


def request(**fields: Any) -> GenerationRequest:
    defaults: dict[str, Any] = {
        "prompt": CANARY,
        "negative": "",
        "model": "demo",
        "steps": 3,
        "guidance": 5.5,
        "seed": 7,
        "width": 16,
        "height": 8,
        "scheduler": "Euler",
    }
    return GenerationRequest(**{**defaults, **fields})


def order(**fields: Any) -> Order:
    """With one of everything."""
    asked = request(
        adapters=(AdapterUse("ink", 0.8, 0.5),),
        embeddings=(EmbeddingUse("hands", "hands"),),
        init_image=InitImage(SHA256, 0.5, SHA256, Box(8, 0, 8, 8)),
        reference=Reference(SHA256, 0.4),
        **fields,
    )
    return Order(
        request=asked,
        model=MODEL,
        adapters=(INK,),
        reference=GUIDE,
        pictures={SHA256: PICTURE},
        embeddings=(HANDS,),
        name="a1b2:1",
    )


def enlarging() -> Order:
    """An order that needs no checkpoint."""
    asked = request(model="", steps=0, scheduler="", upscale=Upscale(SHA256, "ultra", 2.0, CRISP))
    return Order(request=asked, model=None, pictures={SHA256: PICTURE}, upscaler=ULTRA)


def describing() -> Order:
    """An order for the words for an image."""
    asked = request(model="", steps=0, scheduler="", describe=Describe(SHA256, "short"))
    return Order(request=asked, model=None, pictures={SHA256: PICTURE}, describer=SEES)


def painted(asked: GenerationRequest, number: int = 0) -> PaintedImage:
    image = PIL.Image.new("RGB", asked.final_size, (number, 2, 3))
    digest = hashlib.sha256(image.tobytes()).hexdigest()
    return PaintedImage(asked.image_seed(number), image, digest)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
numbers = st.floats(-5, 5, allow_nan=False)
shares = st.floats(0, 1)


@st.composite
def requests(draw: st.DrawFn) -> GenerationRequest:
    count = draw(st.integers(1, 4))
    others = draw(st.integers(0, count - 1))
    drawn = st.builds(DrawnPrompts, texts, texts, st.lists(texts, max_size=2).map(tuple))
    return request(
        prompt=draw(texts),
        negative=draw(texts),
        adapters=tuple(
            draw(st.lists(st.builds(AdapterUse, st.just("ink"), numbers, st.none() | numbers)))[:8]
        ),
        trigger_words=tuple(draw(st.lists(texts, max_size=3))),
        steps=draw(st.integers(1, 100)),
        guidance=draw(st.floats(0, 30)),
        seed=draw(st.integers(0, SEED_MAX)),
        width=draw(st.integers(8, 2048)),
        height=draw(st.integers(8, 2048)),
        count=count,
        scheduler=draw(st.sampled_from(SCHEDULERS)),
        clip_skip=draw(st.none() | st.integers(2, 12)),
        kernels=draw(st.sampled_from([None, "eager", "compiled"])),
        hires=draw(st.none() | st.builds(Hires, st.floats(1, 1.5), shares, st.integers(1, 100))),
        template=draw(st.none() | st.builds(Template, texts, st.none() | texts, st.integers(1, 9))),
        others=tuple(draw(st.lists(drawn, min_size=others, max_size=others))),
        edits=draw(st.booleans()),
        escapes=draw(st.booleans()),
        added=tuple(draw(st.lists(texts, max_size=2))),
    )


@st.composite
def reports(draw: st.DrawFn) -> Progress:
    stages = [each for each in Stage if each not in {Stage.QUEUED, Stage.SAVING}]
    steps, count = draw(st.integers(0, 100)), draw(st.integers(1, 4))
    return Progress(
        stage=draw(st.sampled_from(stages)),
        subject=draw(st.text(st.characters(exclude_categories=["C"]), max_size=60)),
        fraction=draw(shares),
        step=draw(st.integers(0, steps)),
        steps=steps,
        image=draw(st.integers(1, count)),
        count=count,
        larger=draw(st.booleans()),
        preview=draw(st.none() | st.just(jpeg())),
    )
