"""Where an object is, and how a request for it is signed."""

from __future__ import annotations

import pytest

from llmkube.models.credentials import S3Access
from llmkube.models.errors import SourceError
from llmkube.models.places import ObjectPlace
from llmkube.models.s3 import checked, object_url, signed
from llmkube.models.source import parse


@pytest.mark.parametrize(
    ("source", "access", "expected"),
    [
        ("s3://bucket/a/m.gguf", S3Access(), "https://bucket.s3.us-east-1.amazonaws.com/a/m.gguf"),
        ("s3://bucket/m.gguf", S3Access(region="eu-west-1"), "https://bucket.s3.eu-west-1.amazonaws.com/m.gguf"),
        ("s3://a.b/m.gguf", S3Access(region="eu-west-1"), "https://s3.eu-west-1.amazonaws.com/a.b/m.gguf"),
        ("s3://bkt/m.gguf", S3Access(region="cn-north-1"), "https://bkt.s3.cn-north-1.amazonaws.com.cn/m.gguf"),
        ("s3://bucket/m.gguf", S3Access(endpoint="https://minio:9000/"), "https://minio:9000/bucket/m.gguf"),
        ("s3://bucket/m.gguf", S3Access(endpoint="http://h/store"), "http://h/store/bucket/m.gguf"),
        ("s3://bucket/ä&b=c/m.gguf", S3Access(endpoint="https://h"), "https://h/bucket/%C3%A4%26b%3Dc/m.gguf"),
        ("s3://bucket/a%20b/m.gguf", S3Access(endpoint="https://h"), "https://h/bucket/a%2520b/m.gguf"),
    ],
)
def test_an_object_is_at_its_buckets_host_or_below_an_own_endpoint(
    source: str, access: S3Access, expected: str
) -> None:
    assert object_url(parse(source), access) == expected


@pytest.mark.parametrize(
    "access",
    [
        S3Access(endpoint="minio:9000"),
        S3Access(endpoint="ftp://minio"),
        S3Access(endpoint="https://user:pass@minio"),
        S3Access(endpoint="https://minio?x=1"),
        S3Access(endpoint="https://minio:99999"),
        S3Access(region="evil.example/"),
        S3Access(region="a" * 40),
    ],
)
def test_an_endpoint_or_region_that_is_none_is_refused_and_no_secret_in_it_is_shown(access: S3Access) -> None:
    with pytest.raises(SourceError) as caught:
        object_url(parse("s3://bucket/m.gguf"), access)
    assert caught.value.reason == "InvalidEndpoint"
    assert "pass" not in caught.value.message


def test_a_key_without_its_other_half_is_named() -> None:
    with pytest.raises(SourceError, match="found no AWS_ACCESS_KEY_ID"):
        checked(parse("s3://bucket/m.gguf"), S3Access(secret_key="s3cret"))


def test_the_range_the_host_and_the_sessions_token_are_signed() -> None:
    access = S3Access("key", "secret", "of a role", "eu-west-1")

    headers = signed("https://minio:9000/bucket/m.gguf", {"Range": "bytes=0-9"}, access)

    scope, names, _ = headers["Authorization"].split(", ")
    assert scope.endswith("/eu-west-1/s3/aws4_request")
    assert set(names.removeprefix("SignedHeaders=").split(";")) >= {
        "host",
        "range",
        "x-amz-date",
        "x-amz-security-token",
    }
    assert headers["X-Amz-Security-Token"] == "of a role"
    assert "secret" not in str(headers)


def test_only_the_objects_own_host_sees_a_signature() -> None:
    place = ObjectPlace("https://minio:9000/bucket/m.gguf", S3Access("key", "secret"))

    assert "Authorization" in place.headers("https://minio:9000/elsewhere", {})
    for other in ("https://minio/bucket", "http://minio:9000/bucket", "https://cdn:9000/bucket"):
        assert place.headers(other, {"Range": "bytes=0-9"}) == {"Range": "bytes=0-9"}


def test_a_public_object_is_asked_for_without_a_signature() -> None:
    assert ObjectPlace("https://minio/b/m.gguf", S3Access()).headers("https://minio/b/m.gguf", {}) == {}
