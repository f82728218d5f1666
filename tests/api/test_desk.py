"""What of a call over HTTP is kept, so that the same can be told from something else."""

from bot.api.desk import _digest
from bot.request import Draft


def test_what_was_asked_before_an_option_was_added_is_still_the_same() -> None:
    """Otherwise a call that is repeated after an update would be refused as another one."""
    plain = Draft(prompt="a fox", seed=7)
    assert _digest(plain, {}) == "50b94b69664fe752fbbd1e2a666746bc90a890b5f3c2fd6b4410ec489e63e338"


def test_a_variation_is_something_else() -> None:
    plain, varied = (Draft(prompt="a fox", seed=7, variation=text) for text in (None, "12:0.2"))
    assert _digest(plain, {}) != _digest(varied, {})
