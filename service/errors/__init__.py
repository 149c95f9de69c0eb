"""Every error of the package, one class a cause, one base a question that a caller asks.

::

    ServiceError
    ├── InvalidSettings            the service cannot start like this
    ├── Unparseable                the bytes are not what they claim to be
    │   ├── InvalidJson · NestingTooDeep · DuplicateKey · InvalidEncoding
    │   └── InvalidCsv · InvalidParquet · UnreadableFile
    ├── InvalidInput               parsed, but it does not fit (also a ValueError)
    │   ├── WrongType · WrongShape · UnknownField · InvalidParameter · InvalidName · InvalidVersion
    │   ├── EmptyInput · RaggedRows · FeatureCount · MissingFeature · UnknownFeature · DuplicateFeature
    │   ├── NonFinite · MissingValue · UnknownCategory · TooManyRows · TooManyFeatures · TooManyCells
    │   ├── LengthMismatch · TooFewRows · SingleClass · TooManyClasses · MixedLabelTypes · NotCategorical
    │   └── InvalidWeights · Underdetermined · NumericOverflow · Diverged · TargetMissing · SeparationError · IdempotencyMismatch
    ├── NotFound                   ModelNotFound · VersionNotFound · AliasNotFound · ProblemNotFound · KeyNotFound
    ├── Conflict                   VersionInUse · TrainInProgress
    ├── PreconditionFailed         the alias moved since it was read
    ├── Forbidden                  TrainingDisabled · CrossSite
    ├── Integrity                  CorruptVersion · NewerFormat · UnsignedVersion · InvalidSignature
    └── Unavailable                NoLiveModel · TrainerBusy · TrainFailed · OutOfMemory · StoreUnavailable · StoreFull · TrainTimeout · Draining

The module knows no HTTP: the web floor maps classes to statuses, the command line to exit codes.  A class's
docstring is what ``/problems/<slug>`` shows: its meaning, and what to do about it.
"""

from __future__ import annotations

from service.errors.base import (
    MAX_NAME_LENGTH as MAX_NAME_LENGTH,
    FieldError as FieldError,
    ServiceError as ServiceError,
    all_errors as all_errors,
    quoted as quoted,
)


class InvalidSettings(ServiceError):
    """A setting is unknown or has a value that it cannot have.  ``logitd config`` lists the settings."""


class Unparseable(ServiceError):
    """The bytes could not be read as the format that they were sent as."""


class InvalidJson(Unparseable):
    """The body is not JSON (RFC 8259) in UTF-8 without a byte order mark.  The detail names the byte offset."""


class NestingTooDeep(Unparseable):
    """JSON may be nested 16 levels deep; no request of this service needs more than four."""


class DuplicateKey(Unparseable):
    """A JSON object names the same key twice, so it is not clear which value was meant."""


class InvalidEncoding(Unparseable):
    """The content coding (gzip) could not be undone: truncated, corrupt, or not compressed at all."""


class InvalidCsv(Unparseable):
    """The text is not CSV (RFC 4180, UTF-8, comma).  The detail names the line."""


class InvalidParquet(Unparseable):
    """The file is not a readable Parquet file, or a column has a type that is neither number nor text."""


class UnreadableFile(Unparseable):
    """The file is missing, is a directory, or may not be read."""


class InvalidInput(ServiceError, ValueError):
    """The request was understood, but its content does not fit what is expected here."""


class WrongType(InvalidInput):
    """A value has another JSON type than expected: numeric columns take numbers, text columns take strings."""


class WrongShape(InvalidInput):
    """The rows are not a list of rows.  One row is ``[[1, 2, 3]]``, with two pairs of brackets."""


class UnknownField(InvalidInput):
    """The body has a key that means nothing here.  Check its spelling."""


class InvalidParameter(InvalidInput):
    """An option or query parameter has a value outside its range.  The detail names the range."""


class InvalidName(InvalidInput):
    """A model or alias name must be 1 to 64 lower-case letters, digits, dots, dashes or underscores."""


class InvalidVersion(InvalidInput):
    """A version is a whole number from 1, written without sign or leading zero."""


class EmptyInput(InvalidInput):
    """There are no rows.  Send at least one."""


class RaggedRows(InvalidInput):
    """The rows have different lengths."""


class FeatureCount(InvalidInput):
    """The rows have another number of cells than the model has columns."""


class MissingFeature(InvalidInput):
    """A record lacks a column of the model.  A missing value is written as ``null``."""


class UnknownFeature(InvalidInput):
    """A record has a column that the model does not know."""


class DuplicateFeature(InvalidInput):
    """Two columns have the same name."""


class NonFinite(InvalidInput):
    """A number is infinite or too large for a 64-bit float."""


class MissingValue(InvalidInput):
    """A cell is missing, and the model rejects missing cells.  Fill it, or train with ``missing: "impute"``."""


class UnknownCategory(InvalidInput):
    """A text cell holds a category that was not in the training data.  The model's schema lists the known ones."""


