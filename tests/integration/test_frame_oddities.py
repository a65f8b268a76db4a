"""Every oddity that the contract names for frames gets the code, or the acceptance, that it names."""

import base64
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from confluent_kafka import KafkaError, Message, Producer

from schemas import topics
from schemas.frame import INLINE_LIMIT_BYTES
from schemas.headers import Headers
from tests.audit import assert_sound, read_letter
from tests.pictures import headers, jpeg, jpeg_claiming, png
from tests.world import World

pytestmark = pytest.mark.services
TOPIC_LIMIT_BYTES = 16 * 1024 * 1024
ACCEPTED = "accepted"
HOT = 400


@dataclass(frozen=True)
class Oddity:
    name: str
    value: bytes | None
    headers: Headers
    code: str


def _with(extra: Headers, *, without: str = "") -> Headers:
    return [pair for pair in headers("e", "/cameras/odd") if pair[0] != without] + extra


def _envelope(**members: object) -> bytes:
    event = {
        "specversion": "1.0", "type": "sightline.frame.v1", "id": "structured", "source": "/cameras/odd",
        "datacontenttype": "image/jpeg", "data_base64": base64.b64encode(jpeg(3)).decode(),
    }  # fmt: skip
    return json.dumps({name: content for name, content in (event | members).items() if content is not None}).encode()


STRUCTURED: Headers = [("content-type", b"application/cloudevents+json; charset=utf-8")]
ODDITIES = [
    Oddity("structured mode", _envelope(), STRUCTURED, ACCEPTED),
    Oddity("structured mode, bad base64", _envelope(data_base64="&&"), STRUCTURED, "envelope_invalid"),
    Oddity("structured mode, not JSON", b"{", STRUCTURED, "envelope_invalid"),
    Oddity("null value", None, _with([]), "value_null"),
    Oddity("empty value", b"", _with([]), "value_empty"),
    Oddity("value and dataref", jpeg(4), _with([("ce_dataref", b"s3://b/k")]), "dataref_with_value"),
    Oddity("dataref that is not allowed", None, _with([("ce_dataref", b"s3://elsewhere/k")]), "claim_not_allowed"),
    Oddity("dataref, empty value", b"", _with([("ce_dataref", b"s3://elsewhere/k")]), "claim_not_allowed"),
    Oddity("dataref of another scheme", None, _with([("ce_dataref", b"http://127.0.0.1/k")]), "claim_invalid"),
    *(
        Oddity(f"no {name}", jpeg(5), _with([], without=name), "header_missing")
        for name in ("ce_specversion", "ce_id", "ce_source", "ce_type")
    ),
    Oddity("empty ce_id", jpeg(5), _with([("ce_id", b"")], without="ce_id"), "header_missing"),
    Oddity("repeated ce_id", jpeg(5), _with([("ce_id", b"again")]), "header_repeated"),
    Oddity("repeated header of others", jpeg(6), _with([("x", b"1"), ("x", None), ("x", b"")]), ACCEPTED),
    Oddity("unknown specversion", jpeg(7), _with([("ce_specversion", b"2.0")], without="ce_specversion"),
           "specversion_unknown"),
    Oddity("time that cannot be parsed", jpeg(7), _with([("ce_time", b"yesterday")]), "time_invalid"),
    Oddity("time without a zone", jpeg(7), _with([("ce_time", b"2026-01-01T00:00:00")]), "time_invalid"),
    Oddity("time in the future", jpeg(7), _with([("ce_time", b"2099-01-01T00:00:00Z")]), "time_in_future"),
    Oddity("time in 1970", jpeg(8), _with([("ce_time", b"1970-01-01T00:00:00Z")]), ACCEPTED),
    Oddity("null header value", jpeg(9), _with([("ce_subject", None)]), "header_value_invalid"),
    Oddity("binary header value", jpeg(9), _with([("ce_subject", b"\xff\x00")]), "header_value_invalid"),
    Oddity("binary value of others", jpeg(10), _with([("trace-bin", b"\xff\x00")]), ACCEPTED),
    Oddity("confidence out of bounds", jpeg(9), _with([("ce_confidence", b"1.5")]), "setting_invalid"),
    Oddity("confidence not a number", jpeg(9), _with([("ce_confidence", b"nan")]), "setting_invalid"),
    Oddity("other media type", png(1), _with([]), "media_type_mismatch"),
    Oddity("no content type", jpeg(11), _with([], without="content-type"), ACCEPTED),
    Oddity("60,000 x 60,000", jpeg_claiming(60_000, 60_000), _with([]), "dimensions_too_large"),
    Oddity("over the inline limit", jpeg(1) + bytes(15_000_000), _with([]), "inline_too_large"),
    Oddity("at the inline limit", jpeg(12) + bytes(INLINE_LIMIT_BYTES - len(jpeg(12))), _with([]), ACCEPTED),
]  # fmt: skip


def test_oddities(world: World) -> None:
    worker, *_ = world.start_all()
    frames = [
        (item.value, [*item.headers, ("test", item.name.encode())])
        for item in ODDITIES
    ]  # fmt: skip
    published = world.publish(frames)
    world.wait_for_rows(len(ODDITIES))
    codes = {
        dict(letter.headers)["test"].decode(): letter.code  # type: ignore[union-attr]
        for letter in map(read_letter, world.dead_letters())
    }
    expected = {item.name: item.code for item in ODDITIES if item.code != ACCEPTED}
    assert codes == expected
    assert_sound(world, published)
    assert worker.rss_bytes() < 500_000_000


