"""Whether a Kafka client still works.

librdkafka waits until times of day. Where the clock is set back while one of its threads waits, that thread goes on
waiting until the old time has come again, for hours: no call fails, nothing is delivered, and the broker is well. Of
what its main thread does every few seconds, the statistics, we hear by polling, in any outage as well; a client that
gives none is of no use any more, and cannot be helped: only another process can go on.

The same holds for one that knows no broker any more, not even those that it was given: librdkafka (2.10 to 2.16) may
forget them all, for good, when the only broker that it has a connection to shuts down and answers in that moment that
there are none (https://github.com/confluentinc/librdkafka/issues/5301). In an outage it goes on knowing them.
"""

import json

from sightline.runtime.clock import Clock

EVERY_S = 5.0
_STOPPED_AFTER_S = 30.0


class Pulse:
    """The signs of life of a client called `name`, between `begin` and `end`; `beat` is its statistics callback."""

    def __init__(self, name: str, clock: Clock) -> None:
        self._name = name
        self._clock = clock
        self._last: float | None = None
        self._alone_since: float | None = None

    def begin(self) -> None:
        """Expect signs of life from now on."""
        self._last, self._alone_since = self._clock.monotonic(), None

    def end(self) -> None:
        """Expect none any more."""
        self._last = self._alone_since = None

    def beat(self, statistics: str) -> None:
        """Note that the client works, that it is polled, and whether it knows a broker; `statistics` is JSON."""
        now = self._last = self._clock.monotonic()
        if _knows_a_broker(statistics):
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = now

    def stopped(self) -> str | None:
        """Say that the client is of no use any more, and why, or None. From any thread."""
        for since, trouble in (
            (self._last, "has given no sign of life"),
            (self._alone_since, "has known no broker"),
        ):
            lasts_s = 0.0 if since is None else self._clock.monotonic() - since
            if lasts_s > _STOPPED_AFTER_S:
                return f"{self._name} {trouble} for {lasts_s:.0f} s"
        return None


def _knows_a_broker(statistics: str) -> bool:
    """Tell whether there is one to connect to: a group's coordinator is one of them, under a name of its own."""
    return any(broker["source"] != "logical" for broker in json.loads(statistics)["brokers"].values())