class TooManyRows(InvalidInput):
    """There are more rows than one request may have.  Send several requests."""


class TooManyFeatures(InvalidInput):
    """There are more columns than the service accepts."""


class TooManyCells(InvalidInput):
    """Rows times columns exceed the limit.  Train offline with ``logitd train`` instead."""


class LengthMismatch(InvalidInput):
    """Targets or weights are not as many as the rows."""


class TooFewRows(InvalidInput):
    """There are too few rows to fit anything."""


class SingleClass(InvalidInput):
    """The target holds a single class; a classifier needs at least two."""


class TooManyClasses(InvalidInput):
    """The target holds more classes than can be fitted.  Is it an identifier?"""


class MixedLabelTypes(InvalidInput):
    """The labels mix types, such as numbers and strings.  Use one type for all."""


class NotCategorical(InvalidInput):
    """The labels are continuous numbers or not labels at all.  Classification needs whole numbers, strings or booleans."""


class InvalidWeights(InvalidInput):
    """Sample or class weights must be finite, not negative, and not all zero."""


class Underdetermined(InvalidInput):
    """There are fewer rows than columns and no penalty, so no unique finite optimum exists.  Use a finite C."""

    witness: tuple[tuple[float, ...], ...] | None = None  # a separating direction for each logit, the intercept last


class NumericOverflow(InvalidInput):
    """The numbers are so large or so small that the fit would overflow 64-bit floats.  Rescale the columns."""


class Diverged(InvalidInput):
    """Gradient descent overflowed: the learning rate is too large for these columns.  Lower it, or leave it out."""


class TargetMissing(InvalidInput):
    """There is no target column of this name."""


class SeparationError(InvalidInput):
    """No finite optimum was found: without a penalty separable classes push coefficients to infinity.  Use a finite C."""

    witness: tuple[tuple[float, ...], ...] | None = None  # a separating direction for each logit, the intercept last


class IdempotencyMismatch(InvalidInput):
    """The same Idempotency-Key was used before with another body.  Use a new key for a new request."""


class NotFound(ServiceError):
    """There is nothing of this name."""


class ModelNotFound(NotFound):
    """There is no model of this name in the store.  ``GET /models`` lists them."""


class VersionNotFound(NotFound):
    """The model has no such version.  ``GET /models/<name>`` lists its versions."""


class AliasNotFound(NotFound):
    """The model has no such alias.  ``GET /models/<name>`` lists its aliases."""


class ProblemNotFound(NotFound):
    """There is no such problem type."""


class KeyNotFound(NotFound):
    """There is no API key of this name.  ``logitd key list`` shows the names."""


class Conflict(ServiceError):
    """The request conflicts with the present state."""


class VersionInUse(Conflict):
    """An alias points to this version.  Move the alias first."""


class TrainInProgress(Conflict):
    """This model is being trained at this moment.  Wait for it to end."""


class PreconditionFailed(ServiceError):
    """The alias changed since it was read (If-Match).  Read it again and decide anew."""


class Forbidden(ServiceError):
    """This is not allowed here."""


class TrainingDisabled(Forbidden):
    """Training is switched off by ``LOGITD_TRAIN=off``, or the store is read-only."""


class CrossSite(Forbidden):
    """A browser sent this from another site.  Such requests are refused."""


class Integrity(ServiceError):
    """A stored version is not what was published."""


class CorruptVersion(Integrity):
    """A file of this version is missing, damaged or forged.  ``logitd models verify`` says which."""


class NewerFormat(Integrity):
    """This version was written by a newer release of logitd.  Upgrade to read it."""


class UnsignedVersion(Integrity):
    """Only signed versions are loaded here (``LOGITD_REQUIRE_SIGNATURE``), and this one has no signature.

    ``logitd models sign`` adds one.
    """


class InvalidSignature(Integrity):
    """The signature is by another key than ``LOGITD_REQUIRE_SIGNATURE`` names, or the version is not what was signed.

    ``logitd models verify`` says which.
    """


class Unavailable(ServiceError):
    """Not now; a later try may succeed."""


class NoLiveModel(Unavailable):
    """The model has no intact version at its alias ``live``.  Promote one, or train one."""


class TrainerBusy(Unavailable):
    """Another model is being trained, and one training runs at a time."""


class TrainFailed(Unavailable):
    """The training process ended without a result.  The live model is not affected."""


class OutOfMemory(Unavailable):
    """A training or a request needed more memory than there is for it.  The live model is not affected."""


class TrainTimeout(Unavailable):
    """Training took longer than it may and was stopped.  Train offline with ``logitd train``."""


class StoreUnavailable(Unavailable):
    """The model store cannot be read or written.  The live model keeps answering."""


class StoreFull(Unavailable):
    """The disk of the model store is full.  Nothing was published; the live model keeps answering."""


class Draining(Unavailable):
    """The service is about to stop and finishes what it has.  Another instance, or the next one here, will answer."""
