"""Kafka's jars, the S3 server and a proxy, fetched once into a cache folder that all checkouts share."""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree as ET

from infra.local.process import require_tool
from schemas.errors import ConfigurationError, OutageError

KAFKA_FOLDER = Path(__file__).resolve().parents[1] / "kafka"
_POM_NAMES = {"m": "http://maven.apache.org/POM/4.0.0"}
VERSITYGW = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
TOXIPROXY = "github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0"

INSTALL_JAVA = "apt-get install default-jre-headless (Java 17 or newer)"
INSTALL_MAVEN = "apt-get install maven"
INSTALL_GO = "apt-get install golang (Go 1.21 or newer)"


def cache_folder() -> Path:
    """Return `$SIGHTLINE_CACHE`, or `~/.cache/sightline`; it exists."""
    folder = Path(os.environ.get("SIGHTLINE_CACHE") or Path.home() / ".cache" / "sightline").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def java() -> str:
    """Return the path of Java, or raise ConfigurationError."""
    return require_tool("java", "Kafka", INSTALL_JAVA)


def kafka_jars() -> Path:
    """Return the folder of the broker's jars; the first call fetches 44 MB with Maven (7 s measured)."""
    pom = KAFKA_FOLDER / "pom.xml"
    jars = cache_folder() / f"kafka-{kafka_version(pom)}"
    with _lock("kafka"):
        if not jars.exists():
            maven = require_tool("mvn", "fetching Kafka", INSTALL_MAVEN)
            with tempfile.TemporaryDirectory(dir=cache_folder()) as scratch:
                fetched = Path(scratch) / "jars"
                target = [f"-DoutputDirectory={fetched}", "-DincludeScope=runtime"]
                _run("kafka", [maven, "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", *target])
                # Renamed only when complete: a fetch that was interrupted must not look like one that was not.
                fetched.rename(jars)
    return jars


def versitygw() -> Path:
    """Return the S3 server's program; the first call builds it with Go (about three minutes)."""
    return _built_with_go("versitygw", VERSITYGW, "the S3 server versitygw: about three minutes")


def toxiproxy() -> Path:
    """Return the program that disturbs connections; the first call builds it with Go (a minute)."""
    return _built_with_go("toxiproxy-server", TOXIPROXY, "toxiproxy: about a minute", made_as="server")


def _built_with_go(program_name: str, module: str, what: str, made_as: str | None = None) -> Path:
    program = cache_folder() / "bin" / program_name
    found = shutil.which(program_name)
    if found is not None and not program.exists():
        return Path(found)
    with _lock(program_name):
        if not program.exists():
            go = require_tool("go", f"building {program_name}", INSTALL_GO)
            print(f"building {what}, once", file=sys.stderr)
            with tempfile.TemporaryDirectory(dir=cache_folder()) as scratch:
                _run(program_name, [go, "install", module], {"GOBIN": scratch, "CGO_ENABLED": "0"})
                program.parent.mkdir(exist_ok=True)
                (Path(scratch) / (made_as or program_name)).rename(program)
    return program


def fetch_all() -> None:
    """Fetch and build everything that is not there. Raises ConfigurationError with all missing tools in one line."""
    missing = []
    for fetch in (java, kafka_jars, versitygw, toxiproxy):
        try:
            fetch()
        except ConfigurationError as error:
            missing.append(str(error))
    if missing:
        raise ConfigurationError("missing tools", "; ".join(missing))


def kafka_version(pom: Path = KAFKA_FOLDER / "pom.xml") -> str:
    """Return the version of Kafka that the Maven file names."""
    document = ET.parse(pom)  # noqa: S314 - our own file
    version = document.findtext("m:properties/m:kafka.version", namespaces=_POM_NAMES)
    if version is None:
        raise OutageError("kafka", f"{pom} names no kafka.version")
    return version


@contextmanager
def _lock(name: str) -> Iterator[None]:
    """Let one process at a time fetch: test runs of two checkouts may start together."""
    with (cache_folder() / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(service: str, argv: list[str], env: dict[str, str] | None = None) -> None:
    done = subprocess.run(argv, env={**os.environ, **(env or {})}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OutageError(service, f"could not be fetched: {(done.stderr or done.stdout)[-1500:]}")
