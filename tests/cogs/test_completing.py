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
from catalog.families import FLUX2, SDXL
from cogs.completing import Completing
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


def asked(*, defaults: tuple[str, ...] = (), **options: str | None) -> Any:
    extras = found_here()
    rules = extras[KEPT].rules
    rules = replace(rules, defaults=replace(rules.defaults, model=defaults))
    extras = {KEPT: replace(extras[KEPT], rules=rules)}
    namespace = SimpleNamespace(**{"model": None, "preset": None, **options})
    return SimpleNamespace(extras=extras, namespace=namespace)


def completing(known: Catalog, *, edits: bool) -> Completing:
    async def nothing_first(person: str, kind: str) -> tuple[str, ...]:
        return ()

    queue = JobQueue(cast("Store", None), [], Limits())
    return Completing(fixed(known), queue, nothing_first, edits=edits)


async def test_loras_and_sizes_are_those_of_the_model_that_will_be_used() -> None:
    small = BOTH["klein"].model_copy(update={"size": (512, 512)})
    known = catalog(**{**BOTH, "klein": small})
    for edits, lora, size in ((False, "ink", "1024x1024"), (True, "washes", "512x512")):
        complete = completing(known, edits=edits)
        choices = await complete.lora(asked(), "")
        assert [choice.value.partition(":")[0] for choice in choices] == [lora]
        native, *_ = complete.size(asked(), "")
        assert native.value == size


async def test_what_was_typed_counts_for_more() -> None:
    complete = completing(catalog(**BOTH), edits=True)
    choices = await complete.lora(asked(model="usual"), "")
    assert [choice.value.partition(":")[0] for choice in choices] == ["ink"]


async def test_the_persons_own_model_is_used_if_it_edits() -> None:
    small = BOTH["second"].model_copy(update={"size": (512, 512)})
    complete = completing(catalog(**{**BOTH, "second": small}), edits=True)
    for defaults, native in ((("second",), "512x512"), (("usual",), "1024x1024")):
        first, *_ = complete.size(asked(defaults=defaults), "")
        assert first.value == native


async def test_nothing_is_left_out_where_no_model_edits() -> None:
    complete = completing(catalog(usual=BOTH["usual"]), edits=True)
    choices = await complete.lora(asked(), "")
    assert {choice.value.partition(":")[0] for choice in choices} == {*BASES}
    assert complete.size(asked(), "") == []
