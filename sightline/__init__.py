"""sightline: streaming vision on Kafka."""

__version__ = "0.1.0"
