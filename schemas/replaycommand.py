"""Commands for replays from other systems, and their answers.

A command is a CloudEvents event in binary mode on `replay-commands`: `ce_id` and `ce_source` together name it, the same
pair is the same command however often it comes. Its value says what to do, and is closed: a word that is misspelt must
not widen what is replayed. Each command has one answer on `replay-answers`, keyed by its `ce_id`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from schemas import topics
from schemas.encoding import format_time
from schemas.errors import InputError, ReplayCode, ReplayError
from schemas.frame import MAX_ATTRIBUTE_LENGTH, SPEC_VERSION
from schemas.headers import Headers, is_clean, single_values
from schemas.identity import command_key
from schemas.message import Message
from schemas.replay import REPLAY_ID
from schemas.result import FreeForm, Moment, Score, Share, WireModel

COMMAND_TYPE: Final = "sightline.replay-command.v1"
ANSWER_TYPE: Final = "sightline.replay-answer.v1"
ANSWER_SCHEMA: Final = "urn:sightline:schema:replay-answer:v1"
MAX_COMMAND_BYTES: Final = 512 * 1024
_ANSWER_SOURCE: Final = "/sightline/replays"
_CODE: Final = r"^[a-z_]{1,64}$"
_LONGEST: Final = 2**63 - 1
_LEAST_IOU: Final = 0.01

Action = Literal["plan", "start", "pause", "resume", "cancel", "promote", "compare", "status"]
SENDING: Final[tuple[Action, ...]] = ("start", "resume")
LIMITS: Final = ("changed", "worse", "lost", "gained", "missing")
_PACE: Final = ("rate", "max_live_lag", "max_backlog")
_COMPARING: Final = ("baseline", "iou", "score_drop", *(f"at_most_{name}" for name in LIMITS))


def _clean(text: str) -> str:
    if not is_clean(text):
        raise ValueError("holds control characters")
    return text


_Text = Annotated[str, Field(min_length=1, max_length=MAX_ATTRIBUTE_LENGTH), AfterValidator(_clean)]
_Place = Annotated[int, Field(ge=0, le=_LONGEST)]
_Name = Annotated[str, Field(pattern=rf"^{topics.PIPELINE_NAME.pattern}$")]
_ReplayId = Annotated[str, Field(pattern=rf"^{REPLAY_ID.pattern}$")]
Window = tuple[_Place, _Place | None]


class ReplaySelection(BaseModel):
    """What narrows a replay; null and empty do not. All that is given must hold. Ends are exclusive.

    Arrival is the broker's append time. `offsets` by partition, each `[from, to]` or `[from, null]`. `codes` choose
    frames with such a dead letter; verdict, scores (0 to 100, both ends in) and model (the beginning of its digest)
    those with such an earlier live result.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    arrived_from: Moment | None = None
    arrived_to: Moment | None = None
    captured_from: Moment | None = None
    captured_to: Moment | None = None
    offsets: Mapping[Annotated[int, Field(ge=0, le=2**31 - 1)], Window] = Field(default_factory=dict)
    cameras: tuple[_Text, ...] = ()
    frame_ids: tuple[_Text, ...] = ()
    codes: tuple[_Text, ...] = ()
    verdict: _Text | None = None
    score_from: float | None = Field(None, ge=0, le=100)
    score_to: float | None = Field(None, ge=0, le=100)
    model: str | None = Field(None, pattern=r"^[0-9a-f]{6,64}$")
    archive: bool = Field(True, description="Take kept pictures where the topic has the frame no more.")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.codes and self.of_results:
            raise ValueError("a frame with a dead letter has no result: choose by code, or by result")
        pairs = (self.arrived_from, self.arrived_to), (self.captured_from, self.captured_to)
        if any(begin is not None and end is not None and begin >= end for begin, end in pairs):
            raise ValueError("a time ends before it begins")
        if any(end is not None and begin >= end for begin, end in self.offsets.values()):
            raise ValueError("offsets end before they begin")
        return self

    @property
    def of_results(self) -> bool:
        """Tell whether earlier results choose the frames."""
        return any(one is not None for one in (self.verdict, self.score_from, self.score_to, self.model))


