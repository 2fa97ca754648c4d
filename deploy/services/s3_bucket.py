"""Makes the bucket that LIUCUN_TEST_S3_* names, with versioning and object lock, unless it is there."""

from __future__ import annotations

import os

import boto3
from botocore.exceptions import ClientError


def main() -> None:
    """Make it; an existing bucket of ours is left as it is."""
    client = boto3.client(
        "s3",
        endpoint_url=os.environ["LIUCUN_TEST_S3_ENDPOINT"],
        aws_access_key_id=os.environ["LIUCUN_TEST_S3_ACCESS_KEY"],
        aws_secret_access_key=os.environ["LIUCUN_TEST_S3_SECRET_KEY"],
        region_name="us-east-1",
    )
    try:
        client.create_bucket(Bucket=os.environ["LIUCUN_TEST_S3_BUCKET"], ObjectLockEnabledForBucket=True)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
            raise


if __name__ == "__main__":
    main()
