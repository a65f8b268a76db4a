"""`sightline results`: read results as they come, disturbing nobody."""

import json
from typing import Annotated, Any

import typer

from schemas import topics
from sightline.cli.options import AsJson, Timeout, parse_moment
from sightline.cli.output import print_json_text, print_line, print_note
from sightline.cli.pipelines import check_name
from sightline.cli.start import start
from streams.read import Edge, Start, follow_topic

_LINE = "{:<20}  {:<28}  {:<10}  {:>5}  {}"


def results(
    *,
    pipeline: Annotated[str, typer.Argument(help="The pipeline whose results to read.")],
    start_at: Annotated[str, typer.Option("--from", help="beginning, end, or an ISO 8601 time.")] = "end",
    source: Annotated[str | None, typer.Option("--source", help="Results of this camera only.")] = None,
    verdict: Annotated[str | None, typer.Option("--verdict", help="Results with this verdict only.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="End after this many.")] = None,
    idle_s: Annotated[
        float | None, typer.Option("--until-idle", min=0.1, help="End when nothing has come for this many seconds.")
    ] = None,
    timeout_s: Timeout = 15.0,
    as_json: AsJson = False,
) -> None:
    """Follow a pipeline's results. Joins no consumer group, so workers and sinks are not disturbed.

    Examples: [bold]sightline results civic[/bold],
    [bold]sightline results civic --from beginning --until-idle 5 --json[/bold]
    """
    settings = start()
    topic = topics.results(check_name(pipeline))
    shown = 0
    for record in follow_topic(settings.kafka, topic, _start(start_at), timeout_s=timeout_s, idle_s=idle_s):
        result = _parse(record.value)
        if result is None:
            print_note(f"warning: {topic} [{record.partition}] {record.offset} is not a result")
        elif _wanted(result, source, verdict):
            if not shown and not as_json:
                print_line(_LINE.format("CAPTURED", "SOURCE", "VERDICT", "SCORE", "RESULT"))
            _show(result, record.value or b"", as_json=as_json)
            shown += 1
        if shown == limit:
            return


def _start(text: str) -> Start:
    if text in {"beginning", "end"}:
        return Edge[text.upper()]
    return parse_moment("--from", text)


def _parse(value: bytes | None) -> dict[str, Any] | None:
    try:
        result = json.loads(value or b"")
    except ValueError:
        return None
    return result if isinstance(result, dict) else None


def _wanted(result: dict[str, Any], source: str | None, verdict: str | None) -> bool:
    return source in {None, result.get("source")} and verdict in {None, result.get("verdict")}


def _show(result: dict[str, Any], value: bytes, *, as_json: bool) -> None:
    if as_json:
        # One line whatever the writer's style; the fields stay as they are.
        print_json_text(value if b"\n" not in value else json.dumps(result).encode())
        return
    captured, score = str(result.get("captured_at", ""))[:19], result.get("score")
    names = (str(result.get(name, "")) for name in ("source", "verdict"))
    shown_score = "" if score is None else f"{score:.1f}" if isinstance(score, int | float) else str(score)
    print_line(_LINE.format(captured, *names, shown_score, result.get("result_id", "")))
