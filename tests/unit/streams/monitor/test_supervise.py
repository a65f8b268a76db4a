"""Whose clock the monitor goes by."""

from types import SimpleNamespace
from typing import cast

import pytest

from schemas.errors import OutageError
from sightline.runtime.clock import SystemClock
from sightline.runtime.settings import KafkaSettings
from streams.monitor.supervise import CLOCKS_APART_MS, Monitor
from streams.monitor.watch import Watch
from streams.publisher import Publisher
from streams.read import TopicRecord
from tests.unit.streams.monitor.feed import PIPELINE, settings


@pytest.mark.parametrize("dated", [True, False])
def test_while_the_brokers_clock_is_far_ahead_nothing_is_judged(*, dated: bool) -> None:
    """A time that is a producer's own says nothing about ours."""
    monitor = Monitor(PIPELINE, KafkaSettings(), settings(), cast("Publisher", None), SystemClock())
    taken: list[int] = []
    watch = cast("Watch", SimpleNamespace(take=lambda record, _: taken.append(record.offset)))
    now_ms = monitor.now_ms()
    for offset, ahead_ms in enumerate((CLOCKS_APART_MS // 2, 4 * CLOCKS_APART_MS)):
        record = TopicRecord("results.civic", 0, offset, now_ms + ahead_ms, None, b"", [], dated)
        if dated and offset:
            with pytest.raises(OutageError) as raised:
                monitor._take_history(watch, record)
            assert raised.value.service == "clock"
        else:
            monitor._take_history(watch, record)
    assert taken == ([0] if dated else [0, 1])
