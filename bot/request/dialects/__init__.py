"""What the prompt syntax of other programs means here.

Each form is understood, or named in a note with what to write instead: nothing is painted as
letters in silence. `docs/prompts.md` lists them.

    infotext   what AUTOMATIC1111 writes into its files      pasted   the same in a prompt
    flags      Midjourney's --ar 3:2                         samplers   names of samplers
    forms      what is only named                            composition  AND
"""

from collections.abc import Set
from dataclasses import dataclass, field
from typing import Any, Final

from bot.progress import Notice
from bot.request import emphasis
from bot.request.dialects.flags import extract_flags
from bot.request.dialects.forms import without_forms
from bot.request.dialects.infotext import pasted_infotext
from bot.request.dialects.pasted import Attempt, Options, Taking
from bot.request.hashes import Hashes

OF_PROMPTS: Final = "dialect."
"""What the codes of the notes begin with."""


@dataclass(frozen=True, slots=True)
class Understood:
    """options: by the names of a Draft's fields; to be put in place of what was typed.

    notes: what the person should know, each once. pasted: whether it is another image's generation
    data, which say everything.
    """

    options: Options = field(repr=False)
    notes: tuple[Notice, ...]
    pasted: bool = False


def understand(
    prompt: str,
    negative: str | None,
    given: Set[str],
    attempt: Attempt,
    hashes: Hashes,
) -> Understood:
    """What a prompt and a negative prompt in any dialect ask for.

    given: the names of the options that were chosen, which count for more than what a prompt says.
    attempt: composes the draft with other options in place of its own.
    Raises InvalidRequest for a flag with a value that it cannot have, and what `attempt` does.
    """
    options: dict[str, Any] = {"prompt": prompt}
    notes: list[Notice] = []
    if (read := pasted_infotext(prompt)) is not None:
        taking = Taking(read, given, attempt, hashes)
        taking.all()
        # Generation data have all words; those of a LoRA that was chosen beside them are missing.
        complete = bool(read.settings) and given.isdisjoint(("lora", "adapters"))
        options |= {**taking.options, "complete": complete}
        notes += taking.notes
    flagged = extract_flags(options["prompt"])
    options["prompt"] = flagged.prompt
    for name, value in flagged.options.items():
        if name == "negative":
            before = options.get(name, negative)
            options[name] = emphasis.join([before, str(value)]) if before else value
        elif name not in given:
            options[name] = value
        else:
            params = {"flag": flagged.flags[name], "option": name}
            notes.append(Notice("dialect.flag.outweighed", params))
    notes += flagged.named
    negative = options.get("negative", negative)
    options["prompt"], named = without_forms(options["prompt"])
    notes += named
    if negative:
        options["negative"], named = without_forms(negative)
        notes += named
    once = {(note.code, *note.params.values()): note for note in notes}
    return Understood(options, tuple(once.values()), pasted=read is not None)
