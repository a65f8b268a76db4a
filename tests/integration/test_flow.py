"""Frames in on Kafka, and everything that must come of them."""

import json
import random
import subprocess
from collections import Counter
from datetime import UTC, datetime

import pytest

from schemas import topics
from schemas.headers import Headers
from tests.audit import assert_sound, read_letter
from tests.pictures import TEN_WAYS, corrupt_jpeg, headers, jpeg
from tests.world import World, wait_for

pytestmark = pytest.mark.services


def test_2000_photos_of_which_5_percent_are_broken(world: World) -> None:
    chance = random.Random(1)
    broken = dict(zip(chance.sample(range(2000), 100), TEN_WAYS * 10, strict=True))
    frames: list[tuple[bytes | None, Headers]] = []
    for number in range(2000):
        event_id, source = f"e{number}", f"/cameras/{number % 13}"
        way = broken.get(number)
        frames.append(way.make(number, event_id, source) if way else (jpeg(number), headers(event_id, source)))
    world.start_all()
    published = world.publish(frames)
    world.wait_for_rows(2000)
    evidence = assert_sound(world, published)
    assert world.count_rows() == (1900, 100)
    assert Counter(letter.code for letter in evidence.topic_letters) == {way.code: 10 for way in TEN_WAYS}
    assert {(letter.code, letter.stage) for letter in evidence.topic_letters} == {
        (way.code, way.stage) for way in TEN_WAYS
    }


def test_one_poison_picture_in_a_batch_of_16(world: World) -> None:
    frames: list[tuple[bytes | None, Headers]] = [(jpeg(n), headers(f"e{n}", "/cameras/1")) for n in range(16)]
    frames[7] = (corrupt_jpeg(7), headers("e7", "/cameras/1"))
    published = world.publish(frames)  # before the worker starts, so that it finds one batch
    worker, *_ = world.start_all()
    world.wait_for_rows(16)
    assert world.count_rows() == (15, 1)
    assert_sound(world, published)
    assert worker.metric("sightline_batch_records_count") == 1


def test_the_auditor_knows_what_a_client_appended_twice_and_nothing_else(world: World) -> None:
    frames: list[tuple[bytes | None, Headers]] = [(jpeg(n), headers(f"e{n}", "/cameras/1")) for n in range(4)]
    published = world.publish(frames)
    world.publish(frames[:2])
    world.start_all()
    world.wait_for_rows(6)
    assert len(assert_sound(world, published).published) == 6
    world.publish([(jpeg(9), headers("e9", "/cameras/1"))])
    world.wait_for_rows(7)
    with pytest.raises(AssertionError, match="made up"):
        assert_sound(world, published)


def test_results_of_one_camera_keep_their_order(world: World) -> None:
    published = world.publish((jpeg(n), headers(f"{n:04}", "/cameras/1")) for n in range(300))
    world.start_worker()
    wait_for(lambda: len(world.results()) == 300, 60, "300 results")
    assert [result["event_id"] for result in world.results()] == [f"{n:04}" for n in range(300)]
    assert {item.partition for item in published} == {published[0].partition}


def test_a_result_says_what_its_consumers_were_promised(world: World) -> None:
    captured_at = datetime(2026, 3, 1, 12, 0, 0, 123456, UTC)
    [item] = world.publish([(jpeg(5, 1024, 768), headers("e5", "/cameras/5", captured_at=captured_at))])
    world.start_all()
    world.wait_for_rows(1)
    [result] = world.results()
    assert result["pipeline"] == world.pipeline
    assert result["kind"] == "frame"
    assert result["variant"] == "live"
    assert result["source"] == "/cameras/5"
    assert result["captured_at"] == "2026-03-01T12:00:00.123456Z"
    assert result["verdict"] in {"accepted", "rejected"}
    assert result["image"]["width"] == 1024
    assert result["image"]["height"] == 768
    assert [check["name"] for check in result["quality"]["checks"]] == [
        "blur", "resolution", "brightness", "exposure", "metadata",
    ]  # fmt: skip
    assert result["origin"] == {"topic": item.topic, "partition": item.partition, "offset": item.offset}
    [message] = world.read(topics.results(world.pipeline))
    found = dict(message.headers() or [])
    assert found["ce_type"] == b"sightline.result.v1"
    assert found["ce_id"] == result["result_id"].encode()
    assert message.key() == b"/cameras/5"


def test_kcat_alone_publishes_a_photo_and_reads_its_result(world: World) -> None:
    world.start_worker().wait_ready()
    photo = world.folder / "photo.jpg"
    photo.write_bytes(jpeg(1))
    fields = {
        "ce_specversion": "1.0", "ce_type": "sightline.frame.v1", "ce_id": "1", "ce_source": "/kcat",
        "content-type": "image/jpeg",
    }  # fmt: skip
    subprocess.run(
        ["kcat", "-b", world.bootstrap, "-P", "-t", topics.frames(world.pipeline), "-k", "/kcat",
         "-X", "topic.partitioner=murmur2_random",
         *(part for name, text in fields.items() for part in ("-H", f"{name}={text}")), str(photo)],
        check=True, timeout=30,
    )  # fmt: skip
    done = subprocess.run(
        ["kcat", "-b", world.bootstrap, "-C", "-t", topics.results(world.pipeline), "-o", "beginning", "-c", "1", "-q"],
        check=True, timeout=30, capture_output=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["source"] == "/kcat"


def test_a_header_name_that_is_not_utf_8_from_kcat(world: World) -> None:
    world.start_all()
    photo = world.folder / "photo.jpg"
    photo.write_bytes(jpeg(1))
    subprocess.run(
        [b"kcat", b"-b", world.bootstrap.encode(), b"-P", b"-t", topics.frames(world.pipeline).encode(),
         b"-H", b"\xff\xfe=1", str(photo).encode()],
        check=True, timeout=30,
    )  # fmt: skip
    world.wait_for_rows(1)
    [message] = world.dead_letters()
    letter = read_letter(message)
    assert letter.code == "header_name_invalid"
    assert letter.value == photo.read_bytes()
    assert dict(message.headers() or [])["dl_headers_lost"] == b"true"
