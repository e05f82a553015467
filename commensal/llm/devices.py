"""Devices that a run uses, and a process on each of them. Needs no torch, nor do its processes."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle, islice
from queue import SimpleQueue
from typing import Any, NamedTuple

from commensal._part import Part

VISIBLE = "CUDA_VISIBLE_DEVICES"


class Machines(NamedTuple):
    """Where the grid points of a run are computed.

    Attributes
    ----------
    workers : int or None
        Number of processes on this machine; None: one for each device, or what the cores carry.
    devices : sequence of str or None
        What each process sees as ``CUDA_VISIBLE_DEVICES``, "" for the CPU alone; None: what this
        process sees.
    ray : str or None
        Address of a Ray cluster that computes in their place.
    part : Part or None
        Part of the grid that is computed; None: all of it. Part 0 is what the others share.
    """

    workers: int | None = None
    devices: Sequence[str] | None = None
    ray: str | None = None
    part: Part | None = None


def devices_of(text: str | None, wanted: str, there: Sequence[str]) -> list[str] | None:
    """Return what each worker process of a run shall see as ``CUDA_VISIBLE_DEVICES``.

    Parameters
    ----------
    text : str or None
        ``0,1,...``, ``cpu,cpu,...`` or ``all``; None: as the settings want it.
    wanted : str
        The setting ``device``.
    there : sequence of str
        The GPUs of this machine that this process may use.

    Returns
    -------
    list of str or None
        "" stands for the CPU alone; None: the workers see what this process sees.

    Raises
    ------
    ValueError
        If there is no such device, or the devices are not of one kind.

    Examples
    --------
    >>> devices_of("0,1", "auto", ["4", "5"])
    ['4', '5']
    >>> devices_of("cpu,cpu", "auto", ["4", "5"])
    ['', '']
    >>> devices_of(None, "auto", ["4", "5"])
    ['4', '5']
    """
    plain = wanted in ("auto", "cuda")
    if text is None or text == "all":
        return list(there) if there and plain else None
    names = text.split(",")
    if len({name == "cpu" for name in names}) > 1:
        raise ValueError("--devices: numbers differ between a CPU and a GPU; choose one kind")
    if names[0] == "cpu":
        if wanted.startswith("cuda"):
            raise ValueError(f"--devices: {text} is no GPU, and the settings want {wanted}")
        return [""] * len(names)
    if not plain:
        raise ValueError(f"--devices: the settings name the device {wanted}; set device to auto")
    for name in names:
        if not name.isdecimal() or int(name) >= len(there):
            seen = f"0 to {len(there) - 1}" if there else "none"
            raise ValueError(
                f"--devices: write all, cpu or numbers of GPUs (here {seen}) with commas between, "
                f"got {name!r}"
            )
    return [there[int(name)] for name in names]


def gpus() -> list[str]:
    """List the GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them."""
    import torch

    count = torch.cuda.device_count()
    named = [name.strip() for name in os.environ.get(VISIBLE, "").split(",") if name.strip()]
    return named[:count] or [str(i) for i in range(count)]


def memory_of(device: Any) -> int | None:
    """Return the bytes of memory of a torch device; None for the CPU."""
    import torch

    if device.type != "cuda":
        return None
    return torch.cuda.get_device_properties(device).total_memory


@contextmanager
def seeing(device: str | None) -> Iterator[None]:
    """Let this process, and those that it starts, see one device, or several with commas between.

    None changes nothing. A process that has used CUDA before goes on seeing what it saw.
    """
    before = os.environ.get(VISIBLE)
    if device is not None:
        os.environ[VISIBLE] = device
    try:
        yield
    finally:
        if before is not None:
            os.environ[VISIBLE] = before
        elif device is not None:
            del os.environ[VISIBLE]


def shared_out(machines: Machines, otherwise: int) -> list[str | None]:
    """Return the device of each worker process; None stands for what this process sees."""
    devices: Sequence[str | None] = machines.devices or [None]
    count = machines.workers or (len(devices) if machines.devices else otherwise)
    return list(islice(cycle(devices), count))


class DevicePool:
    """Processes on devices, which take jobs as they become free.

    The environment of each names its device from its first moment on: torch and JAX find it there
    whenever they are imported.

    Parameters
    ----------
    devices : sequence of str or None
        What each process sees as ``CUDA_VISIBLE_DEVICES``; None: what this one sees.
    initializer, initargs
        What each process calls before its first job.
    """

    def __init__(
        self,
        devices: Sequence[str | None],
        initializer: Callable[..., None] | None = None,
        initargs: Sequence[Any] = (),
    ) -> None:
        context = multiprocessing.get_context("spawn")  # torch does not survive a fork
        self._free: SimpleQueue[ProcessPoolExecutor] = SimpleQueue()
        self._all: list[ProcessPoolExecutor] = []
        for device in devices:
            one = ProcessPoolExecutor(1, context, initializer=initializer, initargs=tuple(initargs))
            with seeing(device):
                one.submit(os.getpid)  # the process begins with the first job
            self._all.append(one)
            self._free.put(one)
        self._threads = ThreadPoolExecutor(len(devices))

    def submit(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        """Compute ``function(*args)`` on the device that is free first."""
        return self._threads.submit(self._on_a_free_one, function, args)

    def _on_a_free_one(self, function: Callable[..., Any], args: Sequence[Any]) -> Any:
        one = self._free.get()
        try:
            return one.submit(function, *args).result()
        finally:
            self._free.put(one)

    def __enter__(self) -> DevicePool:
        """Return the pool."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait for all jobs, but after an error end the processes at once."""
        if kind is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            for one in self._all:
                one.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            return
        self._threads.shutdown()
        for one in self._all:
            one.shutdown()
