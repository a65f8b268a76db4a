"""What is published, and what happens to what cannot be."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from schemas.encoding import format_time
from schemas.errors import Code, InputError, OutageError
from schemas.frame import INLINE_LIMIT_BYTES, Origin, parse_frame
from schemas.headers import Headers
from schemas.identity import sha256_hex
from schemas.message import Message
from sightline.cli import publishing
from sightline.cli.main import exit_code
from sightline.runtime.objectstore import open_store
from sightline.runtime.settings import KafkaSettings, S3Settings
from streams.publish import FramePublisher, NewFrame, frame_message
from tests.pictures import jpeg

_NOWHERE = KafkaSettings(bootstrap_servers="127.0.0.1:1")


def _frame(data: bytes) -> NewFrame:
    return NewFrame(
        "civic", "e1", "/cameras/1", "image/jpeg", data, datetime(2026, 3, 1, tzinfo=UTC), {"keep": "false"}
    )


def _parsed(message: Message) -> Any:
    return parse_frame(message.value, message.headers, Origin("frames.civic", 0, 0), 1_790_000_000_000)


def test_a_message_is_a_frame_that_the_worker_reads() -> None:
    message = frame_message(_frame(b"bytes"), None)
    assert (message.topic, message.key, message.value) == ("frames.civic", b"/cameras/1", b"bytes")
    frame = _parsed(message)
    assert (frame.event_id, frame.source, frame.media_type) == ("e1", "/cameras/1", "image/jpeg")
    assert format_time(frame.captured_at) == "2026-03-01T00:00:00.000000Z"
    assert frame.settings.keep is False


def test_a_large_picture_is_claimed(tmp_path: Path) -> None:
    data = b"x" * (INLINE_LIMIT_BYTES + 1)
    store = open_store(tmp_path.as_uri(), S3Settings())
    message = frame_message(_frame(data), store)
    assert message.value is None
    frame = _parsed(message)
    assert frame.dataref == store.address(f"claims/{sha256_hex(data)}")
    assert store.get(f"claims/{sha256_hex(data)}", len(data)) == data


def test_a_picture_at_the_limit_is_inline() -> None:
    data = b"x" * INLINE_LIMIT_BYTES
    assert frame_message(_frame(data), None).value == data


@pytest.mark.parametrize(
    ("data", "code"), [(b"", Code.VALUE_EMPTY), (b"x" * (INLINE_LIMIT_BYTES + 1), Code.INLINE_TOO_LARGE)]
)
def test_what_cannot_be_published_has_a_code(data: bytes, code: Code) -> None:
    with pytest.raises(InputError) as caught:
        frame_message(_frame(data), None)
    assert caught.value.code is code


def test_a_broker_that_cannot_be_reached() -> None:
    publisher = FramePublisher(_NOWHERE, timeout_s=0.2)
    with pytest.raises(OutageError):
        publisher.check_topic("civic")
    publisher.publish(frame_message(_frame(b"x"), None), lambda _: None)
    with pytest.raises(OutageError, match="no acknowledgement"):
        publisher.flush()
    publisher.close()


def test_a_message_that_can_never_be_sent_is_its_own_failure() -> None:
    publisher = FramePublisher(_NOWHERE, timeout_s=0.2)
    answers: list[Origin | InputError] = []
    publisher.publish(Message("frames.civic", None, b"x" * (19 * 1024 * 1024)), answers.append)
    publisher.flush()
    publisher.close()
    assert isinstance(answers[0], InputError)
    assert answers[0].code is Code.RECORD_INVALID


class _Broker:
    """Stands in for the publisher: acknowledges all but what it refuses."""

    sent: list[tuple[str, Headers]]

    def __init__(self, *_: Any, **__: Any) -> None:
        type(self).sent = []

    def check_topic(self, pipeline: str) -> None:
        assert pipeline == "civic"

    def publish(self, message: Message, on_delivered: Any) -> None:
        self.sent.append((message.topic, message.headers))
        on_delivered(Origin(message.topic, 0, len(self.sent) - 1))

    def poll(self, wait_s: float) -> None: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> type[_Broker]:
    monkeypatch.setattr(publishing, "FramePublisher", _Broker)
    return _Broker


def _header(headers: Headers, name: str) -> str:
    return (dict(headers)[name] or b"").decode()


def test_the_same_file_is_the_same_event_from_anywhere(tmp_path: Path, broker: type[_Broker]) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.jpg").write_bytes(jpeg(1))
    (tmp_path / "a" / "y.jpg").write_bytes(jpeg(1))
    assert exit_code(["publish", "civic", str(tmp_path), "--camera", "/c"]) == 0
    ids = [_header(headers, "ce_id") for _, headers in broker.sent]
    assert len(ids) == 3
    assert ids[0] == ids[2]  # a/x.jpg and b/x.jpg
    assert ids[0] != ids[1]


def test_repeats_are_frames_of_their_own(tmp_path: Path, broker: type[_Broker]) -> None:
    (tmp_path / "x.jpg").write_bytes(jpeg(1))
    arguments = ["publish", "civic", str(tmp_path), "--repeat", "3", "--id-prefix", "load-", "--no-keep"]
    assert exit_code(arguments) == 0
    ids = {_header(headers, "ce_id") for _, headers in broker.sent}
    assert len(ids) == 3
    assert all(event_id.startswith("load-") for event_id in ids)
    assert {_header(headers, "ce_keep") for _, headers in broker.sent} == {"false"}
    assert {_header(headers, "content-type") for _, headers in broker.sent} == {"image/jpeg"}


def test_a_file_that_fails_is_counted_and_the_rest_go_on(
    tmp_path: Path, broker: type[_Broker], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.jpg").write_bytes(jpeg(1))
    (tmp_path / "empty.jpg").write_bytes(b"")
    assert exit_code(["publish", "civic", str(tmp_path), str(tmp_path / "missing.jpg")]) == 1
    assert len(broker.sent) == 1
    out, err = capsys.readouterr()
    assert out == "1 frames published to frames.civic, 2 failed\n"
    assert "value_empty" in err
    assert "claim_not_found" in err


def test_a_source_that_no_header_holds_is_refused(tmp_path: Path, broker: type[_Broker]) -> None:
    del broker
    assert exit_code(["publish", "civic", str(tmp_path), "--camera", "a\nb"]) == 2
