"""Settings: environment variables `SIGHTLINE_<SECTION>_<NAME>` over one YAML file over defaults.

The YAML file (`SIGHTLINE_CONFIG`) has the same sections and names; unknown keys are refused with file and
line. `kafka.properties` there takes any librdkafka property and wins over what sightline sets itself.
"""

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, get_origin

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from schemas.errors import ConfigurationError
from schemas.yamlfile import load_yaml

MIB = 1024 * 1024
GIB = 1024 * MIB
PREFIX = "SIGHTLINE_"
AWS_VARIABLES = {
    "AWS_ACCESS_KEY_ID": ("s3", "access_key_id"),
    "AWS_SECRET_ACCESS_KEY": ("s3", "secret_access_key"),
    "AWS_REGION": ("s3", "region"),
}
Scalar = str | int | float | bool


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KafkaSettings(_Section):
    """How to reach the broker, and how much of it to hold in memory."""

    bootstrap_servers: str = Field("127.0.0.1:9092", description="Kafka's `host:port` list.")
    properties: dict[str, Scalar] = Field(
        default_factory=dict, description="Any librdkafka property, for every client. YAML only."
    )
    fetch_bytes: int = Field(
        16 * MIB, ge=MIB, description="Bytes that one consumer fetches ahead (librdkafka's queue)."
    )
    produce_bytes: int = Field(64 * MIB, ge=MIB, description="Bytes that may wait in one producer's queue.")


class DatabaseSettings(_Section):
    """PostgreSQL."""

    url: SecretStr | None = Field(None, description="`postgresql://user:password@host:port/name`.")


class ObjectsSettings(_Section):
    """The object store."""

    url: str | None = Field(None, description="`file:///folder` or `s3://bucket/prefix`.")


class S3Settings(_Section):
    """How to reach an S3 server that is not AWS's own, and with which keys."""

    endpoint_url: str | None = Field(None, description="`http://host:port` of the S3 server; unset: AWS.")
    access_key_id: str | None = Field(None, description="Also read from `AWS_ACCESS_KEY_ID`.")
    secret_access_key: SecretStr | None = Field(None, description="Also read from `AWS_SECRET_ACCESS_KEY`.")
    region: str | None = Field(None, description="Also read from `AWS_REGION`.")


class PipelinesSettings(_Section):
    """Where pipelines come from."""

    dir: Path | None = Field(None, description="A folder of pipeline files beside the built-in ones.")


class ModelsSettings(_Section):
    """Where models are kept on this machine."""

    cache: Path | None = Field(
        None,
        description="A folder for models from the object store, which processes may share. Unset: `sightline/models` "
        "under `XDG_CACHE_HOME`, or under `.cache` at home.",
    )
    cache_bytes: int = Field(
        4 * GIB, ge=MIB, description="Bytes of models kept there; the one that was not used for longest goes first."
    )

    def cache_folder(self) -> Path:
        """Return `cache`, or the folder of the user that this process runs as."""
        if self.cache is not None:
            return self.cache
        home = os.environ.get("XDG_CACHE_HOME")
        return (Path(home) if home else Path("~/.cache").expanduser()) / "sightline" / "models"


class ExportSettings(_Section):
    """The environment that `sightline models export` runs ultralytics in."""

    python: Path | None = Field(
        None, description="The Python interpreter that has ultralytics. Unset: the one that runs sightline."
    )


class ClaimsSettings(_Section):
    """Claim checks: pictures that lie in an object store."""

    allowed: tuple[str, ...] = Field(
        (),
        description="Address prefixes that `ce_dataref` may point to (`s3://bucket/prefix/`, `file:///folder/`); "
        "the `claims/` prefix of our own object store is always allowed. In an environment variable, "
        "separated by blanks.",
    )
    timeout_s: float = Field(30, gt=0, description="Longest time for fetching one claimed object, in seconds.")


