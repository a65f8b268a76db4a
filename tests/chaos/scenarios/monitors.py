"""The monitor is killed while it watches; each alert begins once and ends once all the same."""

from collections import Counter

from tests.chaos.keeper import Keeper
from tests.chaos.stage import Stage
from tests.chaos.traffic import BROKEN, Frame, flowing, good, publish
from tests.pictures import headers, truncated_jpeg
from tests.world import World

# Windows of seconds, and a long memory: what happens while the monitor is away must be judged afterwards.
_SETTINGS = {
    "SIGHTLINE_MONITOR_TICK_S": "0.5",
    "SIGHTLINE_MONITOR_CATCH_UP_S": "120",
    "SIGHTLINE_MONITOR_WINDOW_S": "6",
    "SIGHTLINE_MONITOR_CLEAR_AFTER_S": "1",
    "SIGHTLINE_MONITOR_FLOOD_DEAD_LETTERS": "30",
    "SIGHTLINE_MONITOR_ERROR_SHARE": "0",
    "SIGHTLINE_MONITOR_SILENT_AFTER_S": "0",
    "SIGHTLINE_MONITOR_QUALITY_DROP": "0",
}
_BURST = 60
_RULE = "source-flood"


def killed(stage: Stage) -> None:
    """The monitor is killed at any moment of a flood; each flood is told once when it begins and once when it ends."""
    world = stage.world()
    world.start_all()
    monitor = Keeper(world, "monitor", world.pipeline, env=_SETTINGS)
    monitor.running.wait_ready(60)
    published = []
    per_round_s = 4.0
    steady = max(stage.size.frames - _BURST * stage.size.faults, 1)
    wanted: Counter[tuple[str, str]] = Counter()
    with flowing(world, steady, per_round_s * stage.size.faults, good) as flow:
        for number in range(stage.size.faults):
            published += publish(world, _BURST, lambda n, camera=number: _flood(n, camera), start=number * 1000)  # type: ignore[misc]
            wanted += Counter({(f"{BROKEN}/{number}", state): 1 for state in ("firing", "resolved")})
            stage.pause(0.0, per_round_s / 2)
            monitor.kill()
            stage.fault("kill -9 the monitor")
            stage.pause(0.0, per_round_s / 2)
    stage.expect(lambda: wanted.keys() <= _said(world).keys(), 120, "alerts of every flood, begun and ended")
    for (source, state), count in (_said(world) - wanted).items():
        stage.outcome.find(f"double: {_RULE} of {source} is {state} {count} times too often")
    stage.prove(world, flow.published + published)
    stage.expect(monitor.running.ready, 60, "the monitor is ready")


def _flood(number: int, camera: int) -> Frame:
    return truncated_jpeg(number), headers(f"flood{number}", f"{BROKEN}/{camera}")


def _said(world: World) -> Counter[tuple[str, str]]:
    """Count source and state of the floods' alerts, each alert once however often it stands on the topic."""
    found = {alert["alert_id"]: alert for alert in world.alerts()}
    return Counter(
        (alert["source"].partition("|")[2], alert["facts"]["state"])
        for alert in found.values()
        if alert.get("pipeline") == world.pipeline and alert["rule"] == _RULE and "state" in alert.get("facts", {})
    )
