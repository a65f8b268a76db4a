"""What the demo says at its end."""

from collections import Counter
from collections.abc import Iterator, Sequence

from schemas import topics
from sightline.demo.album import Album
from sightline.demo.books import Books, latency
from sightline.demo.exhibits import Exhibit
from sightline.demo.facts import Evidence
from sightline.demo.sample import CIVIC

_MOST_FINDINGS = 20


def summary_lines(evidence: Evidence, findings: Sequence[str], books: Books, began: float) -> Iterator[str]:
    """Yield the lines of the summary; every number is counted from the evidence. `began`: monotonic seconds."""
    results, letters = len(evidence.result_rows), len(evidence.letter_rows)
    codes = {letter.code for letter in evidence.letter_rows}
    kept = [one for row in evidence.result_rows for one in row.kept]
    pictures = {one.key for one in kept if one.kind != "overlay"}
    originals = {letter.object_key for letter in evidence.letter_rows if letter.object_key is not None}
    yield ""
    yield f"sent         {len(evidence.sent)} frames"
    yield (
        f"answered     {results} results + {letters} dead letters ({len(codes)} different codes) = {results + letters}"
    )
    yield from _pipeline_lines(evidence, books)
    yield f"PostgreSQL   {results} + {letters} rows, of {len(set(evidence.answered_rows()))} frames"
    yield (
        f"objects      {len(pictures & evidence.objects.keys())} pictures (the same bytes lie there once)"
        f" + {len(evidence.overlays_wh)} overlays"
        f" + {len(originals & evidence.objects.keys())} originals of dead letters"
    )
    if evidence.guests:
        yield f"guests       {evidence.guests} answers to frames from elsewhere, not judged here"
    yield from _time_line(books, began)
    if not findings:
        yield "verified     nothing lost, doubled or wrong"
        return
    yield f"WRONG        {len(findings)} findings:"
    yield from (f"  {finding}" for finding in findings[:_MOST_FINDINGS])
    if len(findings) > _MOST_FINDINGS:
        yield f"  and {len(findings) - _MOST_FINDINGS} more"


def album_lines(album: Album, exhibits: Sequence[Exhibit]) -> Iterator[str]:
    """Yield what to open, and what to try next, where models were at work."""
    if not album.count():
        return
    first = exhibits[0]
    models = " ".join(f"--model {role}={path}" for role, path in first.models.items())
    yield f"open         {album.page} ({album.count()} overlays, kept)"
    asked = "" if first.confidence is None else f" --confidence {first.confidence}"
    yield f"next         sightline run {first.pipeline} {first.pictures} {models}{asked} --overlay drawn"


def _pipeline_lines(evidence: Evidence, books: Books) -> Iterator[str]:
    """Yield a line for each pipeline, the verdicts with the commonest first."""
    letters = Counter(topics.pipeline_of(letter.origin.topic) for letter in evidence.letter_rows)
    verdicts: dict[str, Counter[str]] = {}
    for row in evidence.result_rows:
        pipeline = topics.pipeline_of(row.origin.topic) or ""
        verdicts.setdefault(pipeline, Counter())[row.verdict or "none"] += 1
    for pipeline, counts in verdicts.items():
        said = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
        found = books.pipelines[pipeline].detections if pipeline in books.pipelines else 0
        yield (
            f"  {pipeline:<10} {counts.total()} results ({said}) + {letters[pipeline]} dead letters"
            + (f"; {found} things found" if found else "")
        )


def _time_line(books: Books, began: float) -> Iterator[str]:
    if books.first_answer_at is None:
        return
    firsts = [one.first_answer_at for name, one in books.pipelines.items() if name != CIVIC and one.first_answer_at]
    of_models = f", of all pipelines after {max(firsts) - began:.1f} s" if firsts else ""
    yield (
        f"time         first answer after {books.first_answer_at - began:.1f} s{of_models};"
        f" latency {latency(books.latencies_s)} from sent to answered"
    )
