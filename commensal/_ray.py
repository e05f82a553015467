"""Compute on a Ray cluster, as on the processes of a pool."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

_RETRIES = 16  # of a task whose node or process is lost


class RayPool:
    """Pool of a Ray cluster's processes, which computes functions as an executor does.

    Parameters
    ----------
    address : str
        Address of the cluster, ``auto`` for the one that runs on this machine.
    cpus, gpus : float
        Cores and GPUs that each task asks for.

    Raises
    ------
    ValueError
        If Ray is not installed, or there is no cluster.
    """

    def __init__(self, address: str, cpus: float | int = 1, gpus: float | int = 0) -> None:
        self._ray = _imported()
        stop = signal.getsignal(signal.SIGTERM)
        try:
            self._ray.init(address, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            told = str(error).strip().splitlines()[:1]
            raise ValueError(f"--ray: no Ray cluster at {address!r}: {''.join(told)}") from None
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, stop)  # which Ray has taken
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        most = {name: max(node.get(name, 0) for node in nodes) for name in ("CPU", "GPU")}
        self._asked = {  # what no node has would be waited for without an end
            "num_cpus": min(cpus, most["CPU"]),
            "num_gpus": min(gpus, most["GPU"]),
            "max_retries": _RETRIES,
        }
        # a process that has ended lets go of the GPU's memory
        once = {"max_calls": 1} if self._asked["num_gpus"] else {"max_calls": 0}
        self._remote = self._ray.remote(**once)(_call)

    def submit(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        """Compute ``function(*args)`` on some node; on another one, if that is lost.

        The future raises what the function raised, and ChildProcessError if a node or a process is
        lost again and again.
        """
        told: Future[Any] = Future()
        task = self._remote.options(name=function.__name__, **self._asked)
        future = task.remote(function, *args).future()
        future.add_done_callback(lambda done: self._tell(done, told))
        return told

    def _tell(self, done: Future[Any], told: Future[Any]) -> None:
        error = done.exception()
        if error is None:
            told.set_result(done.result())
        elif isinstance(error, self._ray.exceptions.RayTaskError):
            told.set_exception(getattr(error, "cause", None) or error)
        else:
            why = str(error).strip().partition("\n")[0]
            told.set_exception(
                ChildProcessError(
                    f"the cluster lost a task {_RETRIES + 1} times ({why}); what was finished "
                    "before is whole: the same command goes on"
                )
            )

    def __enter__(self) -> RayPool:
        return self

    def __exit__(self, *_: object) -> None:
        self._ray.shutdown()


def _call(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)


def _imported() -> Any:
    try:
        import ray
    except ImportError:
        raise ValueError("--ray needs Ray: pip install 'commensal[cluster]'") from None
    return ray
