from streams.agents.progress import Place, Progress

A: Place = ("results.x", 0)
B: Place = ("results.x", 1)


def _progress() -> Progress:
    return Progress({A: 0, B: 0})


def test_nothing_is_known_before_the_ends_are() -> None:
    progress = _progress()
    progress.take(A, 0, 5)
    assert progress.known_to_ms() is None


def test_empty_partitions_are_known_up_to_the_asking() -> None:
    progress = _progress()
    progress.ask(1000, {A: 0, B: 0})
    assert progress.known_to_ms() == 1000


def test_one_partition_behind_holds_all_back() -> None:
    progress = _progress()
    progress.ask(1000, {A: 2, B: 1})
    assert progress.known_to_ms() is None
    progress.take(A, 0, 500)
    assert progress.known_to_ms() is None
    progress.take(B, 0, 900)
    assert progress.known_to_ms() == 500
    progress.take(A, 1, 990)
    assert progress.known_to_ms() == 1000


def test_a_record_counts_once() -> None:
    progress = _progress()
    assert progress.take(A, 3, 10)
    assert not progress.take(A, 3, 10)
    assert not progress.take(A, 2, 10)
    assert progress.take(A, 4, 10)


def test_a_partition_that_is_not_expected_is_not_taken() -> None:
    progress = _progress()
    assert not progress.take(("results.x", 9), 0, 10)
    progress.read_on(("results.x", 9), 10)
    assert progress.positions == {A: 0, B: 0}


def test_markers_before_the_end_are_read_on() -> None:
    progress = _progress()
    progress.ask(1000, {A: 2, B: 0})
    progress.take(A, 0, 500)
    assert progress.behind() == {A}
    progress.read_on(A, 2)
    assert progress.known_to_ms() == 1000
    progress.read_on(A, 1)
    assert progress.positions[A] == 2


def test_a_record_that_was_taken_for_a_marker_is_taken_when_it_comes() -> None:
    progress = _progress()
    progress.read_on(A, 5)
    assert progress.take(A, 3, 10)
    assert not progress.take(A, 3, 10)
    assert progress.positions[A] == 5
    assert progress.take(A, 5, 11)
    assert progress.positions[A] == 6
