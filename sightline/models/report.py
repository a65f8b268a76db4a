"""The written report of an export: one JSON file for machines, one page for people that needs no other file."""

import html
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from processors.decode.pictures import Pixels
from processors.draw import draw_on
from processors.draw.thumbnail import thumbnail
from processors.infer.interface import Answer
from schemas.errors import ConfigurationError
from sightline.models.benchmark import Speed
from sightline.models.export import Exported, ExportJob, VariantResult
from sightline.models.gate import ComparedPicture
from sightline.models.pictures import read_pixels
from sightline.page import heads, page, passed_or_failed, picture_address

JSON_FILE: Final = "report.json"
PAGE_FILE: Final = "report.html"
_SHOWN_SIDE: Final = 640
_BYTES_IN_MB: Final = 1_000_000


def write_report(exported: Exported, job: ExportJob, folder: Path, added: Sequence[VariantResult]) -> Path:
    """Write both files; returns the page's path. `added` are the variants that became a model folder.

    Raises ConfigurationError when the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        facts = json.dumps(report_facts(exported, job, added), indent=2)
        (folder / JSON_FILE).write_text(facts + "\n", encoding="utf-8")
        file = folder / PAGE_FILE
        file.write_text(_page(exported, job, added), encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(str(folder), f"cannot be written: {error.strerror}") from None
    return file


def report_facts(exported: Exported, job: ExportJob, added: Sequence[VariantResult]) -> dict[str, Any]:
    """Return the report as JSON holds it. Pictures go by their names, not their paths."""
    return {
        "original": {
            "file": job.weights.name,
            "sha256": job.identity.source_digest,
            "task": exported.task.value,
            "ultralytics": exported.ultralytics,
            "torch": exported.torch,
        },
        "pictures": len(job.pictures),
        "variants": [_variant_facts(result, exported.results[0], result in added) for result in exported.results],
    }


def _variant_facts(result: VariantResult, baseline: VariantResult, added: bool) -> dict[str, Any]:  # noqa: FBT001  # one of its facts
    facts: dict[str, Any] = {
        "variant": result.variant.value,
        "passed": result.passed,
        "added": added,
        "error": result.error,
        "note": result.note,
        "size_bytes": result.size_bytes,
        "size_ratio": _ratio(result.size_bytes, baseline.size_bytes),
        "provider": result.provider or None,
        "findings": [
            {"name": one.name, "wanted": one.wanted, "seen": one.seen, "passed": one.passed}
            for one in result.verdict.findings
        ],
        "metrics": dict(result.verdict.metrics),
        "speeds": [_speed_facts(*pair) for pair in _speed_pairs(result)],
        "worst": [
            {"picture": one.path.name, "problems": list(one.problems), "weight": round(one.weight, 4)}
            for one in result.verdict.worst
        ],
    }
    return {name: value for name, value in facts.items() if value is not None}


def _speed_pairs(result: VariantResult) -> list[tuple[Speed, Speed]]:
    return list(zip(result.speeds, result.baseline_speeds, strict=True))


def _speed_facts(speed: Speed, baseline: Speed) -> dict[str, Any]:
    return {
        "batch": speed.batch,
        "prepare_ms": round(speed.prepare_ms, 3),
        "run_ms": round(speed.run_ms, 3),
        "read_ms": round(speed.read_ms, 3),
        "fp32_run_ms": round(baseline.run_ms, 3),
        "run_ratio": _ratio(speed.run_ms, baseline.run_ms),
    }


def _ratio(value: float, base: float) -> float | None:
    return round(value / base, 3) if base else None


def _page(exported: Exported, job: ExportJob, added: Sequence[VariantResult]) -> str:
    intro = html.escape(
        f"{exported.task.value} model, SHA-256 {job.identity.source_digest}, exported and run as the original with "
        f"ultralytics {exported.ultralytics} on torch {exported.torch}; compared on {len(job.pictures)} pictures."
    )
    sections = "".join(_section(result, exported) for result in exported.results)
    return page(f"Export of {job.weights.name}", f"<p>{intro}</p>{_summary(exported, added)}{sections}")


def _summary(exported: Exported, added: Sequence[VariantResult]) -> str:
    names = ("variant", "gate", "added", "MB", "of FP32", "ms a picture, batch 1", "of FP32", "runs on")
    baseline = exported.results[0]
    rows = "".join(_summary_row(result, baseline, result in added) for result in exported.results)
    return f"<table><tr>{heads(names)}</tr>{rows}</table>"


def _summary_row(result: VariantResult, baseline: VariantResult, added: bool) -> str:  # noqa: FBT001  # one of its cells
    speed, before = _single(result.speeds), _single(result.baseline_speeds)
    cells = (
        f"{result.size_bytes / _BYTES_IN_MB:.2f}" if result.size_bytes else "",
        _times(result.size_bytes, baseline.size_bytes),
        f"{speed:.1f}" if speed else "",
        _times(speed, before),
    )
    numbers = "".join(f'<td class="number">{cell}</td>' for cell in cells)
    name, gate = html.escape(result.variant.value), passed_or_failed(result.passed)
    return (
        f'<tr><td><a href="#{name}">{name}</a></td><td>{gate}</td><td>{"yes" if added else "no"}</td>'
        f"{numbers}<td>{html.escape(result.provider)}</td></tr>"
    )


def _single(speeds: Sequence[Speed]) -> float:
    return next((one.run_ms for one in speeds if one.batch == 1), 0.0)


def _times(value: float, base: float) -> str:
    return f"{value / base:.2f}" if value and base else ""


def _section(result: VariantResult, exported: Exported) -> str:
    name = html.escape(result.variant.value)
    error = f'<p class="failed">{html.escape(result.error)}</p>' if result.error else ""
    note = f'<p class="note">{html.escape(result.note)}</p>' if result.note else ""
    pictures = "".join(_figures(result.verdict.worst, exported))
    return f'<h2 id="{name}">{name}</h2>{error}{note}{_findings(result)}{_speeds(result)}{pictures}'


def _findings(result: VariantResult) -> str:
    if not result.verdict.findings:
        return ""
    rows = "".join(
        f"<tr><td>{html.escape(one.name)}</td><td>{html.escape(one.wanted)}</td><td>{html.escape(one.seen)}</td>"
        f"<td>{passed_or_failed(one.passed)}</td></tr>"
        for one in result.verdict.findings
    )
    return f"<table><tr><th>demand</th><th>wanted</th><th>seen</th><th></th></tr>{rows}</table>"


def _speeds(result: VariantResult) -> str:
    if not result.speeds:
        return ""
    rows = "".join(
        f'<tr><td class="number">{one.batch}</td><td class="number">{one.prepare_ms:.2f}</td>'
        f'<td class="number">{one.run_ms:.2f}</td><td class="number">{one.read_ms:.2f}</td>'
        f'<td class="number">{before.run_ms:.2f}</td><td class="number">{_times(one.run_ms, before.run_ms)}</td></tr>'
        for one, before in _speed_pairs(result)
    )
    names = ("batch", "prepare, ms", "run, ms", "read, ms", "FP32 run, ms", "of FP32")
    return f"<p>A picture, by size of batch:</p><table><tr>{heads(names)}</tr>{rows}</table>"


def _figures(worst: Sequence[ComparedPicture], exported: Exported) -> Iterator[str]:
    for one in worst:
        pixels = read_pixels(one.path)
        sides = "".join(
            f'<div><div class="note">{name}</div><img alt="{name}" src="{_drawn(pixels, answer, exported)}"></div>'
            for name, answer in (("original", one.original), ("variant", one.variant))
        )
        problems = "; ".join(one.problems) or "no difference beyond what is allowed"
        caption = html.escape(f"{one.path.name}: {problems}")
        yield f'<figure><div class="pair">{sides}</div><figcaption>{caption}</figcaption></figure>'


def _drawn(pixels: Pixels, answer: Answer, exported: Exported) -> str:
    """Draw an answer over a copy, small enough for a page, as an address that holds the picture itself."""
    said = answer.classification
    headline = f"{said.label} {said.probability:.3f}" if said is not None else None
    drawn = pixels.copy()
    draw_on(drawn, answer.detections or (), skeleton=exported.skeleton, headline=headline)
    return picture_address(thumbnail(drawn, _SHOWN_SIDE))
