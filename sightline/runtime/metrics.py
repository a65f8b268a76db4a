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
