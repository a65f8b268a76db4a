"""What every short command does first."""

import logging
from collections.abc import Sequence
from typing import Final

from sightline.runtime.log import configure_logging
from sightline.runtime.settings import Settings, load_settings

# These repeat each failed connection, or narrate; a short command says itself, in one line, what went wrong.
_TALKATIVE: Final = ("librdkafka", "alembic")
# They repeat each failed connection many times a second; we say ourselves, once, what is waited for.
_OF_FAUST: Final = ("aiokafka", "faust", "mode")


def start() -> Settings:
    """Read the settings and send logs to standard error. Raises ConfigurationError."""
    settings = load_settings()
    configure_logging(settings.log)
    _hush(_TALKATIVE, settings)
    return settings


def quieten_faust(settings: Settings) -> None:
    """Hush Faust and what it uses, unless everything is to be heard."""
    _hush(_OF_FAUST, settings)


def _hush(names: Sequence[str], settings: Settings) -> None:
    if settings.log.level != "debug":
        for name in names:
            logging.getLogger(name).setLevel(logging.CRITICAL)
