"""What every command does first."""

from sightline.runtime.settings import Settings


def start() -> Settings:
    """Read the settings and send logs to standard error. Raises ConfigurationError."""
    from sightline.runtime.log import configure_logging
    from sightline.runtime.settings import load_settings

    settings = load_settings()
    configure_logging(settings.log)
    return settings