class WorkerSettings(_Section):
    """Bounds and threads of one worker or sink."""

    threads: int | None = Field(
        None,
        ge=1,
        le=64,
        description="Batches worked on at the same time, decoding beside computing. Unset: 2, or 1 where there is "
        "one core only (there, two took a sixth longer).",
    )
    opencv_threads: int = Field(1, ge=1, le=64, description="Threads inside one OpenCV call.")
    inflight_bytes: int = Field(
        48 * MIB, ge=MIB, description="Encoded bytes taken from Kafka and not finished yet, for each consumer group."
    )
    decoded_pixels: int = Field(32_000_000, ge=1, description="Decoded pixels held at once, in one process.")
    device: Literal["auto", "cpu", "cuda", "tensorrt"] = Field(
        "auto",
        description="What runs models. `auto` takes the best there is; one that is named and not there is an error.",
    )
    inference_threads: int | None = Field(
        None, ge=1, le=256, description="Threads of one model on a CPU. Unset: the cores that this process may use."
    )
    memory_limit: int | None = Field(
        None, ge=64 * MIB, description="Bytes that models may take; batches are made smaller to fit. Unset: no limit."
    )
    result_cache: Literal["off", "memory", "postgres"] = Field(
        "memory",
        description="Where answers are kept that may be given again, for pipelines that have `cache` in their file.",
    )
    result_cache_bytes: int = Field(64 * MIB, ge=MIB, description="Bytes of answers kept in memory.")
    delivery: Literal["at-least-once", "exactly-once"] | None = Field(
        None,
        description="How results reach their topics, for every pipeline of this worker. Unset: as each pipeline's file "
        "says (`delivery`).",
    )
    slot: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9._-]{1,100}$",
        description="What names this worker among those of its pipelines, in its transactional ids; no two that run "
        "may share it. A worker that takes over a name ends at once what its predecessor left open. Unset: the "
        "machine's name and the lowest number that is free on it.",
    )
    flood_halt: bool = Field(
        True,
        description="Halt when frames of many sources fail with one code, instead of making dead letters of them all. "
        "`false`: such a flood only alerts.",
    )
    flood_count: int = Field(
        100, ge=10, le=10_000, description="Frames that fail with one code before it counts as a flood."
    )
    flood_sources: int = Field(
        6, ge=2, le=1000, description="Sources that a flood must come from, about evenly, for its cause to be ours."
    )
    flood_window_s: float = Field(60, gt=0, le=86_400, description="Time within which they must fail, in seconds.")

    max_resident: int | None = Field(
        None,
        ge=64 * MIB,
        description="Resident bytes at which the process that decodes is ended and started anew. Unset: 85 % of what "
        "the container may have, or else of the machine's memory.",
    )
    max_batch_s: float = Field(
        60,
        gt=0,
        le=86_400,
        description="Longest time that work on one batch may take, in seconds: then the process that does it is ended "
        "and started anew.",
    )

    def batches_at_a_time(self) -> int:
        """Return `threads`, or what suits the cores that this process may use."""
        return self.threads or min(2, len(os.sched_getaffinity(0)))

    def model_threads(self) -> int:
        """Return `inference_threads`, or the cores that this process may use."""
        return self.inference_threads or len(os.sched_getaffinity(0))


class SinkSettings(_Section):
    """Batches of the sinks."""

    max_rows: int = Field(500, ge=1, le=100_000, description="Records in one batch of a sink, at most.")
    max_bytes: int = Field(16 * MIB, ge=MIB, description="Bytes in one batch of a sink, at most.")
    max_wait_ms: int = Field(100, ge=0, le=10_000, description="Longest wait for a batch to fill, in milliseconds.")
    object_threads: int = Field(8, ge=1, le=64, description="Objects written at the same time.")


class RedriveSettings(_Section):
    """Dead letters that are sent once more."""

    rate: float = Field(50, ge=0.01, le=100_000, description="Dead letters sent again in one second, at most.")
    max_attempts: int = Field(
        5,
        ge=1,
        le=1_000_000,
        description="A dead letter that failed this often is parked (`deadletters.<pipeline>.parked`), not sent again.",
    )


