"""Runs into buckets of real servers, which die, answer late, cut, and forget who may write. ``make test-stores``."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import strategies
import yaml
from properties.runs_help import pipeline, write_tiff
from stores import test_stores
from stores.servers import (
    ACCOUNT,
    ACCOUNT_KEY,
    KEY,
    Proxy,
    azurite,
    environment,
    make_bucket,
    make_container,
    moto,
    s3rver,
)

from tileconv.stores import objects
from tileconv.stores.location import Access, Location, here
from tileconv.stores.objects import ObjectStore

pytestmark = [
    pytest.mark.skipif(not os.environ.get("TILECONV_STORES"), reason="make test-stores"),
    pytest.mark.timeout(1200),
]
STAGES = [{"op": "gaussian", "sigma": 1}, {"op": "sobel", "border": "wrap"}]
SECRET = "HUSH" * 10
URL = "s3://bucket/out/o.zarr"
CONTRACT = [name for name in vars(test_stores) if name.startswith("test_")]


@pytest.fixture(scope="module")
def server():
    with moto() as url, Proxy(url, serial=True) as proxy:
        yield proxy.url


@pytest.fixture
def bucket(server, monkeypatch):
    """Yield the URL of a moto server with an empty bucket, which this process finds too."""
    name = f"b{time.time_ns()}"
    make_bucket(server, name)
    for variable, value in environment(server, AWS_SECRET_ACCESS_KEY=SECRET).items():
        monkeypatch.setenv(variable, value)
    objects._client.cache_clear()
    return f"s3://{name}"


@pytest.fixture
def ignoring(tmp_path, monkeypatch):
    """An s3rver, which puts objects whatever the conditions, and lists no folders below a prefix."""
    with s3rver(tmp_path / "kept") as url:
        for variable, value in environment(url).items():
            monkeypatch.setenv(variable, value)
        yield


@pytest.fixture
def loaded(server, bucket):
    """Yield a proxy before the server, which this process asks without it."""
    with Proxy(server) as proxy:
        yield proxy


def write(folder, url, stages=STAGES, side=256, **run):
    write_tiff(folder / "a.tif", strategies.pixels((side, side), "uint16", 0), tile=64)
    run = {"tile": 64, "workers": 2} | run
    spec = pipeline(stages, input_={"path": "a.tif"}, output={"path": url, "chunks": 64}, run=run)
    (folder / "p.yaml").write_text(yaml.safe_dump(spec))


def start(folder, *words, code="", **variables):
    command = [sys.executable, "-c", f"import sys; {code}\nfrom tileconv.__main__ import main; sys.exit(main())"]
    return subprocess.Popen(
        [*command, *words], cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, **variables},
    )  # fmt: skip


def call(folder, *words, **variables):
    with start(folder, *words, **variables) as process:
        out, err = process.communicate()
    assert "Traceback" not in err, err
    return process.returncode, out, err


def expected(folder):
    """Return the objects of the same run on a disk."""
    assert call(folder, "run", "p.yaml", "-o", "local.zarr")[0] == 0
    root = folder / "local.zarr"
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def stored(url):
    store = here(url).store()
    return {key: store.read_all(key) for key in store.list()}


def chunks(url):
    return sum("c/" in key for key in here(url).store().list())


def until(process, condition):
    while process.poll() is None and not condition():
        time.sleep(0.02)
    assert process.poll() is None, process.communicate()


@pytest.mark.parametrize("name", ["empty", "other_bytes", "fails", "lists", "deleting", "created_once", "threads"])
def test_the_contract_of_stores(bucket, name):
    (test,) = [one for one in CONTRACT if name in one]
    getattr(test_stores, test)(ObjectStore(f"{bucket}/p"))


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_the_same_bytes_and_every_command(tmp_path, bucket, executor):
    url = f"{bucket}/out/o.zarr"
    write(tmp_path, url, executor=executor)
    assert call(tmp_path, "run", "p.yaml")[0] == 0
    assert stored(url) == expected(tmp_path)
    assert call(tmp_path, "status", url)[0] == 0
    assert call(tmp_path, "verify", url)[0] == 0
    assert call(tmp_path, "picture", url, "-o", "x.png")[0] == 0
    store = here(url).store()
    store.write("0/c/1/1", [[b"damaged"]])
    store.delete("0/c/2/2")
    assert call(tmp_path, "verify", url)[0] == 4
    assert call(tmp_path, "run", "p.yaml", "--repair")[0] == 0
    assert stored(url) == expected(tmp_path)
    assert call(tmp_path, "rerun", url)[0] == 0
    assert {k: v for k, v in stored(f"{bucket}/out/o.rerun.ome.zarr").items() if "/c/" in k} == {
        k: v for k, v in stored(url).items() if "/c/" in k
    }


def test_from_a_bucket_to_a_bucket_through_a_scheduler(tmp_path, bucket):
    first, second = f"{bucket}/first.ome.zarr", f"{bucket}/second.ome.zarr"
    write(tmp_path, first)
    assert call(tmp_path, "run", "p.yaml")[0] == 0
    address = "tcp://127.0.0.1:18786"
    dask = Path(sys.executable).with_name("dask")
    with contextlib.ExitStack() as stack:
        for words in (["scheduler", "--port", "18786", "--no-dashboard"], ["worker", address, "--nthreads", "2"]):
            process = stack.enter_context(
                subprocess.Popen([dask, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            )
            stack.callback(process.kill)
        assert call(tmp_path, "run", "p.yaml", "-i", first, "-o", second, "--set", f"run.executor={address}")[0] == 0
    assert call(tmp_path, "run", "p.yaml", "-i", first, "-o", "local2.zarr")[0] == 0
    root = tmp_path / "local2.zarr"
    assert stored(second) == {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_a_batch_of_two_buckets(tmp_path, server, bucket, monkeypatch):
    """Killed and given again; status and verify are told by the pipeline alone how to reach the server."""
    other, access = f"{bucket}out", Access(endpoint=server, region="us-east-1")
    make_bucket(server, other.removeprefix("s3://"))
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.delenv("AWS_REGION")
    raw = Location(f"{bucket}/raw", access).store()
    for number, side in enumerate((300, 200, 260)):
        file = tmp_path / f"z{number}.tif"
        write_tiff(file, strategies.pixels((side, side + 7), "uint16", number), tile=64)
        raw.write(file.name, [[file.read_bytes()]])
    storage = {"endpoint": server, "region": "us-east-1"}
    words = {"path": f"{bucket}/raw/z*.tif", "storage": dict(storage)}
    output = {"path": f"{other}/results/{{stem}}.zarr", "storage": storage, "chunks": 64}
    spec = pipeline(STAGES, input_=words, output=output, run={"tile": 64, "workers": 2})
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(spec))
    local = {"input": {"path": "z*.tif"}, "output": {"path": "local/{stem}.zarr", "chunks": 64}}
    (tmp_path / "local.yaml").write_text(yaml.safe_dump(spec | local))
    results = Location(f"{other}/results", access).store()
    with start(tmp_path, "run", "p.yaml") as process:
        until(process, lambda: sum("c/" in key for key in results.list()) >= 20)
        process.kill()
    assert call(tmp_path, "status", "p.yaml")[0] == 3
    code, out, err = call(tmp_path, "run", "p.yaml", "--json")
    assert code == 0, out + err
    assert call(tmp_path, "run", "local.yaml")[0] == 0
    for number in range(3):
        root = tmp_path / "local" / f"z{number}.zarr"
        made = {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if "c" in p.parts and p.is_file()}
        assert made == {key: results.read_all(f"z{number}.zarr/{key}") for key in made}
    for words in (["status"], ["verify"], ["verify", "--recompute", "2"]):
        assert call(tmp_path, *words, "p.yaml")[0] == 0
        folder = [*words, f"{other}/results"]
        assert call(tmp_path, *folder, AWS_ENDPOINT_URL=server, AWS_REGION="us-east-1")[0] == 0
    assert '"already there": 3' in call(tmp_path, "run", "p.yaml", "--json")[1]


def test_killed_and_begun_again_at_once(tmp_path, bucket):
    """The lease of a process of this machine that ended holds nobody up."""
    url = f"{bucket}/o.zarr"
    write(tmp_path, url, side=512)
    for share in (10, 70):
        with start(tmp_path, "run", "p.yaml") as process:
            until(process, lambda share=share: chunks(url) + chunks(f"{url}.pass0") >= share)
            process.kill()
    code, _, err = call(tmp_path, "run", "p.yaml")
    assert code == 0
    assert "resuming: kept" in err
    assert stored(url) == expected(tmp_path)


def test_two_clients_for_one_output(tmp_path, bucket):
    url = f"{bucket}/o.zarr"
    write(tmp_path, url)
    with start(tmp_path, "run", "p.yaml") as first:
        until(first, lambda: here(f"{url}.tileconv").store().stat("plan.json") is not None)
        code, _, err = call(tmp_path, "run", "p.yaml")
        assert code == 1
        assert f"is being written by another run, process {first.pid} on" in err
        assert first.wait() == 0
    assert stored(url) == expected(tmp_path)


def test_a_client_that_was_thought_dead_wakes(tmp_path, bucket):
    """It is stopped until its lease has ended and another has begun anew; then it goes on, and changes nothing."""
    url = f"{bucket}/o.zarr"
    short = "import tileconv.record.lease as l; l.EXPIRES_S, l.BEAT_S, l._process = 4.0, 1.0, lambda pid: ''"
    write(tmp_path, url, side=512)
    with start(tmp_path, "run", "p.yaml", code=short) as first:
        until(first, lambda: chunks(f"{url}.pass0") >= 4)
        first.send_signal(signal.SIGSTOP)
        with start(tmp_path, "run", "p.yaml", "--overwrite", "--set", "stages.0.sigma=2", code=short) as second:
            until(second, lambda: chunks(f"{url}.pass0") >= 12)
            first.send_signal(signal.SIGCONT)
            _, err = first.communicate()
            out, said = second.communicate()
            assert second.returncode == 0, out + said
    assert first.returncode != 0
    assert "is not written by this run any more" in err
    assert call(tmp_path, "verify", url)[0] == 0
    write(tmp_path, url, [{"op": "gaussian", "sigma": 2}, STAGES[1]], side=512)
    assert stored(url) == expected(tmp_path)


def test_no_secret_is_told(tmp_path, bucket):
    """Not by what is stored, crosses, or is said, also where the server refuses it."""
    url = f"{bucket}/o.zarr"
    write(tmp_path, url, executor="processes")
    said = [call(tmp_path, "run", "p.yaml", "--log", "log.txt"), call(tmp_path, "plan", "p.yaml", "--json")]
    said += [call(tmp_path, "status", url, "--json"), call(tmp_path, "verify", url)]
    said += [call(tmp_path, "run", "p.yaml", "-o", "s3://absent/o.zarr"), call(tmp_path, "rerun", url)]
    told = [str(said).encode(), *stored(bucket).values(), (tmp_path / "p.yaml").read_bytes()]
    told += [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    import pickle

    store = here(url).store()
    store.names()
    told.append(pickle.dumps(store))
    assert not any(SECRET.encode() in one for one in told)


@pytest.fixture
def container(tmp_path, monkeypatch):
    """Yield the URL of a container of an Azurite, and how it is reached; credentials are in the environment."""
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", ACCOUNT_KEY)
    with azurite(tmp_path / "kept") as url:
        make_container(url, "box")
        objects._client.cache_clear()
        yield "az://box", Access(endpoint=url)


@pytest.mark.parametrize("name", ["empty", "other_bytes", "fails", "lists", "deleting", "created_once", "threads"])
def test_the_contract_of_stores_on_azure(container, name):
    (test,) = [one for one in CONTRACT if name in one]
    getattr(test_stores, test)(ObjectStore(f"{container[0]}/p", container[1]))


def test_a_run_into_azure(tmp_path, container):
    """Under a lease: killed, resumed, damaged, verified, mended, read again as an input."""
    (url, access), spec = container, tmp_path / "p.yaml"
    write(tmp_path, "local.zarr", side=512)
    whole = expected(tmp_path)
    words = yaml.safe_load(spec.read_text())
    words["output"] |= {"path": f"{url}/o.zarr", "storage": {"endpoint": access.endpoint}}
    spec.write_text(yaml.safe_dump(words))
    store = Location(f"{url}/o.zarr", access).store()
    with start(tmp_path, "run", "p.yaml") as process:
        until(process, lambda: sum("c/" in key for key in Location(url, access).store().list()) >= 20)
        process.kill()
    code, _, err = call(tmp_path, "run", "p.yaml")
    assert (code, "resuming: kept" in err) == (0, True), err
    assert {key: store.read_all(key) for key in store.list()} == whole
    store.write("0/c/1/1", [[b"damaged"]])
    assert call(tmp_path, "verify", "p.yaml")[0] == 4
    assert call(tmp_path, "run", "p.yaml", "--repair")[0] == 0
    assert call(tmp_path, "status", "p.yaml")[0] == 0
    assert {key: store.read_all(key) for key in store.list()} == whole
    again = words | {"input": words["output"] | {"chunks": None}, "output": {"path": "again.zarr", "chunks": 64}}
    del again["input"]["chunks"]
    spec.write_text(yaml.safe_dump(again))
    assert call(tmp_path, "run", "p.yaml")[0] == 0


def test_a_server_that_ignores_conditions_is_refused(tmp_path, ignoring):
    write(tmp_path, URL)
    code, _, err = call(tmp_path, "run", "p.yaml")
    assert code == 1
    assert "does not honour conditional requests" in err
    assert "run.lock: none" in err


@pytest.mark.parametrize("fault", ["busy", "cut", "flip_put", "gone", "expired"])
def test_faults(tmp_path, bucket, loaded, fault):
    """Finished by the same command, given again where it ended: the same bytes."""
    url = f"{bucket}/o.zarr"
    write(tmp_path, url)
    whole, variables = expected(tmp_path), {"AWS_ENDPOINT_URL": loaded.url}
    if fault == "expired":
        variables |= profile(tmp_path, "OLD")
        loaded.expired = {"OLD"}
        code, _, err = call(tmp_path, "run", "p.yaml", **variables)
        assert (code, "the credentials have expired" in err) == (1, True), err
        loaded.expired = set()
        profile(tmp_path, KEY)
    elif fault == "gone":
        threading.Timer(60, lambda: setattr(loaded, "gone", False)).start()
    else:
        setattr(loaded, fault, {"busy": 0.3, "cut": 0.1, "flip_put": 0.1}[fault])
    runs, code = 0, 1
    while code and runs < 10:
        with start(tmp_path, "run", "p.yaml", **variables) as process:
            if fault in {"gone", "expired"} and not runs:
                until(process, lambda: chunks(f"{url}.pass0") >= 4)
                loaded.gone = fault == "gone"
                if fault == "expired":
                    loaded.expired = {KEY}
                    time.sleep(1)
                    loaded.expired = set()
            _, err = process.communicate()
        assert "Traceback" not in err, err
        runs, code = runs + 1, process.returncode
    print(fault, "runs", runs, loaded.seen)  # noqa: T201
    assert code == 0, err
    assert stored(url) == whole
    assert loaded.seen[{"flip_put": "flipped"}.get(fault, fault)]


def profile(folder, key):
    """Write a profile of AWS with *key*; return the variables that lead to it."""
    file = folder / "credentials"
    file.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = S3RVER\n")
    return {"AWS_SHARED_CREDENTIALS_FILE": str(file), "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
