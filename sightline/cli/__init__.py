"""The command line: composition roots. Each command file holds options and help; work is imported when called.

Imports inside functions are on purpose here: OpenCV, SQLAlchemy and the Kafka client take 0.4 s together, and
`sightline --help`, shell completion and a mistyped option must not wait for them.
"""
