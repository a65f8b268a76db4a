"""`sightline models export`: from a training file to models that passed the parity gate."""

import re
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from processors.infer.folder import file_sha256
from processors.infer.loading import open_model
from processors.infer.model import LoadedModel
from schemas.errors import ConfigurationError
from schemas.modelcard import NAME, ModelCard
from sightline.cli.exits import WORK_FAILED
from sightline.cli.models_loaded import engine_options
from sightline.cli.options import AsJson
from sightline.cli.output import print_json, print_line, print_note, print_table
from sightline.cli.start import start
from sightline.models.calibration import Division, divide, load_any
from sightline.models.engines import build, engine_cache
from sightline.models.export import Exported, ExportJob, Machine, VariantResult
from sightline.models.export import export as run_export
from sightline.models.exporting.environment import find_environment
from sightline.models.local import LocalModel
from sightline.models.pictures import evenly, find_pictures
from sightline.models.report import report_facts, write_report
from sightline.models.variants import Identity, Variant, folder_name, write_model_folder
from sightline.runtime.settings import Settings

_PARITY_PICTURES = 200
_BYTES_IN_MB = 1_000_000
_COLUMNS = ("VARIANT", "GATE", "MB", "MS A PICTURE", "ADDED AS")
_NOTHING = Division((), ())


def export(  # noqa: PLR0913 -- each is an option of the command
    *,
    weights: Annotated[Path, typer.Argument(help="A .pt file of ultralytics. Loading one runs code that is in it.")],
    formats: Annotated[
        list[Variant] | None, typer.Option("--format", help="What to export to; by default onnx. Repeatable.")
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="A folder of pictures on which the variants must equal the original.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="A labelled data set: int8 calibrates on train and is judged on val.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(min=32, max=4096, help="The side of the input; by default as it was trained.")
    ] = None,
    output: Annotated[Path, typer.Option(help="The folder for models and report.")] = Path("exported"),
    name: Annotated[str | None, typer.Option(help="The models' name; by default the file's.")] = None,
    version: Annotated[
        str | None, typer.Option(help="Their version; by default how the file's SHA-256 begins.")
    ] = None,
    licence: Annotated[str | None, typer.Option(help="Their licence; by default what the file says.")] = None,
    python: Annotated[
        Path | None, typer.Option(help="The Python interpreter with ultralytics; else SIGHTLINE_EXPORT_PYTHON.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds after which the export is given up.")] = 3600.0,
    force: Annotated[bool, typer.Option("--force", help="Write variants that fail the gate as well.")] = False,
    as_json: AsJson = False,
) -> None:
    """Export a training file, compare each variant with the original, and write a model folder for what passes.

    The folders are what [bold]sightline models add[/bold] takes; report.html shows what was compared. The exit code
    is 1 when a variant fails, also with --force.

    Examples: [bold]sightline models export best.pt --pictures photos/[/bold],
    [bold]sightline models export best.pt --format onnx --format onnx-int8 --data data.yaml[/bold]
    """
    settings = start()
    asked = tuple(dict.fromkeys(formats or [Variant.ONNX]))
    job = _job(weights, asked, pictures, data, settings)
    identity = _identity(weights, name, version, licence)
    job = replace(job, identity=identity, size=size, timeout_s=timeout)
    environment = find_environment(python, settings.export.python)
    with tempfile.TemporaryDirectory(prefix="sightline-export-") as folder:
        exported = run_export(job, environment, Path(folder), _machine(settings))
        wanted = [result for result in exported.results if result.variant in asked]
        added = {result.variant: _keep(result, identity, output, force=force) for result in wanted}
        kept = [result for result in wanted if added[result.variant] is not None]
        page = write_report(exported, job, output, kept)
    _print(exported, job, added, kept, as_json=as_json)
    print_note(f"report: {page}")
    if not all(result.passed for result in wanted):
        raise typer.Exit(WORK_FAILED)


