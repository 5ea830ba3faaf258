"""The engine a user asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from secondlook.cluster.here import Here
from secondlook.cluster.place import Place
from secondlook.cluster.unit import Engine, Resources


@contextmanager
def engine(
    cluster: str | None,
    where: Place,
    resources: Resources | None = None,
    processes: int = 1,
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[Engine]:
    """Processes of this machine, or a Ray cluster that is joined for as long as this lasts.

    Args:
        cluster: See `on_ray.connected`; none for this machine without Ray.
        where: Where results go.
        resources: What a unit takes of the cluster.
        processes: Processes, without Ray.
        tell: Called with a line for each node of a cluster that is lost and each unit that fails.

    Raises:
        ValueError: Ray is not installed, the address is none, or another driver works at `where`.
        OSError: Nobody answers at the address, or nothing can be written at `where`.
    """
    if cluster is None:
        yield Here(processes)
        return
    from secondlook.cluster.on_ray import OnRay, connected

    with connected(cluster):
        # Absolute, since workers may run in another working directory.
        yield OnRay(where.absolute(), resources or Resources(), tell)