class MonitorSettings(_Section):
    """What the monitor watches, and from where on it alerts."""

    tick_s: float = Field(5, ge=0.1, le=60, description="Time between two judgements, in seconds.")
    catch_up_s: float = Field(
        900,
        ge=10,
        le=86_400,
        description="After a stop of up to this many seconds the monitor judges what happened meanwhile as well.",
    )
    max_sources: int = Field(
        10_000,
        ge=10,
        le=1_000_000,
        description="Sources kept for each pipeline, about 1 KB each; beyond that the one heard of longest ago is "
        "forgotten.",
    )
    clear_after_s: float = Field(
        60, ge=0, le=86_400, description="An alert is resolved once all was well for so many seconds."
    )
    give_up_hours: float = Field(
        24, gt=0, le=8760, description="An alert that is on for so long is resolved as given up, and may begin anew."
    )
    window_s: float = Field(
        300, ge=1, le=86_400, description="Time over which errors, floods and rates are counted, in seconds."
    )
    error_share: float = Field(
        0.05, ge=0, le=1, description="Alert from this share of frames that end as dead letters. 0: off."
    )
    error_min_frames: int = Field(20, ge=1, description="Frames in the window below which no share is judged.")
    flood_dead_letters: int = Field(
        50, ge=0, description="Alert from so many dead letters of one source, or of one code, in the window. 0: off."
    )
    flood_sources: int = Field(
        5, ge=2, description="Sources from which on a flood of one code counts as one of that code, not of each source."
    )
    silent_after_s: float = Field(
        300,
        ge=0,
        le=86_400,
        description="Alert when a source that sent steadily, or a whole pipeline, is silent for so many seconds, or "
        "for five of its usual gaps where that is longer. 0: off.",
    )
    silent_min_frames: int = Field(
        10,
        ge=2,
        description="Frames within four times that, not all at once, from which on a source counts as a camera.",
    )
    quality_drop: float = Field(
        15, ge=0, le=100, description="Alert when the mean quality score falls by so many points. 0: off."
    )
    quality_window_s: float = Field(
        600, ge=1, le=86_400, description="Time over which the mean score is taken, in seconds."
    )
    quality_baseline_s: float = Field(
        3000, ge=1, le=604_800, description="Time before that which says what is usual, in seconds."
    )
    quality_min_frames: int = Field(20, ge=1, description="Frames that each of the two times must have.")
    acceptance_low: float = Field(
        0, ge=0, le=1, description="Alert below this share of accepted frames, such as 0.35. 0: no lower bound."
    )
    acceptance_high: float = Field(
        1, ge=0, le=1, description="Alert above this share of accepted frames, such as 0.40. 1: no upper bound."
    )
    acceptance_window_s: float = Field(
        3600, ge=1, le=604_800, description="Time over which acceptance is counted, in seconds."
    )
    acceptance_min_frames: int = Field(100, ge=1, description="Frames in it below which no share is judged.")
    rate_low: float = Field(0, ge=0, description="Alert below so many frames a second. 0: off.")
    rate_high: float = Field(0, ge=0, description="Alert above so many frames a second. 0: off.")
    pipelines: dict[str, dict[str, Scalar]] = Field(
        default_factory=dict,
        description="What single pipelines have otherwise: `civic: {acceptance_low: 0.35}`. YAML only.",
    )

    @model_validator(mode="after")
    def _bands_and_pipelines(self) -> Self:
        for low, high in ((self.acceptance_low, self.acceptance_high), (self.rate_low, self.rate_high or math.inf)):
            if low > high:
                raise ValueError("a band's lower bound is above its upper one")
        for name in self.pipelines:
            self.of(name)
        return self

    def of(self, pipeline: str) -> "MonitorSettings":
        """Return the settings for one pipeline. Raises ValueError when its own are wrong."""
        own = self.pipelines.get(pipeline)
        if own is None:
            return self
        return MonitorSettings.model_validate(self.model_dump(exclude={"pipelines"}) | own)


