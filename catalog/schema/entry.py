"""What the entries of models, adapters, embeddings and upscalers have in common."""

from typing import Self

from pydantic import model_validator

from catalog.limits import KEY_MAX
from catalog.ranges import StrictTable
from catalog.schema.fields import (
    Description,
    Licence,
    Link,
    Name,
    Revision,
    Source,
    Tags,
    WeightFile,
    is_key,
)


class Entry(StrictTable):
    """What models and adapters have in common.

    enabled: whether it is offered. demo: it ships with the code, to try out the bot, and is offered
    where demos are requested, whatever `enabled` says. tags: words to sort by, such as "anime".
    """

    key: str
    name: Name
    path: Source
    weight_name: WeightFile | None = None
    revision: Revision | None = None
    description: Description = ""
    enabled: bool = True
    demo: bool = False
    nsfw: bool = False
    licence: Licence = ""
    url: Link = ""
    tags: Tags = ()

    @model_validator(mode="after")
    def _key_is_sound(self) -> Self:
        if not is_key(self.key):
            raise ValueError(
                f"the key must be 1 to {KEY_MAX} of a-z, 0-9, '.', '_', '-'"
                " and begin with a letter or digit"
            )
        return self
