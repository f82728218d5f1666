"""Models that read a prompt, or BREAK in it, as it is: what that means to others is named."""

from collections.abc import Iterable, Iterator, Sequence

from bot.progress import Notice
from bot.request import emphasis
from bot.request.editing import Editing
from bot.request.model import GenerationRequest
from catalog import Catalog, ModelEntry


def read_as_words(request: GenerationRequest, catalog: Catalog) -> tuple[Notice, ...]:
    """For each model of `request` that reads prompts as they are, a note with the forms in its
    texts that mean something to others; and where brackets work, one if BREAK is but a word."""
    found: dict[str, dict[str, None]] = {}
    for each in request.each:
        model = catalog.models.get(each.model)
        if model is None or model.family.takes_break:
            continue
        forms = found.setdefault(model.key, {})
        for n in range(len(each.prompts)):
            own = each.alone(n)
            for text in (own.prompt, *own.trigger_words, own.negative):
                forms.update(dict.fromkeys(_forms(text, model)))
    return tuple(_note(catalog.models[key], forms) for key, forms in found.items() if forms)


def advisable(notes: Sequence[Notice], model: ModelEntry) -> tuple[Notice, ...]:
    """`notes` on a prompt without advice that would not help with this model."""
    return tuple(_without_advice(note) if _misleads(note, model) else note for note in notes)


def _note(model: ModelEntry, forms: Iterable[str]) -> Notice:
    if model.family.takes_emphasis:
        return Notice("dialect.form.words", {"form": ", ".join(forms)})
    return Notice("dialect.plain", {"model": model.key, "forms": ", ".join(forms)})


def _forms(text: str, model: ModelEntry) -> Iterator[str]:
    """What is only words to `model`."""
    marks = emphasis.marks(text)
    if not model.family.takes_emphasis:
        if "(" in marks:
            yield "(a:1.2)"
        if Editing(text):
            yield "[a:b:0.5]"
        elif "[" in marks:
            yield "[a]"
    if emphasis.BREAK in marks:
        yield emphasis.BREAK


def _misleads(note: Notice, model: ModelEntry) -> bool:
    if note.code == "dialect.form.instead":  # a weight in brackets
        return not model.family.takes_emphasis
    return note.params.get("option") in model.lacks


def _without_advice(note: Notice) -> Notice:
    match note.code:
        case "dialect.form.instead":
            return Notice("dialect.form.words", {"form": note.params["form"]})
        case "dialect.form.left_out_for":
            return Notice("dialect.form.left_out", {"form": note.params["form"]})
        case "dialect.flag.instead":
            return Notice("dialect.flag.nothing", {"flags": note.params["flags"]})
        case _:
            return note
