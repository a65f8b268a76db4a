"""What a record counts for against the bounds on memory."""

from schemas.headers import Headers
from streams.weight import RECORD_BYTES, weigh


def test_all_its_bytes_count_and_some_for_itself() -> None:
    assert weigh(None, None, None, 0) == RECORD_BYTES
    assert weigh(b"12", b"345", [("ab", b"c"), ("d", None)], 0) == RECORD_BYTES + 2 + 3 + 4


def test_a_claim_counts_for_the_picture_that_it_stands_for() -> None:
    assert weigh(None, None, [("ce_dataref", b"")], 1000) == RECORD_BYTES + 10 + 1000
    structured: Headers = [("content-type", b"application/cloudevents+json; charset=utf-8")]
    small, large = (weigh(None, bytes(size), structured, 10**9) for size in (4096, 4097))
    assert small > 10**9 > large
