"""Real Kafka, PostgreSQL and S3 on one machine without Docker, for development and tests from a checkout.

Each service has the same four verbs: `start` (waits until it answers), `stop` (asks, then insists), `kill`
(-9, as an outage does it) and `start` again, on the same port and with the same data.
"""
