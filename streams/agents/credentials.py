"""librdkafka's properties for access, as Faust takes them: its consumer is another client library."""

import ssl
from collections.abc import Mapping
from typing import Final

import faust
from faust.types.auth import CredentialsT

from schemas.errors import ConfigurationError
from sightline.runtime.settings import Scalar

_MECHANISMS: Final = {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}
_WHERE: Final = "kafka.properties"


def credentials(properties: Mapping[str, Scalar]) -> CredentialsT | None:
    """Return what `security.protocol` and its properties ask for; None: nothing.

    Raises ConfigurationError for what Faust cannot do (Kerberos, OAuth) and for files that cannot be read.
    """
    protocol = str(properties.get("security.protocol", "plaintext")).upper()
    context = _context(properties) if protocol in {"SSL", "SASL_SSL"} else None
    if protocol in {"SASL_PLAINTEXT", "SASL_SSL"}:
        mechanism = str(properties.get("sasl.mechanism", properties.get("sasl.mechanisms", "GSSAPI")))
        if mechanism not in _MECHANISMS:
            raise ConfigurationError(_WHERE, f"sasl.mechanism {mechanism!r}: Faust knows {sorted(_MECHANISMS)}")
        return faust.SASLCredentials(
            username=str(properties.get("sasl.username", "")),
            password=str(properties.get("sasl.password", "")),
            mechanism=mechanism,
            ssl_context=context,
        )
    if protocol not in {"SSL", "PLAINTEXT"}:
        raise ConfigurationError(_WHERE, f"security.protocol {protocol!r} is unknown")
    return None if context is None else faust.SSLCredentials(context)


def _context(properties: Mapping[str, Scalar]) -> ssl.SSLContext:
    def text(name: str) -> str | None:
        return None if name not in properties else str(properties[name])

    try:
        context = ssl.create_default_context(cafile=text("ssl.ca.location"), cadata=text("ssl.ca.pem"))
        certificate = text("ssl.certificate.location")
        if certificate is not None:
            context.load_cert_chain(certificate, text("ssl.key.location"), text("ssl.key.password"))
    except OSError as error:
        raise ConfigurationError(_WHERE, f"TLS files cannot be used: {type(error).__name__}") from error
    context.check_hostname = text("ssl.endpoint.identification.algorithm") != "none"
    return context
