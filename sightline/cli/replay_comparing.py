"""Comparing a replay with the live results or another replay's: for `sightline replay compare`, and for commands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Engine

from schemas import topics
from schemas.errors import ConfigurationError
from sightline.cli.output import print_note
from sightline.cli.pipelines import check_name
from sightline.compare.change import Rules
from sightline.compare.comparison import Comparison
from sightline.compare.facts import About, comparison_facts
from sightline.compare.limits import Verdict, judge, judged_frames
from sightline.compare.pair import Found, Pair, Side
from sightline.runtime.database import database_engine
from sightline.runtime.settings import Settings
from sinks.postgres.compare import LIVE, PairRow, ReplayFacts, SideRow, read_pairs, read_replay

_QUERY_TIMEOUT_S: Final = 3600.0
_ENDED: Final = frozenset({None, "published", "cancelled"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is compared, and how much may change. `limits` and `count_copies` are those of `judge`.

    `pipeline`: whose live results are the old side; by default, where the frames came from. `most`: how many of the
    frames that changed most are kept.
    """

    replay_id: str
    against: str = LIVE
    pipeline: str | None = None
    rules: Rules = field(default_factory=Rules)
    most: int = 0
    limits: Mapping[str, float] = field(default_factory=dict)
    count_copies: bool = False


@dataclass(frozen=True, slots=True)
class Compared:
    """What came out. `failed` counts the replay's dead letters by code, `judged` frames that limits count."""

    comparison: Comparison
    about: About
    verdicts: Sequence[Verdict]
    failed: Mapping[str, int]
    judged: int

    @property
    def kept(self) -> bool:
        """Tell whether every limit was kept; where nothing was compared that limits count, none was."""
        return not self.verdicts or (self.judged > 0 and all(one.held for one in self.verdicts))

    def facts(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        return {**comparison_facts(self.comparison, self.about, self.verdicts), "failed": dict(self.failed)}


def open_results(settings: Settings) -> Engine:
    """Return the database of results, patient with large replays; connects on first use. Raises ConfigurationError."""
    return database_engine(
        settings.database_url(), application_name="sightline-compare", statement_timeout_s=_QUERY_TIMEOUT_S
    )


def compare_replays(engine: Engine, wanted: Wanted) -> Compared:
    """Compare all frames of both sides. Blocks. Raises ConfigurationError, OutageError or SetupError."""
    facts = _facts(engine, wanted.replay_id, wanted.against)
    about = _about(wanted, facts)
    comparison = Comparison(wanted.rules, wanted.most)
    for row in read_pairs(engine, wanted.replay_id, facts, wanted.against, about.old_pipeline or ""):
        comparison.add(_pair(row))
    verdicts = judge(comparison, wanted.limits, count_copies=wanted.count_copies)
    judged = judged_frames(comparison, count_copies=wanted.count_copies)
    return Compared(comparison, about, verdicts, facts.failed, judged)


def _facts(engine: Engine, replay_id: str, against: str) -> ReplayFacts:
    """Read what there is on both sides. Raises ConfigurationError where a side has nothing to compare."""
    if replay_id == against:
        raise ConfigurationError("--against", "a replay is compared with another one")
    sides = {name: read_replay(engine, name) for name in (replay_id, against) if name != LIVE}
    for name, facts in sides.items():
        if not facts.rows:
            raise ConfigurationError(name, "there are no results of such a replay")
        if facts.state not in _ENDED:
            print_note(f"warning: replay {name} is {facts.state}; what it has answered so far is compared")
    return sides[replay_id]


def _about(wanted: Wanted, facts: ReplayFacts) -> About:
    replay_id, against, pipeline = wanted.replay_id, wanted.against, wanted.pipeline
    if against != LIVE:
        if pipeline is not None:
            raise ConfigurationError("--pipeline", "says whose live results are the old side; --against names another")
        return About(replay_id, against, facts.pipelines, None)
    origins = {name for topic in facts.topics if (name := topics.pipeline_of(topic)) is not None}
    names = {check_name(pipeline)} if pipeline is not None else origins or set(facts.pipelines)
    if len(names) != 1:
        raise ConfigurationError("--pipeline", f"name one of {', '.join(sorted(names))}: the frames came from several")
    return About(replay_id, against, facts.pipelines, names.pop())


def _pair(row: PairRow) -> Pair:
    return Pair(row.frame_id, row.source, _side(row.old), _side(row.new), row.identical, row.copied)


def _side(row: SideRow | None) -> Side | None:
    if row is None:
        return None
    boxes = zip(*[iter(row.edges)] * 4, strict=True)
    return Side(
        row.result_id,
        row.kind,
        row.verdict,
        row.score,
        row.label,
        row.probability,
        tuple(map(Found, row.classes, row.class_ids, row.confidences, boxes)),
        dict(zip(row.checks, row.passed, strict=True)),
    )
