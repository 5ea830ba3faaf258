"""Results in an object store: a real S3 server on loopback, whose bucket every worker sees and no disk does."""

from __future__ import annotations

import socket
import subprocess
import sys
import time

import boto3
import pytest
from ray_nodes import free_port
from small_sweep import SWEEP, files

from command import finish, records, secondlook, start

BUCKET = "shelf"


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    port = free_port()
    log = tmp_path_factory.mktemp("s3") / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=output, stderr=output
        )
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "OMP_NUM_THREADS": "1",
        }.items():
            patch.setenv(name, value)
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.1)
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        yield client
        client.close()
    server.kill()
    server.wait()


def contents(client, prefix):
    listed = client.list_objects_v2(Bucket=BUCKET, Prefix=prefix)["Contents"]
    return {
        item["Key"].removeprefix(prefix): client.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read()
        for item in listed
    }


def test_a_sweep_in_a_bucket_on_ray_is_the_one_on_disk(bucket, plain, tmp_path):
    (tmp_path / "sweep.toml").write_text(SWEEP)
    run = ("lab", "sweep", "sweep.toml", "--out", f"s3://{BUCKET}/sweep", "--cluster", "local")
    done = finish(start(*run, cwd=tmp_path))
    assert done.code == 0, done.err
    kept = contents(bucket, "sweep/")
    assert {name: data for name, data in kept.items() if not name.startswith(".")} == files(plain)
    (tmp_path / "sweep.toml").write_text(SWEEP.replace("seeds = 2", "seeds = 1"))
    before = {item["Key"]: item["LastModified"] for item in bucket.list_objects_v2(Bucket=BUCKET)["Contents"]}
    assert finish(start(*run[:-2], cwd=tmp_path)).code == 0
    after = {item["Key"]: item["LastModified"] for item in bucket.list_objects_v2(Bucket=BUCKET)["Contents"]}
    assert {key for key in before if before[key] != after[key]} <= {"sweep/sweep.csv", "sweep/.driver.json"}


def test_logs_of_shards_in_a_bucket(bucket, tmp_path):
    run = ("eval", "planted", "--model", "secondlook/planted-0.1m", "--limit", 22, "--reply-tokens", 16)
    run += ("--no-diagnose", "--out")
    assert secondlook(*run, tmp_path / "whole").code == 0
    parts = (*run, "parts", "--cluster", "local", "--shards", 3, "--logs", f"s3://{BUCKET}/logs")
    done = finish(start(*parts, cwd=tmp_path))
    assert done.code == 0, done.err
    assert records(tmp_path / "parts").equals(records(tmp_path / "whole"))
    assert "self/self.eval" in contents(bucket, "logs/")
    again = finish(start("report", "parts", "--logs", f"s3://{BUCKET}/logs", cwd=tmp_path))
    assert again.code == 0, again.err


def test_a_bucket_that_is_not_there_is_one_line(bucket, tmp_path):
    (tmp_path / "sweep.toml").write_text(SWEEP)
    done = finish(start("lab", "sweep", "sweep.toml", "--out", "s3://nowhere/x", cwd=tmp_path))
    assert "s3://nowhere/x/" in done.error
    assert "what was saved before is kept" in done.error
