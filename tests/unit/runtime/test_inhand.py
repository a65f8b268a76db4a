"""The memory that a process and its supervisor share."""

import os

import pytest

from sightline.runtime.inhand import MOST_TOGETHER, InHand, Place, resident_bytes


def _places(count: int, topic: str = "frames.x") -> list[Place]:
    return [Place(topic, n % 3, 10**15 + n, 1_700_000_000_000 + n) for n in range(count)]


def test_what_is_put_is_read_until_it_is_cleared() -> None:
    shared = InHand()
    assert shared.read() == []
    one = shared.put(_places(5))
    other = shared.put(_places(1), (2, 1))
    first, second = shared.read()
    assert sorted(first.places) == sorted(_places(5))
    assert (first.alone, second.alone, second.places) == (None, (2, 1), tuple(_places(1)))
    assert first.resident_bytes > 1_000_000
    assert shared.started() == [first.started_s, second.started_s]
    shared.clear(one)
    assert [held.places for held in shared.read()] == [tuple(_places(1))]
    shared.clear(other)
    assert shared.read() == []


def test_the_largest_batch_fits_with_every_partition_another() -> None:
    shared = InHand()
    places = [Place("frames." + "x" * 240, 100_000 + n, 2**62 + n, 2**43) for n in range(MOST_TOGETHER)]
    shared.put(places)
    assert sorted(shared.read()[0].places) == places


def test_a_child_writes_and_its_parent_reads_after_its_death() -> None:
    shared = InHand()
    pid = os.fork()
    if pid == 0:
        shared.port = 8080
        shared.put(_places(16))
        os._exit(0)
    os.waitpid(pid, 0)
    assert sorted(shared.read()[0].places) == sorted(_places(16))
    assert (shared.port, shared.returned) == (8080, False)


def test_port_and_return_do_not_disturb_each_other() -> None:
    shared = InHand()
    assert (shared.port, shared.returned) == (None, False)
    shared.returned = True
    shared.port = 65_535
    assert (shared.port, shared.returned) == (65_535, True)


def test_the_memory_of_a_process_that_is_gone_is_none() -> None:
    assert resident_bytes() == pytest.approx(resident_bytes(os.getpid()), rel=0.2)
    assert resident_bytes(2**22 + 1) == 0
