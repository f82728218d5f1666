"""Ranges of numbers, as tables in the catalog's files."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class StrictTable(BaseModel):
    """A table of the catalog: frozen and strict, so no value is converted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class IntRange(StrictTable):
    """The bounds of a whole number and its default."""

    min: int = Field(ge=1, le=1000)
    default: int = Field(ge=1, le=1000)
    max: int = Field(ge=1, le=1000)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_order(self.min, self.default, self.max)
        return self


class FloatRange(StrictTable):
    """The bounds of a number and its default."""

    min: float = Field(ge=0, le=100)
    default: float = Field(ge=0, le=100)
    max: float = Field(ge=0, le=100)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_order(self.min, self.default, self.max)
        return self


def _check_order(low: float, default: float, high: float) -> None:
    if not low <= default <= high:
        raise ValueError(
            f"must have min <= default <= max, got min={low}, default={default}, max={high}"
        )
