"""Empties the buckets that are deleted with their stack."""

from __future__ import annotations

from botocore.client import BaseClient

from deployment.cloudformation import aws_errors_about


def empty(s3: BaseClient, bucket: str) -> None:
    """Delete every object of a bucket, which may be gone already. Raises `DeploymentError` if AWS refuses."""
    with aws_errors_about(f"emptying {bucket}"):
        try:
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
                keys = [{"Key": listed["Key"]} for listed in page.get("Contents", [])]
                if keys:
                    s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
        except s3.exceptions.NoSuchBucket:
            pass  # an earlier deletion of the stack has deleted it
