"""Settings: environment variables `SIGHTLINE_<SECTION>_<NAME>` over one YAML file over defaults.

The YAML file (`SIGHTLINE_CONFIG`) has the same sections and names; unknown keys are refused with file and
line. `kafka.properties` there takes any librdkafka property and wins over what sightline sets itself.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

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
    if annotation == dict[str, Scalar]:
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