def _job(
    weights: Path, asked: tuple[Variant, ...], pictures: Path | None, data: Path | None, settings: Settings
) -> ExportJob:
    if not weights.is_file():
        raise ConfigurationError(str(weights), "there is no such file")
    if Variant.ONNX_INT8 in asked and data is None:
        raise ConfigurationError("--data", "int8 needs labelled pictures: train to calibrate, val to be judged on")
    if pictures is not None:
        compared = find_pictures(pictures)
    elif data is not None:
        compared = [sample.picture for sample in load_any(data, "val").samples]
    else:
        raise ConfigurationError("--pictures", "is needed, or --data: parity is shown on pictures")
    division = divide(data) if Variant.ONNX_INT8 in asked and data is not None else _NOTHING
    return ExportJob(
        weights=weights,
        variants=asked,
        identity=Identity("", "", None, ""),
        pictures=tuple(evenly(compared, _PARITY_PICTURES)),
        data=data,
        labelled=division.labelled,
        calibration=division.calibration,
        threads=settings.worker.model_threads(),
    )


def _identity(weights: Path, name: str | None, version: str | None, licence: str | None) -> Identity:
    digest = file_sha256(weights)
    plain = re.sub(r"[^a-z0-9._-]+", "-", weights.stem.lower()).strip("._-")[:64] or "model"
    identity = Identity(name or plain, version or f"pt-{digest[:12]}", licence, digest)
    for option, text in (("--name", identity.name), ("--version", identity.version)):
        if not NAME.fullmatch(text):
            raise ConfigurationError(option, f"{text!r} has more than lower-case letters, digits, dots, hyphens")
    return identity


def _machine(settings: Settings) -> Machine:
    options = engine_options(settings)

    def load(card: ModelCard, weights: Path, on_tensorrt: bool) -> LoadedModel:  # noqa: FBT001  # as Load has it
        chosen = replace(options, device="tensorrt") if on_tensorrt else options
        return open_model(card, weights, None, chosen, versions=1)

    def build_engine(model: LocalModel) -> Path:
        return build(model, engine_cache(settings))

    return Machine(load, build_engine, time.perf_counter)


def _keep(result: VariantResult, identity: Identity, output: Path, *, force: bool) -> Path | None:
    """Put a variant where it is found, if it may be; returns where. An engine is where workers look for it already."""
    may = result.path is not None and (result.passed or force)
    if result.path is None:
        return None
    if result.variant is Variant.TENSORRT:
        if not may:
            result.path.unlink(missing_ok=True)
        return result.path if may else None
    if not may:
        return None
    folder = output / folder_name(identity, result.variant)
    if result.model is not None:
        write_model_folder(result.model, result.verdict.metrics, folder)
    else:
        _copy_package(result.path, folder)
    return folder


def _copy_package(package: Path, folder: Path) -> None:
    try:
        shutil.copytree(package, folder / package.name, dirs_exist_ok=True)
    except OSError as error:
        raise ConfigurationError(str(folder), f"cannot be written: {error.strerror}") from None


def _print(
    exported: Exported,
    job: ExportJob,
    added: dict[Variant, Path | None],
    kept: list[VariantResult],
    *,
    as_json: bool,
) -> None:
    if as_json:
        folders = {variant.value: str(path) for variant, path in added.items() if path is not None}
        print_json({**report_facts(exported, job, kept), "folders": folders})
        return
    print_table(_COLUMNS, (_row(result, added.get(result.variant)) for result in exported.results))
    for result in exported.results:
        for problem in _problems(result):
            print_line(f"{result.variant.value}: {problem}")


def _row(result: VariantResult, place: Path | None) -> tuple[str, ...]:
    speed = next((f"{one.run_ms:.1f}" for one in result.speeds if one.batch == 1), "")
    size = f"{result.size_bytes / _BYTES_IN_MB:.2f}" if result.size_bytes else ""
    return (result.variant.value, "passed" if result.passed else "failed", size, speed, str(place or "-"))


def _problems(result: VariantResult) -> list[str]:
    failed = [f"{one.name}: {one.seen}, wanted {one.wanted}" for one in result.verdict.findings if not one.passed]
    return [*([result.error] if result.error else []), *failed]
