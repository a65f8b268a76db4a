"""Every metric, declared in one place with its labels and meaning; the page in `docs/` is made from this."""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_PARTITION = ("group", "topic", "partition")

RECORDS_READ = Counter("sightline_records_read", "Records taken from Kafka.", ("group", "topic"))
BYTES_READ = Counter("sightline_bytes_read", "Bytes of values taken from Kafka.", ("group", "topic"))
RECORDS_FINISHED = Counter(
    "sightline_records_finished", "Records of which everything they gave rise to is acknowledged.", ("group", "topic")
)
RESULTS = Counter("sightline_results", "Results made, by verdict.", ("pipeline", "verdict"))
DEAD_LETTERS = Counter("sightline_dead_letters", "Inputs that failed.", ("pipeline", "stage", "code"))
FRAMES_SKIPPED = Counter(
    "sightline_frames_skipped",
    "Results of kind `skipped`, by reason: deadline, newest-first, thinned, gate, replay-cancelled.",
    ("pipeline", "reason"),
)
FLOODS = Counter(
    "sightline_floods",
    "Floods of dead letters of one code: `few_sources` go on, a `common_cause` halts.",
    ("pipeline", "kind"),
)
HALTED = Gauge("sightline_halted", "1 while a flood of dead letters with a common cause halts work.", ("pipeline",))
WORKER_DEATHS = Counter(
    "sightline_worker_deaths",
    "Times that the process which decodes died and was started anew, by signal or limit.",
    ("cause",),
)
STAGE_SECONDS = Histogram(
    "sightline_stage_seconds", "Time of one stage for one frame.", ("pipeline", "stage"), buckets=_SECONDS
)
LATENCY_SECONDS = Histogram(
    "sightline_latency_seconds",
    "From the frame's append time to the result being made.",
    ("pipeline",),
    buckets=_SECONDS,
)
BATCH_RECORDS = Histogram(
    "sightline_batch_records", "Records in a batch.", ("group",), buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 500)
)
BATCH_SECONDS = Histogram(
    "sightline_batch_seconds", "Time of one batch, by step (prepare, deliver).", ("group", "step"), buckets=_SECONDS
)
CONSUMER_LAG = Gauge("sightline_consumer_lag", "Log end minus position.", _PARTITION)
CONSUMER_LAG_SECONDS = Gauge("sightline_consumer_lag_seconds", "Age of the oldest unread record.", _PARTITION)
INFLIGHT_BYTES = Gauge("sightline_inflight_bytes", "Encoded bytes taken and not finished.", ("group",))
INFLIGHT_RECORDS = Gauge("sightline_inflight_records", "Records taken and not finished.", ("group",))
PAUSED = Gauge("sightline_paused", "1 while consumption is paused because something must be waited for.", ("group",))
OUTAGES = Counter("sightline_outages", "Tries that met a service away or set up wrongly.", ("group", "service"))
WAITING = Gauge("sightline_waiting", "1 while a service is waited for.", ("group", "service"))
REBALANCES = Counter("sightline_rebalances", "Partitions assigned, revoked or lost, by kind.", ("group", "kind"))
PARTITIONS = Gauge("sightline_partitions", "Partitions assigned to this process.", ("group",))
EVICTIONS = Counter("sightline_evictions", "Times that max.poll.interval.ms was overrun.", ("group",))
COMMIT_ERRORS = Counter("sightline_commit_errors", "Offset commits that failed.", ("group", "code"))
RECORDS_HANDED_BACK = Counter(
    "sightline_records_handed_back", "Records in hand when their partition went to another member.", ("group",)
)
OFFSETS_LOST = Counter("sightline_offsets_lost", "Offsets that retention took before they were read.", _PARTITION)
MESSAGES_PUBLISHED = Counter("sightline_messages_published", "Messages that the broker acknowledged.", ("topic",))
PUBLISH_RETRIES = Counter(
    "sightline_publish_retries", "Messages published again after a failed delivery.", ("topic", "code")
)
TRANSACTIONS = Counter(
    "sightline_transactions",
    "Transactions of exactly-once delivery: committed, aborted, or dropped together with their producer.",
    ("group", "outcome"),
)
PUBLISH_WAITING = Gauge("sightline_publish_waiting", "Messages handed to the producer and not acknowledged.", ())
ROWS_STORED = Counter("sightline_rows_stored", "Records that a sink stored for the first time.", ("sink", "pipeline"))
ROWS_REPEATED = Counter("sightline_rows_repeated", "Records that a sink had already.", ("sink", "pipeline"))
ROWS_DIFFERING = Counter(
    "sightline_rows_differing", "Repeats that differed from what is stored; the first stays.", ("sink", "pipeline")
)
EVENT_IDS_REUSED = Counter(
    "sightline_event_ids_reused", "Results whose event id its source had used for another frame.", ("pipeline",)
)
SHADOW_DIFFERENCES = Counter(
    "sightline_shadow_differences", "Frames on which a shadow model differs from the live one.", ("pipeline", "kind")
)
MODEL_LOADED = Gauge(
    "sightline_model_loaded",
    "1 for each model that is loaded; `side` is live, canary or shadow.",
    ("pipeline", "role", "side", "name", "version", "digest"),
)
MODELS_REFUSED = Counter(
    "sightline_models_refused", "Models that cannot be used, by code.", ("pipeline", "role", "code")
)
MODEL_LOAD_SECONDS = Histogram(
    "sightline_model_load_seconds",
    "From an activation to its models being in force, downloads and warm-up included.",
    ("pipeline", "role"),
    buckets=_SECONDS,
)
MODEL_WAITING = Gauge("sightline_model_waiting", "1 while an activation is not carried out yet.", ("pipeline", "role"))
INFERENCE_PROVIDER = Gauge(
    "sightline_inference_provider", "1 for what really runs the live model of a role.", ("pipeline", "role", "provider")
)
ACTIVATIONS_MALFORMED = Counter(
    "sightline_activations_malformed", "Activations that cannot be read; the one before stays.", ("pipeline", "role")
)
ALERTS = Counter("sightline_alerts", "Alerts raised.", ("rule",))
RESULT_CACHE = Counter(
    "sightline_result_cache",
    "Questions to the result cache: hit, miss, slow (given up after 50 ms), failed (or not asked, having failed). "
    "Answers not kept: failed, dropped.",
    ("pipeline", "outcome"),
)
RESULT_CACHE_BYTES = Gauge("sightline_result_cache_bytes", "Bytes that the result cache in memory takes.", ())


