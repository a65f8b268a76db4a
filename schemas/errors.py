"""The error tree, with stable codes.

    SightlineError
    ├── InputError          this input can never succeed: it leaves as a dead letter, at once
    ├── UnclearError        may be the input, may be the target: split, retried a bounded number of times
    ├── OutageError         the target is away: consumption waits, with back-off, however long it lasts
    │   ├── SetupError      the target is there but set up wrongly (no table, no right): waits, and alerts
    │   └── BrokenError     it is in this process itself: waits some minutes, then the process ends
    └── ConfigurationError  our own settings or files are wrong: exit code 2, with where
        ├── ModelError      a model cannot be used: refused, and what is in force stays
        └── ReplayError     a replay cannot be had, or not be brought to what is asked

What to do about an error follows from its type alone; what happened follows from its code. Nobody
matches on message text.
"""

from enum import StrEnum
from typing import Self


class Stage(StrEnum):
    """Where in the data path an input failed (`dl_stage`)."""

    FRAME = "frame"
    CLAIM = "claim"
    INSPECT = "inspect"
    DECODE = "decode"
    QUALITY = "quality"
    INFER = "infer"
    SUMMARISE = "summarise"
    DRAW = "draw"
    PROCESS = "process"
    SINK_POSTGRES = "sink.postgres"
    SINK_OBJECTS = "sink.objects"