def test_a_header_name_that_is_not_utf_8_does_not_kill_a_worker_that_has_read_much(world: World) -> None:
    """The interpreter changes code that ran often: only then did the client library's error come out elsewhere."""
    worker, *_ = world.start_all()
    world.publish((jpeg(n), headers(f"warm{n}", f"/cameras/{n % 7}")) for n in range(HOT))
    world.wait_for_rows(HOT)
    child = worker.working_pid
    for name in (b"\xff\xfe", b"ce_\xff"):
        place = ["-b", world.bootstrap, "-t", topics.frames(world.pipeline)]
        kcat: list[str | bytes] = ["kcat", "-P", *place, "-H", name + b"=1"]
        subprocess.run(kcat, input=b"1\n2\n3\n", check=True)
    world.publish((jpeg(n), headers(f"after{n}", f"/cameras/{n % 7}")) for n in range(14))
    world.wait_for_rows(HOT + 6 + 14)
    assert world.count_rows() == (HOT + 14, 6)
    assert {read_letter(message).code for message in world.dead_letters()} == {"header_name_invalid"}
    assert worker.working_pid == child


def test_a_record_without_a_key_is_accepted(world: World) -> None:
    published = world.publish([(jpeg(1), headers("e1", "/cameras/1"))], key=None)
    world.start_all()
    world.wait_for_rows(1)
    assert world.count_rows() == (1, 0)
    assert_sound(world, published)


def test_a_frame_exactly_at_the_topics_limit_that_fails(world: World) -> None:
    """The largest value that the topic takes still fits into a dead letter, whose block comes on top."""
    value = bytes(_largest_accepted(world))
    published = world.publish([(value, headers("e1", "/cameras/1"))])
    world.start_all()
    world.wait_for_rows(1)
    [message] = world.dead_letters()
    assert read_letter(message).code == "inline_too_large"
    assert_sound(world, published)


def test_a_dead_letter_that_the_broker_refuses_goes_by_the_object_store(world: World) -> None:
    world.set_topic(topics.dead_letters(world.pipeline), "max.message.bytes", "1000000")
    value = jpeg(1) + bytes(12_000_000)
    published = world.publish([(value, headers("e1", "/cameras/1"))])
    world.start_all()
    world.wait_for_rows(1)
    [message] = world.dead_letters()
    assert message.value() is None
    assert "dl_dataref" in dict(message.headers() or [])
    [(dl_id, dataref)] = world.sql("SELECT dl_id::text, dataref FROM dead_letters WHERE pipeline = :pipeline")
    key = f"deadletters/{world.pipeline}/{dl_id}"
    assert dataref == world.store.address(key)
    assert world.store.get(key, max_bytes=20_000_000) == value
    assert len(published) == 1


def test_an_artifact_that_the_broker_refuses_goes_by_the_object_store(world: World) -> None:
    world.set_topic(topics.artifacts(world.pipeline), "max.message.bytes", "20000")
    published = world.publish([(jpeg(1, 800, 600), headers("e1", "/cameras/1"))])
    assert len(published[0].value or b"") > 40_000
    worker, *_ = world.start_all()
    world.wait_for_rows(1)
    assert world.count_rows() == (1, 0)
    assert_sound(world, published)
    [message] = world.read(topics.artifacts(world.pipeline))
    assert message.value() is None
    assert worker.process.poll() is None


def test_a_30_mb_photo_by_claim_check_is_scored(world: World) -> None:
    photo = png(1, 3700, 2800)
    assert len(photo) > 30_000_000
    world.store.put("claims/large.png", photo, "image/png")
    address = world.store.address("claims/large.png")
    found = [("ce_dataref", address.encode())]
    frame = (None, [*headers("e1", "/cameras/1", "image/png"), *found])
    missing = (None, [*headers("e2", "/cameras/1", "image/png"), ("ce_dataref", f"{address}.not".encode())])
    world.publish([frame, missing])
    world.start_all()
    world.wait_for_rows(2)
    [result] = world.results()
    assert result["image"]["size_bytes"] == len(photo)
    [letter] = map(read_letter, world.dead_letters())
    assert letter.code == "claim_not_found"
    [artifact] = result["artifacts"]
    world.wait_for_lag(topics.group("sink-objects", world.pipeline), [topics.artifacts(world.pipeline)])
    assert world.store.stat(artifact["key"]) is not None


def _largest_accepted(world: World) -> int:
    """Find the largest value that a frames topic takes, by halving."""
    producer = Producer({"bootstrap.servers": world.bootstrap, "message.max.bytes": 20_000_000})
    probe = f"probe-{world.pipeline}"
    world.create_topic(probe, {"max.message.bytes": str(TOPIC_LIMIT_BYTES)})
    low, high = TOPIC_LIMIT_BYTES - 10_000, TOPIC_LIMIT_BYTES
    while high - low > 1:
        middle = (low + high) // 2
        errors: list[KafkaError | None] = []
        head = headers("e1", "/cameras/1")
        producer.produce(probe, bytes(middle), b"/cameras/1", headers=[*head], on_delivery=_collect(errors))
        assert producer.flush(30) == 0
        low, high = (middle, high) if errors[0] is None else (low, middle)
    return low


def _collect(errors: list[KafkaError | None]) -> Callable[[KafkaError | None, Message], None]:
    return lambda error, _: errors.append(error)
