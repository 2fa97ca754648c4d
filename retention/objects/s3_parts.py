"""Big objects in parts: each is tried again by itself; the last step makes the object, if the name is free."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from retention.objects.s3_retry import again


def put_parts(
    client: Any,
    place: Mapping[str, str],
    data: bytes,
    mark: Mapping[str, str],
    *,
    part_bytes: int,
    retry_seconds: float,
) -> None:
    """Store ``data`` at ``place`` (Bucket and Key) with ``mark`` as its metadata.

    Raises:
        ClientError, BotoCoreError: the first or the last step failed; the parts were given up.
        LiucunError: a part could not be stored within ``retry_seconds``; the parts were given up.
    """
    upload = client.create_multipart_upload(**place, Metadata=dict(mark))["UploadId"]
    try:
        parts = []
        for number, begin in enumerate(range(0, len(data), part_bytes), 1):
            request = {**place, "UploadId": upload, "PartNumber": number, "Body": data[begin : begin + part_bytes]}
            answer = again(
                f"Part {number} of {place['Key']!r} could not be stored",
                lambda request=request: client.upload_part(**request),  # type: ignore[misc]
                seconds=retry_seconds,
            )
            parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        client.complete_multipart_upload(**place, UploadId=upload, MultipartUpload={"Parts": parts}, IfNoneMatch="*")
    except BaseException:
        _give_up(client, place, upload)
        raise


def _give_up(client: Any, place: Mapping[str, str], upload: str) -> None:
    try:
        client.abort_multipart_upload(**place, UploadId=upload)
    except (ClientError, BotoCoreError):
        # The bucket's rule for incomplete uploads takes it; what went wrong first is what is reported.
        return