class WantedOverrides(BaseModel):
    """What a replay wants otherwise, as on the command line."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    other: _Name | None = Field(None, alias="with", description="The rules of another pipeline, by its name.")
    patches: dict[_Text, Any] = Field(
        default_factory=dict, alias="set", description="Values of the pipeline's file by their paths."
    )
    models: dict[_Text, _Text] = Field(default_factory=dict, description="NAME@VERSION of a stored model, by role.")


class ReplayCommand(BaseModel):
    """The value of a command. Which fields an action takes is as on the command line."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    action: Action
    replay_id: _ReplayId | None = Field(
        None, description="Which replay; for a new one its name, by default one that follows from the command's id."
    )
    pipeline: _Name | None = Field(None, description="`plan`, and `start` of what is not planned yet: whose frames.")
    selection: ReplaySelection | None = Field(None, description="Which frames; all by default.")
    overrides: WantedOverrides | None = None
    rate: float | None = Field(None, ge=0.001, allow_inf_nan=False, description="Frames a second, at most.")
    max_live_lag: int | None = Field(
        None, ge=0, le=_LONGEST, description="Wait while live workers are further behind, in frames. 0: never wait."
    )
    max_backlog: int | None = Field(
        None, ge=0, le=_LONGEST,
        description="Wait while so many frames of replays are sent and not answered. 0: never wait.",
    )  # fmt: skip
    partial: bool = Field(False, description="`promote` also while frames have no answer yet.")
    copies: bool = Field(False, description="`promote` also what was analysed from a kept picture.")
    baseline: _ReplayId | None = Field(
        None, description="`compare` with this replay; by default with the live results."
    )
    iou: float | None = Field(
        None, ge=_LEAST_IOU, le=1, description="`compare`: from which overlap on two boxes are one object; 0.5."
    )
    score_drop: Score | None = Field(
        None, description="`compare`: a score may fall so far before the frame counts as worse; 1."
    )
    at_most_changed: Share | None = Field(None, description="`compare`: limit of frames that change verdict or label.")
    at_most_worse: Share | None = Field(None, description="`compare`: limit of frames that are worse.")
    at_most_lost: Share | None = Field(None, description="`compare`: limit of the old detections that are lost.")
    at_most_gained: Share | None = Field(None, description="`compare`: limit of the new detections that are new.")
    at_most_missing: Share | None = Field(None, description="`compare`: limit of old frames without a new answer.")
    count_copies: bool = Field(False, description="`compare`: hold limits against frames analysed from a copy as well.")
    requested_by: _Text | None = Field(None, description="Who asks, for the records; by default `ce_source`.")

    @model_validator(mode="after")
    def _fits_the_action(self) -> Self:
        new = self.pipeline is not None
        if new and self.action not in {"plan", "start"}:
            raise ValueError("only plan and start take a pipeline")
        if not new and (self.action == "plan" or self.replay_id is None):
            raise ValueError("names neither a pipeline nor a replay_id" if self.action == "start" else "lacks a field")
        if not new and (self.selection is not None or self.overrides is not None):
            raise ValueError("a replay that exists has its selection and overrides already")
        if self.action not in SENDING and self._gives(_PACE):
            raise ValueError("only start and resume take rate, max_live_lag and max_backlog")
        if self.action != "promote" and (self.partial or self.copies):
            raise ValueError("only promote takes partial and copies")
        if self.action != "compare" and (self._gives(_COMPARING) or self.count_copies):
            raise ValueError("only compare takes baseline, iou, score_drop, limits and count_copies")
        if self.baseline is not None and self.baseline == self.replay_id:
            raise ValueError("a replay is compared with another one")
        return self

    def limits(self) -> dict[str, float]:
        """Return the limits that `compare` shall hold, as shares by their names."""
        return {name: share for name in LIMITS if (share := getattr(self, f"at_most_{name}")) is not None}

    def _gives(self, names: tuple[str, ...]) -> bool:
        return any(getattr(self, name) is not None for name in names)


