"""What every command does first."""

from sightline.runtime.log import configure_logging
from sightline.runtime.settings import Settings, load_settings


def start() -> Settings:
    """Read the settings and send logs to standard error. Raises ConfigurationError."""
    settings = load_settings()
    configure_logging(settings.log)
    return settings
