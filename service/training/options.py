"""``TrainingOptions``: how to fit, in scikit-learn's words, as the trainer and ``/train`` take them."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)

from service.errors import FieldError, InvalidParameter, UnknownField, quoted
from service.tabular.schema import MissingPolicy

Promotion: TypeAlias = Literal["certified", "if_better", "always", "never"]


def _strength(value: object, parse: ValidatorFunctionWrapHandler) -> float:
    """C as it is written: a finite number, or the word "inf"; a number that overflows is a mistake, not a wish."""
    return math.inf if value == "inf" else float(parse(value))


Strength: TypeAlias = Annotated[
    float,
    Field(gt=0, allow_inf_nan=False),
    WrapValidator(_strength),
    WithJsonSchema({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"const": "inf"}]}),
]


class TrainingOptions(BaseModel):
    """What can be said of a fit; the defaults are a certified fit with an L2 penalty on standardised columns.

    l1_ratio: the share of the L1 penalty, 0 to 1.  C: "auto" chooses the strength of the penalty by leave-one-out log-loss, see ``selection.strength_of``; inf is none.
    standardize: None standardises when there is a penalty, whose meaning depends on the columns' units; without one
    the optimum is the same either way, and the columns stay as they are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    solver: Literal["auto", "newton", "newton-cg", "row-space", "prox-newton", "gradient-descent"] = "auto"
    C: Strength | Literal["auto"] = "auto"
    l1_ratio: Annotated[float, Field(ge=0, le=1)] = 0.0
    fit_intercept: bool = True
    standardize: bool | None = None
    class_weight: Literal["balanced"] | dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] | None = None
    max_iter: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    tol: Annotated[float, Field(gt=0, le=1)] = 1e-10
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    missing: MissingPolicy = "reject"
    validation_fraction: Annotated[float, Field(ge=0, le=0.9)] = 0.2
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0

    @property
    def is_penalised(self) -> bool:
        return self.C == "auto" or math.isfinite(self.C)

    @property
    def has_l1(self) -> bool:
        return self.is_penalised and self.l1_ratio > 0

    @property
    def standardizes(self) -> bool:
        return self.is_penalised if self.standardize is None else self.standardize

    def as_json(self) -> dict[str, Any]:
        """The options as JSON can hold them: C = inf is the word "inf"."""
        return {**self.model_dump(mode="json"), "C": self.C if self.is_penalised else "inf"}


def parse_options(given: Mapping[str, object], *, from_text: bool = False) -> TrainingOptions:
    """Options from JSON values, or (from_text) from the strings of a query or a command line.

    Raises UnknownField with the nearest name, or InvalidParameter naming each option that is out of its range.
    """
    for name in given:
        if name not in TrainingOptions.model_fields:
            near = difflib.get_close_matches(name, TrainingOptions.model_fields, n=1)
            raise UnknownField(
                f"{quoted(name)} is not a training option",
                pointer="/options",
                hint=f"did you mean {near[0]}?" if near else None,
            )
    try:
        return TrainingOptions.model_validate(given, strict=not from_text)
    except ValidationError as error:
        details = _details(error)
        raise InvalidParameter(
            "; ".join(f"{name}: {text}" for name, text in details.items()),
            errors=tuple(FieldError(f"/options/{name}", "invalid-parameter", text) for name, text in details.items()),
        ) from None


def _details(error: ValidationError) -> dict[str, str]:
    """One sentence an option; a union's branches are told as one, and what holds for many of its values once."""
    messages: dict[str, list[str]] = {}
    for entry in error.errors(include_input=False):
        messages.setdefault(str(entry["loc"][0]), []).append(entry["msg"])
    return {name: " or ".join(dict.fromkeys(texts)) for name, texts in messages.items()}


def parse_promotion(promote: object) -> Promotion:
    """``true``, ``false``, ``"if_better"`` or ``"always"``, as JSON or as a word; raises InvalidParameter."""
    words: dict[object, Promotion] = {
        "true": "certified",
        "false": "never",
        "if_better": "if_better",
        "always": "always",
    }
    word = str(promote).lower() if isinstance(promote, bool) else promote
    if not isinstance(word, str) or word not in words:
        raise InvalidParameter('promote must be true, false, "if_better" or "always"', pointer="/promote")
    return words[word]