@dataclass(frozen=True, slots=True)
class CommandName:
    """What names a command: the event's own id, unique within its source."""

    command_id: str
    source: str

    @property
    def key(self) -> str:
        """Return the derived id under which the command is written down."""
        return command_key(self.source, self.command_id)

    def replay_id(self) -> str:
        """Return the name of the replay that this command makes, unless it gives one."""
        return f"c-{self.key}"


class ReplayAnswer(WireModel):
    """What became of a command. `state` and `counts` of the replay are those of that moment."""

    command_id: str
    command_source: str
    action: str | None = None
    outcome: str = Field(examples=["done", "refused"])
    replay_id: str | None = None
    pipeline: str | None = None
    state: str | None = Field(None, examples=["planned", "running", "paused", "published", "cancelled"])
    counts: FreeForm | None = Field(None, description="Frames by what became of them.")
    comparison: FreeForm | None = Field(
        None, description="Of `compare`: the JSON of the command line, without the frames that changed most."
    )
    limits_kept: bool | None = Field(None, description="Of `compare`: whether the replay kept every limit.")
    code: str | None = Field(None, pattern=_CODE)
    reason: str | None = None
    answered_at: Moment


def name_of(headers: Headers | None) -> CommandName | None:
    """Return what names a command, or None where its headers do not: nobody can be answered then."""
    texts = [_only(headers or [], name) for name in ("ce_id", "ce_source")]
    return None if texts[0] is None or texts[1] is None else CommandName(texts[0], texts[1])


def parse_command(headers: Headers, value: bytes | None) -> ReplayCommand:
    """Read a command. Raises ReplayError (`command_invalid`); its text never quotes the command."""
    try:
        attributes = single_values(headers)
    except InputError as error:
        raise _invalid(error.reason) from None
    wanted = {"ce_specversion": SPEC_VERSION, "ce_type": COMMAND_TYPE}
    wrong = [name for name, text in wanted.items() if attributes.get(name) != text]
    if wrong:
        raise _invalid(f"{wrong[0]} is not {wanted[wrong[0]]}")
    if not value or len(value) > MAX_COMMAND_BYTES:
        raise _invalid(f"the value has {len(value or b'')} bytes, from 1 to {MAX_COMMAND_BYTES} are allowed")
    try:
        return ReplayCommand.model_validate_json(value)
    except ValidationError as error:
        raise _invalid(_first_problem(error)) from None


def answer_message(answer: ReplayAnswer, key: str) -> Message:
    """Wrap an answer, keyed by the id of its command; its own id is the command's derived one."""
    headers: Headers = [
        ("ce_specversion", SPEC_VERSION.encode()),
        ("ce_type", ANSWER_TYPE.encode()),
        ("ce_id", key.encode()),
        ("ce_source", _ANSWER_SOURCE.encode()),
        ("ce_time", format_time(answer.answered_at).encode()),
        ("content-type", b"application/json"),
        ("ce_dataschema", ANSWER_SCHEMA.encode()),
    ]
    return Message(topics.REPLAY_ANSWERS, answer.command_id.encode(), answer.to_json(), headers)


def _only(headers: Headers, name: str) -> str | None:
    """Return a header that stands once, is short, and is text; else None."""
    values = [value for candidate, value in headers if candidate == name]
    if len(values) != 1 or not values[0]:
        return None
    try:
        text = values[0].decode()
    except UnicodeDecodeError:
        return None
    return text if is_clean(text) and len(text) <= MAX_ATTRIBUTE_LENGTH else None


def _first_problem(error: ValidationError) -> str:
    """Say in one line what is wrong first; names of fields that we do not know are the sender's own words."""
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "extra_forbidden":
        return "holds a field that commands do not have"
    known = _known_names()
    where = ".".join(str(part) for part in first["loc"] if part in known)
    message = str(first["ctx"]["error"]) if first["type"] == "value_error" else first["msg"]
    return f"{where}: {message}" if where else message


def _known_names() -> set[str | int]:
    models: tuple[type[BaseModel], ...] = (ReplayCommand, ReplaySelection, WantedOverrides)
    return {field.alias or name for model in models for name, field in model.model_fields.items()}


def _invalid(reason: str) -> ReplayError:
    return ReplayError(ReplayCode.COMMAND_INVALID, "command", reason)
