"""An order has everything that a request names, and nothing that could not be sent elsewhere."""

import json
from dataclasses import replace
from typing import Any

import pytest

from bot.errors import JobFailed
from bot.order import Order, knows, order_of
from bot.request import (
    CRISP,
    AdapterUse,
    EmbeddingUse,
    GenerationRequest,
    InitImage,
    Reference,
    Upscale,
)
from catalog import (
    AdapterEntry,
    Catalog,
    EmbeddingEntry,
    Embeddings,
    ModelEntry,
    ReferenceEntry,
    UpscalerEntry,
    Upscalers,
)

OVER, GUIDE = "1" * 64, "2" * 64
KEPT = {OVER: b"one picture", GUIDE: b"another"}
MODEL = ModelEntry(key="demo", name="Demo", path="demo")
FINE, INK = (AdapterEntry(key=key, name=key, path=f"{key}.safetensors") for key in ("fine", "ink"))
REFERENCE = ReferenceEntry(path="org/ip", weight_name="ip.safetensors", encoder="encoder")
CATALOG = Catalog(
    {"demo": MODEL}, {"fine": FINE, "ink": INK}, "demo", references={"sdxl": REFERENCE}
)

UNGUIDED = {"family": "Stable Diffusion XL", "key": "sdxl"}


def asking(**fields: Any) -> GenerationRequest:
    defaults: dict[str, Any] = {
        "prompt": "a fox",
        "negative": "",
        "model": "demo",
        "adapters": (AdapterUse("ink", 0.5), AdapterUse("fine", 1.0)),
        "steps": 2,
        "guidance": 5.0,
        "seed": 11,
        "width": 512,
        "height": 512,
        "scheduler": "Euler",
        "init_image": InitImage(OVER, 0.5),
        "reference": Reference(GUIDE, 0.7),
    }
    return GenerationRequest(**{**defaults, **fields})


def resolved(request: GenerationRequest, catalog: Catalog = CATALOG) -> Order:
    return order_of(request, catalog, kept)


def kept(sha256: str) -> bytes:
    if sha256 not in KEPT:
        raise FileNotFoundError(sha256)
    return KEPT[sha256]


def test_entries_are_in_the_order_of_the_request() -> None:
    assert resolved(asking()) == Order(asking(), MODEL, (INK, FINE), REFERENCE, KEPT)


def test_only_what_is_asked_for_is_in_it() -> None:
    plain = asking(adapters=(), init_image=None, reference=None)
    assert resolved(plain) == Order(plain, MODEL)


def test_a_picture_used_twice_is_there_once() -> None:
    order = resolved(asking(reference=Reference(OVER, 0.7)))
    assert order.pictures == {OVER: KEPT[OVER]}


def test_it_survives_as_json_and_bytes() -> None:
    order = resolved(asking())
    assert order.model
    sent = json.dumps(
        {
            "request": order.request.to_dict(),
            "model": order.model.model_dump(mode="json"),
            "adapters": [entry.model_dump(mode="json") for entry in order.adapters],
            "reference": REFERENCE.model_dump(mode="json"),
        }
    )
    got = json.loads(sent)
    assert order == Order(
        request=GenerationRequest.from_dict(got["request"]),
        model=ModelEntry.model_validate(got["model"]),
        adapters=tuple(AdapterEntry.model_validate(entry) for entry in got["adapters"]),
        reference=ReferenceEntry.model_validate(got["reference"]),
        pictures=dict(order.pictures),
    )


GONE = (AdapterUse("gone", 1.0),)


@pytest.mark.parametrize(
    ("request_", "catalog", "code", "params"),
    [
        (asking(model="gone"), CATALOG, "model.gone", {"model": "gone"}),
        (asking(init_image=InitImage("0" * 64, 0.5)), CATALOG, "picture.gone", {}),
        (asking(adapters=GONE), CATALOG, "adapter.gone", {"adapter": "gone"}),
        (
            asking(),
            Catalog({"demo": MODEL}, CATALOG.adapters, "demo"),
            "reference.none",
            {"family": "Stable Diffusion XL", "key": "sdxl"},
        ),
        # Of several problems, the first that anyone could fix.
        (asking(adapters=GONE, model="gone"), CATALOG, "model.gone", {"model": "gone"}),
        (asking(adapters=GONE, reference=Reference("0" * 64, 1.0)), CATALOG, "picture.gone", {}),
    ],
)
def test_what_is_missing_is_named(
    request_: GenerationRequest, catalog: Catalog, code: str, params: dict[str, str]
) -> None:
    with pytest.raises(JobFailed) as failure:
        resolved(request_, catalog)
    assert (failure.value.code, failure.value.params) == (code, params)


def test_what_is_no_sha256_is_a_picture_that_is_gone() -> None:
    def refuse(sha256: str) -> bytes:
        raise ValueError(sha256)

    with pytest.raises(JobFailed) as failure:
        order_of(asking(), CATALOG, refuse)
    assert failure.value.code == "picture.gone"


def test_embeddings_are_there_once_each_in_the_order_of_the_request() -> None:
    fine, soft = (EmbeddingEntry(key=key, name=key, path=key) for key in ("fine", "soft"))
    catalog = Catalog(
        CATALOG.models, {}, "demo", embeddings=Embeddings({"fine": fine, "soft": soft})
    )
    uses = [EmbeddingUse(key, word) for key, word in (("soft", "a"), ("fine", "b"), ("soft", "c"))]
    plain = asking(adapters=(), init_image=None, reference=None, embeddings=tuple(uses))
    assert resolved(plain, catalog).embeddings == (soft, fine)
    with pytest.raises(JobFailed) as failure:
        resolved(plain)
    assert (failure.value.code, failure.value.params) == ("embedding.gone", {"embedding": "soft"})


def test_what_is_only_enlarged_has_an_upscaler_and_no_model() -> None:
    upscale = Upscale(OVER, "sharp", 2.0, CRISP)
    asked = asking(model="", adapters=(), init_image=None, reference=None, upscale=upscale)
    sharp = UpscalerEntry(key="sharp", name="Sharp", path="org/sharp")
    catalog = replace(CATALOG, upscalers=Upscalers({"sharp": sharp}))
    assert order_of(asked, catalog, KEPT.__getitem__) == Order(
        asked, None, pictures={OVER: KEPT[OVER]}, upscaler=sharp
    )
    assert knows(catalog, asked)
    assert not knows(CATALOG, asked)
    with pytest.raises(JobFailed) as failure:
        order_of(asked, CATALOG, KEPT.__getitem__)
    assert (failure.value.code, failure.value.params) == ("upscaler.gone", {"upscaler": "sharp"})
