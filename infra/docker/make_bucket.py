"""Make the bucket that SIGHTLINE_OBJECTS_URL names, if it is not there. Safe to repeat."""

import os
import sys
from urllib.parse import urlsplit

from minio import Minio


def main() -> int:
    """Read the settings that sightline reads, and make the bucket."""
    endpoint = urlsplit(os.environ["SIGHTLINE_S3_ENDPOINT_URL"])
    bucket = urlsplit(os.environ["SIGHTLINE_OBJECTS_URL"]).netloc
    client = Minio(
        endpoint.netloc,
        os.environ["AWS_ACCESS_KEY_ID"],
        os.environ["AWS_SECRET_ACCESS_KEY"],
        secure=endpoint.scheme == "https",
        region=os.environ["AWS_REGION"],
    )
    if not client.bucket_exists(bucket):
        client.make_bucket(bucket)
    print(f"bucket {bucket} is there")
    return 0


if __name__ == "__main__":
    sys.exit(main())