class LogSettings(_Section):
    """Logs, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severity that is logged.")
    format: Literal["auto", "json", "console"] = Field(
        "auto", description="`auto` is readable on a terminal and JSON elsewhere."
    )


class FaultSettings(_Section):
    """Planned crashes, for tests of recovery only."""

    point: str | None = Field(
        None, description="For tests: `NAME:N` kills the process (SIGKILL) when it passes point NAME the Nth time."
    )
    pictures: bool = Field(
        False,
        description="For tests: a picture with a marker crashes, hangs or kills its worker, or fills its memory.",
    )


class Settings(_Section):
    """Everything that can be set."""

    kafka: KafkaSettings = KafkaSettings()
    database: DatabaseSettings = DatabaseSettings()
    objects: ObjectsSettings = ObjectsSettings()
    s3: S3Settings = S3Settings()
    pipelines: PipelinesSettings = PipelinesSettings()
    models: ModelsSettings = ModelsSettings()
    export: ExportSettings = ExportSettings()
    claims: ClaimsSettings = ClaimsSettings()
    worker: WorkerSettings = WorkerSettings()
    sink: SinkSettings = SinkSettings()
    redrive: RedriveSettings = RedriveSettings()
    monitor: MonitorSettings = MonitorSettings()
    log: LogSettings = LogSettings()
    fault: FaultSettings = FaultSettings()

    def database_url(self) -> str:
        """Return the database's URL. Raises ConfigurationError when it is not set."""
        if self.database.url is None:
            raise ConfigurationError("SIGHTLINE_DATABASE_URL", "is not set, and this command needs a database")
        return self.database.url.get_secret_value()

    def objects_url(self) -> str:
        """Return the object store's URL. Raises ConfigurationError when it is not set."""
        if self.objects.url is None:
            raise ConfigurationError("SIGHTLINE_OBJECTS_URL", "is not set, and this command needs an object store")
        return self.objects.url


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as `config show` lists it; a secret's value is masked."""

    name: str  # section.name, as in YAML
    variable: str
    value: str
    origin: str
    description: str


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read file and environment (`os.environ` unless told).

    Raises ConfigurationError that names the variable, or the file and line.
    """
    return _load(os.environ if environ is None else environ)[0]


def list_settings(environ: Mapping[str, str] | None = None) -> list[Setting]:
    """List every setting with its value and where that comes from; raises as `load_settings`."""
    settings, origins = _load(os.environ if environ is None else environ)
    return [
        Setting(
            f"{section}.{name}",
            variable_name(section, name),
            _shown(getattr(getattr(settings, section), name)),
            origins.get((section, name), "default"),
            description,
        )
        for section, name, description in describe_settings()
    ]


def describe_settings() -> Iterator[tuple[str, str, str]]:
    """Yield section, name and description of every setting, in order."""
    for section, field in Settings.model_fields.items():
        model: type[BaseModel] = field.annotation  # type: ignore[assignment]  # every field is a section
        for name, setting in model.model_fields.items():
            yield section, name, setting.description or ""


def variable_name(section: str, name: str) -> str:
    """Return the environment variable of a setting."""
    return f"{PREFIX}{section}_{name}".upper()


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """List `SIGHTLINE_…` variables that no setting reads: most likely slips of the pen."""
    return sorted(name for name in environ if name.startswith(PREFIX) and name not in {*_variables(), *_RESERVED})


def _variables() -> dict[str, tuple[str, str]]:
    return {variable_name(section, name): (section, name) for section, name, _ in describe_settings()}


def _load(environ: Mapping[str, str]) -> tuple[Settings, dict[tuple[str, str], str]]:
    known = _variables()
    values, origins = _from_file(environ.get(f"{PREFIX}CONFIG"))
    for variable, (section, name) in {**AWS_VARIABLES, **known}.items():
        if environ.get(variable):
            values.setdefault(section, {})[name] = _typed(section, name, environ[variable])
            origins[section, name] = variable
    try:
        return Settings.model_validate(values), origins
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        section, name = (str(part) for part in (*first["loc"], "", "")[:2])
        where = origins.get((section, name), f"{section}.{name}")
        raise ConfigurationError(where, first["msg"]) from None


# Not settings of a section: the file itself, and where development caches what it builds.
_RESERVED = {f"{PREFIX}CONFIG", f"{PREFIX}CACHE"}


def _from_file(path: str | None) -> tuple[dict[str, dict[str, Any]], dict[tuple[str, str], str]]:
    if not path:
        return {}, {}
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{PREFIX}CONFIG", f"{path} cannot be read: {type(error).__name__}") from None
    content = load_yaml(Settings, text, path).model_dump(exclude_unset=True)
    origins = {(section, name): path for section, names in content.items() for name in names}
    return content, origins


def _typed(section: str, name: str, text: str) -> Any:
    """Environment variables are text: lists are split at blanks, mappings stay in the file."""
    annotation = Settings.model_fields[section].annotation.model_fields[name].annotation  # type: ignore[union-attr]
    if annotation == tuple[str, ...]:
        return tuple(text.split())
    if get_origin(annotation) is dict:
        raise ConfigurationError(variable_name(section, name), "can only be set in the YAML file")
    return text


def _shown(value: Any) -> str:
    if isinstance(value, SecretStr):
        return "********"
    if isinstance(value, dict):
        return ", ".join(f"{name}={_masked(name, content)}" for name, content in sorted(value.items()))
    if isinstance(value, tuple):
        return " ".join(value)
    return "" if value is None else str(value)


def _masked(name: str, value: Scalar) -> str:
    return "********" if any(word in name for word in ("password", "secret", "pem", "token")) else str(value)
