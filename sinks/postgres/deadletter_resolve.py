"""Which dead letters are answered: by the place that a redrive sent the record to."""

from collections.abc import Iterable, Sequence

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - a type, whatever its module calls it
from sqlalchemy import Engine

from schemas.frame import Origin
from sightline.runtime.database import transaction
from sinks.postgres.copytext import array
from sinks.postgres.reader import Row

_UNSETTLED_OBJECTS = 1_000
# One that was parked is answered as well while its redrive is recorded without an outcome: the result may be quicker.
_UNSETTLED = (
    "(d.state IN ('open', 'redriven') OR d.state = 'parked' AND EXISTS (SELECT 1 FROM dead_letter_actions p"
    " WHERE p.dl_id = d.dl_id AND p.action = 'redrive' AND p.outcome IS NULL))"
)


def resolve_redriven(cursor: Cursor, answered: Iterable[Origin]) -> None:
    """Resolve what was redriven to one of these places, inside the caller's transaction.

    Neither a frame's id nor a camera's own header would do: a frame without `ce_time` gets another id when it is
    sent again, one whose envelope was refused has none, and headers can be forged.
    """
    places = list(dict.fromkeys(answered))
    if not places:
        return
    cursor.execute(
        "UPDATE dead_letters d SET state = 'resolved', state_changed_at = now()"  # noqa: S608 -- our own words
        f" WHERE {_UNSETTLED} AND d.dl_id IN (SELECT unnest(a.answers)"
        "  FROM unnest(%s::text[], %s::integer[], %s::bigint[]) AS n (topic, partition, place)"
        "  JOIN dead_letter_actions a ON a.action = 'redrive' AND a.target_topic = n.topic"
        "   AND a.target_partition = n.partition AND a.target_offset = n.place)",
        (
            array(place.topic for place in places),
            array(str(place.partition) for place in places),
            array(str(place.offset) for place in places),
        ),
    )


def resolve_replayed(cursor: Cursor, answered: Iterable[tuple[str, str]]) -> None:
    """Resolve what failed in a replay, by replay and frame: neither its place nor a live result would tell."""
    pairs = list(dict.fromkeys(answered))
    if not pairs:
        return
    cursor.execute(
        "UPDATE dead_letters d SET state = 'resolved', state_changed_at = now()"  # noqa: S608 -- our own words
        " FROM unnest(%s::text[], %s::text[]) AS n (replay_id, frame_id)"
        " WHERE d.replay_id = n.replay_id AND d.frame_id = n.frame_id AND d.stage <> 'sink.objects'"
        f" AND {_UNSETTLED}",
        (array(replay_id for replay_id, _ in pairs), array(frame_id for _, frame_id in pairs)),
    )


def redriven_objects(engine: Engine, pipeline: str) -> list[Row]:
    """Return redriven dead letters of the object sink, whose store alone knows whether they are answered."""
    with transaction(engine) as connection:
        rows = connection.exec_driver_sql(
            "SELECT dl_id, headers, origin_topic FROM dead_letters"
            " WHERE pipeline = %s AND state = 'redriven' AND stage = 'sink.objects' ORDER BY dl_time LIMIT %s",
            (pipeline, _UNSETTLED_OBJECTS),
        ).mappings()
        return [dict(row) for row in rows]


def resolve(engine: Engine, dl_ids: Sequence[str]) -> None:
    """Resolve these dead letters, if they still are redriven. Raises OutageError or SetupError."""
    with transaction(engine) as connection:
        connection.exec_driver_sql(
            "UPDATE dead_letters SET state = 'resolved', state_changed_at = now()"
            " WHERE dl_id = ANY(%s::text[]) AND state = 'redriven'",
            (list(dl_ids),),
        )
