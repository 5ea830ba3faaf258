"""Results in an object store on loopback, whose bucket every worker sees and no disk does."""

from __future__ import annotations

import pytest
from object_store import BUCKET, store
from small_sweep import SWEEP, drivers, files

from command import records, secondlook


@pytest.fixture(scope="module")
def bucket():
    with store() as (objects, environment), pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield objects


def test_a_sweep_in_a_bucket_is_the_one_on_disk_and_no_result_is_written_twice(bucket, plain, sweep):
    run = ("lab", "sweep", sweep, "--workers", 1, "--out", f"s3://{BUCKET}/sweep")
    done = secondlook(*run)
    assert done.code == 0, done.err
    kept = {key.removeprefix("sweep/"): data for key, (data, _) in bucket.items() if not drivers(key)}
    # A figure in a bucket would be looked at by nobody: there is none.
    assert kept == {name: data for name, data in files(plain).items() if not name.startswith("figure.")}
    before = dict(bucket)
    sweep.write_text(SWEEP.replace("seeds = 2", "seeds = 1"))
    assert secondlook(*run).code == 0
    assert {key for key in bucket if bucket[key] != before[key] and not drivers(key)} <= {"sweep/sweep.csv"}


@pytest.mark.parametrize("engine", [(), pytest.param(("--cluster", "local"), marks=pytest.mark.soak)], ids=["", "ray"])
def test_logs_of_shards_in_a_bucket(bucket, tmp_path, engine):
    run = ("eval", "planted", "--model", "secondlook/planted-0.1m", "--limit", 22, "--reply-tokens", 16)
    run += ("--no-diagnose", "--out")
    assert secondlook(*run, tmp_path / "whole").code == 0
    logs = f"s3://{BUCKET}/{tmp_path.name}"
    done = secondlook(*run, tmp_path / "parts", "--shards", 2, "--logs", logs, *engine)
    assert done.code == 0, done.err
    assert records(tmp_path / "parts").equals(records(tmp_path / "whole"))
    assert f"{tmp_path.name}/self/self.eval" in bucket
    assert secondlook("report", tmp_path / "parts", "--logs", logs).code == 0
    assert records(tmp_path / "parts").equals(records(tmp_path / "whole"))


def test_a_bucket_that_is_not_there_is_one_line(bucket, sweep):
    error = secondlook("lab", "sweep", sweep, "--out", "s3://nowhere/x").error
    assert "s3://nowhere/x/" in error
    assert "what was saved before is kept" in error
