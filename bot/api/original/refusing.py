"""How the original interface says that it does not serve a call."""

from typing import Any, Final

from bot.api.errors import Answer
from bot.api.original.bodies import NAMES
from bot.api.refusals import Form


def _body(answer: Answer) -> dict[str, Any]:
    return {"detail": answer.detail, "code": answer.code, **answer.params}


FORM: Final = Form(prefix="", names=NAMES, body=_body)
