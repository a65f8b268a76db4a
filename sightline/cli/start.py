"""What every short command does first."""

import logging
from typing import Final

from sightline.runtime.log import configure_logging
from sightline.runtime.settings import Settings, load_settings

# These repeat each failed connection, or narrate; a short command says itself, in one line, what went wrong.
_TALKATIVE: Final = ("librdkafka", "alembic")


def start() -> Settings:
    """Read the settings and send logs to standard error. Raises ConfigurationError."""
    settings = load_settings()
    configure_logging(settings.log)
    if settings.log.level != "debug":
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.CRITICAL)
    return settings
