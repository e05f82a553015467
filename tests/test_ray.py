"""A Ray cluster computes the file of one machine, also when it loses a node on the way."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from commensal._ray import RayPool
from tests.commands import ROOT, run

ray = pytest.importorskip("ray", reason="Ray is not installed: the extra cluster brings it")

SWEEP = (
    "sweep", "regression", "--alpha", "0.5", "--beta", "0:1:60", "--models", "2",
    "--dim", "2", "--rank", "1",
)  # fmt: skip
# a node that is killed is known to be lost after some seconds, not after half a minute
QUICK = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 1000,
    "health_check_failure_threshold": 10,
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two node processes on this machine, each with one core."""
    logging.getLogger("ray").setLevel(logging.ERROR)
    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "node_ip_address": "127.0.0.1"}
    head = node | {"include_dashboard": False, "_system_config": QUICK}
    with pytest.MonkeyPatch.context() as environment, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ray.cluster_utils import Cluster

        # what the workers import must be this copy of the project; nothing is told to Ray's makers
        environment.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
        environment.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # Ray takes 127.0.0.1 for another address of this machine, at which nothing of it listens
        environment.setattr("ray._private.services.get_node_ip_address", lambda *_: "127.0.0.1")
        try:
            made = Cluster(initialize_head=True, head_node_args=head)
            made.add_node(**node)
        except Exception as error:
            if "timed out during startup" not in str(error):
                raise
            pytest.skip("Ray's nodes do not start within 30 seconds: this machine is too busy")
        yield made
        made.shutdown()


def working_for(node: Any) -> bool:
    """Whether a worker of a node is in the middle of a part: Ray puts the task in its title."""
    raylet = node.all_processes["raylet"][0].process.pid
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            title = (status.parent / "cmdline").read_text()
        except (OSError, ValueError):
            continue
        if parent == raylet and title.startswith("ray::compute_part"):
            return True
    return False


@pytest.mark.filterwarnings("default")
@pytest.mark.usefixtures("compiled_as_for_users")  # as on the nodes
def test_a_node_is_killed_and_the_file_is_that_of_one_machine(
    cluster: Any, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, capsys, *SWEEP, "--out", "whole.nc")[0] == 0
    (other,) = cluster.worker_nodes
    killed: list[int] = []

    def kill() -> None:
        end = time.monotonic() + 200
        while time.monotonic() < end and not working_for(other):
            time.sleep(0.01)
        cluster.remove_node(other, allow_graceful=False)
        killed.append(len(list(Path("parts.nc.partial").glob("*.npz"))))

    killer = threading.Thread(target=kill)
    killer.start()
    code, out, err = run(monkeypatch, capsys, *SWEEP, "--out", "parts.nc", "--ray", cluster.address)
    killer.join()
    assert code == 0, err
    assert "wrote parts.nc" in out
    assert killed[0] < 5  # of five parts some were still to do
    assert Path("parts.nc").read_bytes() == Path("whole.nc").read_bytes()


@pytest.mark.filterwarnings("default")
def test_an_error_of_a_task_is_the_error_that_it_raised(cluster: Any) -> None:
    with RayPool(cluster.address) as pool:
        assert pool.submit(divmod, 7, 2).result() == (3, 1)
        with pytest.raises(ValueError, match="invalid literal") as told:
            pool.submit(int, "x").result()
    assert len(str(told.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("stand_in", "told"),
    [
        (None, "--ray needs Ray: pip install 'commensal[cluster]'"),
        (SimpleNamespace(init=lambda *_, **__: int("x")), "--ray: no Ray cluster at 'auto'"),
    ],
)
def test_no_ray_and_no_cluster_are_one_line(
    stand_in: Any, told: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "ray", stand_in)
    code, _, err = run(monkeypatch, capsys, *SWEEP, "--out", "parts.nc", "--ray", "auto")
    assert code == 2
    assert told in err
    assert len(err.splitlines()) == 1
