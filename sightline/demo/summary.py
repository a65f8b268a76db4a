"""What the demo says at its end."""

from collections import Counter
from collections.abc import Iterator, Sequence

from sightline.demo.tally import Books
from sightline.demo.verify import Evidence
from sightline.demo.view import latency

_MOST_FINDINGS = 20


def summary_lines(
    evidence: Evidence, findings: Sequence[str], books: Books, first_answer_s: float | None
) -> Iterator[str]:
    """Yield the lines of the summary; every number is counted from the evidence."""
    results, letters = len(evidence.result_rows), len(evidence.letter_rows)
    verdicts = Counter(row.verdict for row in evidence.result_rows)
    codes = {letter.code for letter in evidence.letter_rows}
    pictures = {key for row in evidence.result_rows for key, _ in row.kept}
    originals = {letter.object_key for letter in evidence.letter_rows if letter.object_key is not None}
    yield ""
    yield f"sent         {len(evidence.sent)} frames"
    yield (
        f"answered     {results} results ({verdicts['accepted']} accepted, {verdicts['rejected']} rejected)"
        f" + {letters} dead letters ({len(codes)} different codes) = {results + letters}"
    )
    yield f"PostgreSQL   {results} + {letters} rows, of {len(set(evidence.answered_rows()))} frames"
    yield (
        f"objects      {len(pictures & evidence.objects.keys())} pictures (the same bytes lie there once)"
        f" + {len(originals & evidence.objects.keys())} originals of dead letters"
    )
    if evidence.guests:
        yield f"guests       {evidence.guests} answers to frames from elsewhere, not judged here"
    if first_answer_s is not None:
        yield f"time         first answer after {first_answer_s:.1f} s; latency {latency(books)} from sent to answered"
    if not findings:
        yield "verified     nothing lost, doubled or wrong"
        return
    yield f"WRONG        {len(findings)} findings:"
    yield from (f"  {finding}" for finding in findings[:_MOST_FINDINGS])
    if len(findings) > _MOST_FINDINGS:
        yield f"  and {len(findings) - _MOST_FINDINGS} more"
