"""The Kafka side: the consumer loop, the worker, the sink runner, publishing and reading."""