class _Explained(StrEnum):
    """Stable codes, each with what it means."""

    explanation: str

    def __new__(cls, value: str, explanation: str = "") -> Self:
        """Make a member of its value, with what it means beside it."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.explanation = explanation
        return member


class Code(_Explained):
    """Why an input failed (`dl_code`). The value is on the wire and never changes its meaning."""

    # headers and envelope
    HEADER_MISSING = "header_missing", "A required CloudEvents header is missing or empty."
    HEADER_REPEATED = "header_repeated", "A `ce_*` or `content-type` header stands more than once."
    HEADER_NAME_INVALID = "header_name_invalid", "A header's name is not UTF-8, so no header can be read."
    HEADER_VALUE_INVALID = "header_value_invalid", "A header's value is null, not UTF-8, or holds control characters."
    SPECVERSION_UNKNOWN = "specversion_unknown", "`ce_specversion` is not 1.0."
    TYPE_UNKNOWN = "type_unknown", "`ce_type` is not one that this topic carries."
    TIME_INVALID = "time_invalid", "`ce_time` or `ce_deadline` is not an RFC 3339 time with a zone."
    TIME_IN_FUTURE = "time_in_future", "`ce_time` lies after the record's append time by more than is allowed."
    SETTING_INVALID = (
        "setting_invalid",
        "A setting of the frame (`ce_confidence` and so on) is malformed or out of bounds.",
    )
    ENVELOPE_INVALID = "envelope_invalid", "A structured-mode event is not a valid CloudEvents JSON envelope."
    # value and claim check
    VALUE_NULL = "value_null", "The value is null and there is no `ce_dataref`."
    VALUE_EMPTY = "value_empty", "The value is empty and there is no `ce_dataref`, or the claimed object is empty."
    DATAREF_WITH_VALUE = "dataref_with_value", "The frame has both a value and `ce_dataref`."
    INLINE_TOO_LARGE = "inline_too_large", "The inline value is over the inline limit; send it by claim check."
    CLAIM_INVALID = "claim_invalid", "`ce_dataref` is not an address that can be read."
    CLAIM_NOT_ALLOWED = "claim_not_allowed", "`ce_dataref` points outside the buckets that are allowed."
    CLAIM_NOT_FOUND = "claim_not_found", "The claimed object does not exist."
    CLAIM_TOO_LARGE = "claim_too_large", "The claimed object is over the pipeline's size limit."
    CLAIM_UNREADABLE = "claim_unreadable", "The claimed object could not be read in the time and tries allowed."
    # picture
    PICTURE_TOO_LARGE = "picture_too_large", "The picture's bytes are over the pipeline's size limit."
    MEDIA_TYPE_UNKNOWN = "media_type_unknown", "The first bytes are those of no known picture format."
    MEDIA_TYPE_NOT_ALLOWED = "media_type_not_allowed", "The format is known, but not on the pipeline's list."
    MEDIA_TYPE_MISMATCH = "media_type_mismatch", "The declared media type is not what the bytes are."
    DIMENSIONS_TOO_LARGE = "dimensions_too_large", "Width, height or pixel count are over the pipeline's limit."
    PICTURE_TRUNCATED = "picture_truncated", "The picture ends before its format says it does."
    PICTURE_CORRUPT = "picture_corrupt", "The picture's structure or data is damaged."
    INFERENCE_FAILED = "inference_failed", "The model fails on this picture, also when it is tried alone."
    INFERENCE_INVALID = "inference_invalid", "The model's numbers for this picture are not finite or not plausible."
    RESULT_TOO_LARGE = "result_too_large", "What was found in this picture is larger than a message may be."
    PROCESSING_FAILED = "processing_failed", "An unexpected error on this input, repeated when it was tried alone."
    PROCESS_KILLED = "process_killed", "The process that worked on this input died, and again with it alone."
    PROCESS_HUNG = "process_hung", "Work on this input did not end within the time limit, also when it was tried alone."
    MEMORY_EXHAUSTED = "memory_exhausted", "Work on this input takes more memory than a worker may have, also alone."
    # replays
    REPLAY_INVALID = "replay_invalid", "The headers that say which frame is replayed are missing or broken."
    OVERRIDES_INVALID = (
        "overrides_invalid",
        "What a replay wants otherwise (pipeline, thresholds, models) is gone, changed, or cannot be used.",
    )
    # sinks
    RECORD_INVALID = "record_invalid", "The record is not a message that this sink can read."
    ROW_REJECTED = "row_rejected", "The database refuses this row for its content."
    OBJECT_REJECTED = "object_rejected", "The object store refuses this object for its name or size."


class ModelCode(_Explained):
    """Why a model is refused. The value is on metrics and in logs and never changes its meaning."""

    MISSING = "model_missing", "There is no such model, or a file of it is missing."
    CARD_MISSING = "model_card_missing", "The file says nothing of itself, so it needs a card."
    CARD_INVALID = "model_card_invalid", "The card cannot be read, or contradicts the weights."
    DIGEST_MISMATCH = "model_digest_mismatch", "A file is not the one whose digest was given."
    UNREADABLE = "model_unreadable", "The weights are truncated or no ONNX model."
    UNSUPPORTED = "model_unsupported", "The weights need an operator, opset or type that the engine does not know."
    EXTERNAL_DATA_MISSING = "model_external_data_missing", "The weights point to a file that the card does not list."
    TASK_WRONG = "model_task_wrong", "The model is of another task than the role wants."
    CLASSES_UNMAPPABLE = "model_classes_unmappable", "The pipeline's arithmetic cannot map the model's classes."
    SHAPE_WRONG = "model_shape_wrong", "Inputs or outputs have not the shape that card and task ask for."
    OUTPUT_INVALID = "model_output_invalid", "On a trial picture the model gives numbers that are not finite."
    DEVICE_UNAVAILABLE = "model_device_unavailable", "The device that is asked for cannot run the model."
    MEMORY_EXCEEDED = "model_memory_exceeded", "Not even a batch of one fits the memory limit."


class ReplayCode(_Explained):
    """Why a command for a replay is refused. The value is on the wire and never changes its meaning."""

    COMMAND_INVALID = "command_invalid", "The command's headers or value are not as its schema wants them."
    REQUEST_INVALID = (
        "request_invalid",
        "What is asked for is refused, such as a pipeline or selection; the reason says which.",
    )
    UNKNOWN = "replay_unknown", "There is no replay of this id."
    EXISTS = "replay_exists", "There is a replay of this id already."
    STATE_WRONG = "replay_state_wrong", "The replay is in a state that does not allow it."
    UNANSWERED = "replay_unanswered", "Frames of the replay have no answer yet, so not all can be promoted or compared."
    ANSWER_TOO_LARGE = "answer_too_large", "The comparison fits no message; the command line has no such bound."
    FAILED = "command_failed", "An unexpected error, repeated when the command was tried again."


class SightlineError(Exception):
    """Root of everything that sightline raises on purpose."""


class InputError(SightlineError):
    """One input that can never succeed.

    `reason` is for people, at most 1 KB on the wire, and never quotes the input: it may be personal.
    """

    def __init__(self, code: Code, stage: Stage, reason: str) -> None:
        super().__init__(f"{code.value}: {reason}")
        self.code = code
        self.stage = stage
        self.reason = reason


class UnclearError(SightlineError):
    """A failure of which the type does not say whether the input or the target is at fault."""


class OutageError(SightlineError):
    """A service that is away. `service` names it for logs, metrics and readiness."""

    def __init__(self, service: str, reason: str) -> None:
        super().__init__(f"{service}: {reason}")
        self.service = service
        self.reason = reason


class SetupError(OutageError):
    """A service that answers, but lacks a table, a bucket or a right of ours."""


class BrokenError(OutageError):
    """Something of this very process that fails on all it is given, such as an engine after a GPU fault.

    Where it stays so only a new process helps.
    """


class ConfigurationError(SightlineError):
    """Wrong settings or a wrong definition file. `where` is a file with line, or a setting's name."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")
        self.where = where
        self.problem = problem


class ModelError(ConfigurationError):
    """A model that cannot be used. `where` names the model or its file."""

    def __init__(self, code: ModelCode, where: str, problem: str) -> None:
        super().__init__(where, f"{code.value}: {problem}")
        self.code = code


class ReplayError(ConfigurationError):
    """A replay that cannot be had, or not be brought to what is asked. `where` names it, or what was wrong."""

    def __init__(self, code: ReplayCode, where: str, problem: str) -> None:
        super().__init__(where, problem)
        self.code = code