MONITOR_RECORDS = Counter(
    "sightline_monitor_records",
    "Records that the monitor looked at: result, dead_letter, left_out (shadow, promoted, replayed), unreadable.",
    ("pipeline", "kind"),
)
MONITOR_BEHIND_SECONDS = Gauge(
    "sightline_monitor_behind_seconds", "Age of the moment that the monitor judged last.", ("pipeline",)
)
MONITOR_STARTS = Counter(
    "sightline_monitor_starts",
    "Times that the monitor began to rebuild its state, by what ended it before.",
    ("pipeline", "after"),
)
MONITOR_SOURCES = Gauge("sightline_monitor_sources", "Sources that the monitor keeps.", ("pipeline",))
MONITOR_SOURCES_FORGOTTEN = Gauge(
    "sightline_monitor_sources_forgotten", "Sources given up because there were too many.", ("pipeline",)
)
MONITOR_FIRING = Gauge("sightline_monitor_firing", "Alerts of the monitor that are on.", ("pipeline", "rule"))
MONITOR_RATE = Gauge(
    "sightline_monitor_rate", "Frames in a second, over the window: answered, failed.", ("pipeline", "kind")
)
MONITOR_ACCEPTANCE = Gauge(
    "sightline_monitor_acceptance", "Share of frames accepted, over its window; NaN: none decided.", ("pipeline",)
)
MONITOR_SCORE = Gauge("sightline_monitor_score", "Mean quality score, over its window; NaN: no scores.", ("pipeline",))
REPLAY_COMMANDS = Counter(
    "sightline_replay_commands",
    "Commands for replays: done, refused, repeated (nothing is done), reused (another command had the id), unreadable "
    "(nobody can be answered).",
    ("action", "outcome"),
)
REPLAY_COMMANDS_WAITING = Gauge(
    "sightline_replay_commands_waiting", "Commands for replays that nobody was answered yet, at most 100.", ()
)
REPLAY_RUNS = Gauge("sightline_replay_runs", "Replays whose frames this process is sending.", ())
REPLAY_AGENT_STARTS = Counter(
    "sightline_replay_agent_starts",
    "Times that the agent for replay commands began to read, by what ended it before.",
    ("after",),
)
REPLAY_AGENT_BEHIND_SECONDS = Gauge(
    "sightline_replay_agent_behind_seconds", "Age of the moment up to which all commands are written down.", ()
)


def forget_partition(group: str, topic: str, partition: int) -> None:
    """Drop the gauges of a partition that is no longer ours: a stale lag would alarm somebody."""
    for gauge in (CONSUMER_LAG, CONSUMER_LAG_SECONDS):
        gauge.remove_by_labels({"group": group, "topic": topic, "partition": str(partition)})


def metric_names() -> list[tuple[str, str, str, tuple[str, ...]]]:
    """List name, type, meaning and labels of every metric of ours, as a scrape shows the name."""
    listed = []
    for value in globals().values():
        if isinstance(value, Counter | Gauge | Histogram):
            suffix = "_total" if isinstance(value, Counter) else ""
            kind = type(value).__name__.lower()
            listed.append((value._name + suffix, kind, value._documentation, tuple(value._labelnames)))  # noqa: SLF001 -- the library has no public way to ask
    return sorted(listed)
