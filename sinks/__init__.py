"""Where results end up: one folder a sink, one protocol for all of them. No Kafka."""
