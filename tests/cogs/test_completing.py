"""What the options of a command are completed by: the model that it will use."""

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from bot.chat.here import KEPT
from bot.queue import JobQueue
from bot.queue.limits import Limits
from bot.store import Store
from catalog import AdapterEntry, AdapterFacts, Catalog, ModelEntry
from catalog.families.flux2 import FLUX2
from catalog.families.sdxl import SDXL
from cogs.completing import (
    complete_editing_lora,
    complete_editing_size,
    complete_lora,
    complete_size,
)
from tests.catalog.fixed import fixed
from tests.chat.found import found_here

BOTH: Mapping[str, ModelEntry] = {
    "usual": ModelEntry(key="usual", name="Usual", path="org/usual"),
    "klein": ModelEntry(key="klein", name="klein", path="org/klein", family=FLUX2),
    "second": ModelEntry(key="second", name="klein 2", path="org/klein-2", family=FLUX2),
}
BASES = {"ink": SDXL.adapter_bases[0], "washes": FLUX2.adapter_bases[0]}


def catalog(**models: ModelEntry) -> Catalog:
    """A LoRA for either family, and the first of the models as the default."""
    adapters = {key: AdapterEntry(key=key, name=key, path=f"org/{key}") for key in BASES}
    facts = {key: AdapterFacts(base=base) for key, base in BASES.items()}
    return Catalog(models, adapters, next(iter(models)), adapter_facts=facts)


def asked(known: Catalog, *, defaults: tuple[str, ...] = (), **options: str | None) -> Any:
    extras = found_here()
    rules = extras[KEPT].rules
    rules = replace(rules, defaults=replace(rules.defaults, model=defaults))
    extras = {KEPT: replace(extras[KEPT], rules=rules)}
    namespace = SimpleNamespace(**{"model": None, "preset": None, **options})
    backend = SimpleNamespace(
        catalog=fixed(known),
        queue=JobQueue(cast("Store", None), [], Limits()),
        first_for=nothing_first,
    )
    client = SimpleNamespace(services=SimpleNamespace(backend=backend))
    return SimpleNamespace(client=client, extras=extras, namespace=namespace)


async def nothing_first(person: str, kind: str) -> tuple[str, ...]:
    return ()


async def test_loras_and_sizes_are_those_of_the_model_that_will_be_used() -> None:
    small = BOTH["klein"].model_copy(update={"size": (512, 512)})
    known = catalog(**{**BOTH, "klein": small})
    for loras, sizes, lora, size in (
        (complete_lora, complete_size, "ink", "1024x1024"),
        (complete_editing_lora, complete_editing_size, "washes", "512x512"),
    ):
        choices = await loras(asked(known), "")
        assert [choice.value.partition(":")[0] for choice in choices] == [lora]
        native, *_ = await sizes(asked(known), "")
        assert native.value == size


async def test_what_was_typed_counts_for_more() -> None:
    choices = await complete_editing_lora(asked(catalog(**BOTH), model="usual"), "")
    assert [choice.value.partition(":")[0] for choice in choices] == ["ink"]


async def test_the_persons_own_model_is_used_if_it_edits() -> None:
    small = BOTH["second"].model_copy(update={"size": (512, 512)})
    known = catalog(**{**BOTH, "second": small})
    for defaults, native in ((("second",), "512x512"), (("usual",), "1024x1024")):
        first, *_ = await complete_editing_size(asked(known, defaults=defaults), "")
        assert first.value == native


async def test_nothing_is_left_out_where_no_model_edits() -> None:
    asking = asked(catalog(usual=BOTH["usual"]))
    choices = await complete_editing_lora(asking, "")
    assert {choice.value.partition(":")[0] for choice in choices} == {*BASES}
    assert await complete_editing_size(asking, "") == []
