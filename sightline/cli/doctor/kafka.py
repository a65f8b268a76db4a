"""Kafka: reachable, topics there and set up as they must be, nothing about to expire unread."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from schemas import topics
from schemas.errors import OutageError
from schemas.pipeline import PipelineDefinition
from sightline.cli.doctor.finding import Finding, away, fail, ok, warn
from sightline.cli.doctor.lag import check_unread
from sightline.cli.doctor.transactions import check_transactions
from sightline.runtime.kafka import make_admin, map_kafka_error
from sightline.runtime.settings import KafkaSettings
from streams.topics import TIMESTAMP_TYPE, ClusterState, TopicState, load_topics_file, read_cluster, topics_of

_CHECK = "kafka"
_TOPICS = "topics"
# What would be lost where these kinds of topics are not compacted.
_COMPACTED = {topics.MODELS: "its models", topics.REPLAYS: "which replays are cancelled"}


def check_kafka(
    settings: KafkaSettings,
    asked: Sequence[PipelineDefinition | str] | None,
    known: Sequence[PipelineDefinition | str],
    timeout_s: float,
) -> Iterator[Finding]:
    """Look at the cluster and at the topics of some pipelines. Never raises for what it finds."""
    admin = make_admin(settings)
    try:
        wanted = topics_of(known if asked is None else asked)
        cluster = read_cluster(admin, wanted, timeout_s)
        yield _check_brokers(cluster)
        yield _check_auto_creation(admin, timeout_s)
        yield from _check_topics(cluster, wanted if asked is not None else _in_use(cluster, known))
        yield from check_transactions(admin, settings, cluster, timeout_s)
        yield from check_unread(admin, settings, cluster, timeout_s)
    except OutageError as error:
        yield away(_CHECK, str(error), f"is a broker at {settings.bootstrap_servers}, and may we talk to it?")


def _in_use(cluster: ClusterState, known: Sequence[PipelineDefinition | str]) -> list[str]:
    """List the topics of pipelines that have any: one of them means all, none means not used here."""
    there = cluster.topics.keys() - topics.SHARED
    return topics_of([pipeline for pipeline in known if not there.isdisjoint(topics_of([pipeline]))])


def _check_brokers(cluster: ClusterState) -> Finding:
    if cluster.away:
        says = f"{cluster.away} of {cluster.brokers} brokers are away"
        return warn(_CHECK, says, "bring them back before another one goes")
    if cluster.brokers > 1:
        return ok(_CHECK, f"reached: {cluster.brokers} brokers")
    advice = "have three brokers where frames must survive a disk"
    return warn(_CHECK, "reached: one broker, so each record exists once", advice)


def _check_auto_creation(admin: AdminClient, timeout_s: float) -> Finding:
    with _kafka_errors():
        broker = next(iter(admin.list_topics(timeout=timeout_s).brokers))
        resource = ConfigResource(ResourceType.BROKER, str(broker))
        answer = admin.describe_configs([resource], request_timeout=timeout_s)[resource].result(timeout_s)
    if answer["auto.create.topics.enable"].value == "false":
        return ok(_CHECK, "topics are not created by themselves")
    says = "a topic is created by whoever asks for it, with the broker's defaults"
    return warn(_CHECK, says, "set auto.create.topics.enable=false on the brokers")


def _check_topics(cluster: ClusterState, wanted: Sequence[str]) -> Iterator[Finding]:
    if wanted == list(topics.SHARED):
        yield fail(_TOPICS, "there are none of any pipeline", "run `sightline topics apply PIPELINE`")
        return
    found = []
    for topic in wanted:
        state = cluster.topics.get(topic)
        if state is None:
            found.append(fail(_TOPICS, f"{topic} is missing", "run `sightline topics apply`"))
        else:
            found += _check_topic(topic, state, cluster.brokers)
    yield from found
    if not found:
        yield ok(_TOPICS, f"{len(wanted)} there, with their limits, times and copies as they must be")


def _check_topic(topic: str, state: TopicState, brokers: int) -> Iterator[Finding]:
    """Compare with what the data path relies on, not with the topics file: its other numbers are a matter of choice."""
    least = load_topics_file(None).rules(topic).max_message_bytes
    limit = int(state.settings["max.message.bytes"])
    if limit < least:
        says = f"{topic} takes messages up to {limit} bytes, {least} are needed"
        yield fail(_TOPICS, says, "run `sightline topics apply`")
    if state.settings["message.timestamp.type"] != TIMESTAMP_TYPE:
        says = f"{topic} keeps the times that clients say"
        yield fail(_TOPICS, says, f"run `sightline topics apply`: it sets {TIMESTAMP_TYPE}")
    yield from _check_cleanup(topic, state)
    yield from _check_copies(topic, state, brokers)


def _check_cleanup(topic: str, state: TopicState) -> Iterator[Finding]:
    policy = state.settings["cleanup.policy"]
    lost = _COMPACTED.get(topic.partition(".")[0])
    if lost is not None:
        if policy != "compact":
            says = f"{topic} is not compacted: after some time a worker would not find {lost}"
            yield fail(_TOPICS, says, "run `sightline topics apply`")
    elif "compact" in policy:
        yield fail(_TOPICS, f"{topic} is compacted: newer records of a camera remove older ones", "use cleanup: delete")


def _check_copies(topic: str, state: TopicState, brokers: int) -> Iterator[Finding]:
    in_sync = int(state.settings["min.insync.replicas"])
    if in_sync > state.replication:
        says = f"{topic} wants {in_sync} copies in sync and has {state.replication}: nothing can be published"
        yield fail(_TOPICS, says, "lower min_insync_replicas in the topics file, and apply it")
    elif state.replication == 1:
        if brokers > 1:
            yield warn(_TOPICS, f"{topic} exists once: a lost disk loses it", "raise its replication")
    elif in_sync == 1:
        says = f"{topic} acknowledges what one broker alone has"
        yield warn(_TOPICS, says, "set min_insync_replicas to 2, and apply it")
    elif in_sync == state.replication:
        says = f"{topic} cannot be published to while one broker is away"
        yield warn(_TOPICS, says, "let min_insync_replicas be one less than the replication")


@contextmanager
def _kafka_errors() -> Iterator[None]:
    try:
        yield
    except KafkaException as error:
        raise map_kafka_error(error.args[0]) from error
