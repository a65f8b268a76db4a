"""An S3 server, versitygw, over a folder."""

import http
import http.client

from minio import Minio

from infra.local.service import LocalService
from infra.local.tools import versitygw


class S3(LocalService):
    """A real S3 server with one bucket. The keys are for development and must not be used anywhere else."""

    name = "s3"
    bucket = "sightline"
    access_key = "sightline-development"
    secret_key = "sightline-development-secret"  # noqa: S105 - a server on 127.0.0.1, for development
    region = "us-east-1"

    @property
    def endpoint_url(self) -> str:
        """The address for SIGHTLINE_S3_ENDPOINT_URL."""
        return f"http://127.0.0.1:{self.port}"

    def prepare(self) -> None:
        """Make the folders; the server refuses to start without them."""
        for part in ("data", "versions"):
            (self.folder / part).mkdir(exist_ok=True)

    def command(self) -> list[str]:
        """Return the server's command line."""
        address = f"127.0.0.1:{self.port}"
        backend = ["posix", "--versioning-dir", str(self.folder / "versions"), str(self.folder / "data")]
        return [str(versitygw()), "-q", "--port", address, "--health", "/health", *backend]

    def environment(self) -> dict[str, str]:
        """Return the root account's keys, which the server takes from its environment alone."""
        keys = {"ROOT_ACCESS_KEY": self.access_key, "ROOT_SECRET_KEY": self.secret_key}
        return {**keys, "VGW_REGION": self.region}

    def answers(self) -> bool:
        """Whether the health page does."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def settle(self) -> None:
        """Make the bucket."""
        client = self.client()
        if not client.bucket_exists(self.bucket):
            client.make_bucket(self.bucket)

    def client(self) -> Minio:
        """Return a client with the root account's rights."""
        address = f"127.0.0.1:{self.port}"
        return Minio(address, self.access_key, self.secret_key, secure=False, region=self.region)
