"""The store of pictures in an S3-compatible service, as far as it is configuration."""

from tieba.pictures import BucketStore


def test_a_bucket_is_reached_where_the_variables_say(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://store.example:9000")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    store = BucketStore("s3://bucket/folder")
    url = store.s3_client.generate_presigned_url(
        "put_object", {"Bucket": store.bucket, "Key": f"{store.prefix}files/ab/c.png"}
    )
    assert url.startswith("https://store.example:9000/bucket/folder/files/ab/c.png?")
    assert "key" in url
    assert BucketStore("s3://bucket").prefix == ""
