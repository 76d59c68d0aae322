"""A Dask cluster of worker processes on this machine; prints its address, and ends with its standard input.

python tests/fleet/local_cluster.py --workers 2 --resources mnn-3.6.1=1 --preload FILE.py
"""

from __future__ import annotations

import argparse
import sys
from typing import Any


def main() -> None:
    """Start it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--resources", action="append", default=[], metavar="NAME=AMOUNT", help="of each worker")
    parser.add_argument("--preload", action="append", default=[], metavar="FILE", help="imported by each worker")
    parser.add_argument("--scheduler-file", metavar="FILE", help="write the address there")
    arguments = parser.parse_args()
    import dask
    from distributed import LocalCluster

    # A worker that is not there again after so long is given up for good: the default is 15 s.
    dask.config.set({"distributed.deploy.lost-worker-timeout": "10 minutes"})
    offered = dict(each.split("=") for each in arguments.resources)
    more: dict[str, Any] = {"preload": arguments.preload} if arguments.preload else {}
    with LocalCluster(
        n_workers=arguments.workers,
        threads_per_worker=1,
        processes=True,
        dashboard_address=":0",
        silence_logs=50,
        resources={name: float(amount) for name, amount in offered.items()},
        **more,
    ) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
