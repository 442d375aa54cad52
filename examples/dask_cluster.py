"""Checks the stacks of a campaign in the worker processes of a Dask cluster.

A client is sent to the workers like any other argument. Its pickle holds address and limits, never
the key: each worker takes that from ATOMSCALE_API_KEY in its own environment. Workers on this
machine inherit the environment of this process, with ATOMSCALE_API_ENDPOINT; for example a
sandbox's.

    pip install 'atomscale-target-materials[materials]' distributed cryptography
"""

from collections.abc import Sequence

from dask.distributed import Client as DaskClient
from dask.distributed import LocalCluster

from atomscale_target_materials import Client

WORKERS = 2


def check(client: Client, sample_ids: Sequence[int]) -> list[str]:
    """In a worker: reads the list once, and has a line for each of its samples."""
    with client:
        materials = client.list_target_materials()
    lines = []
    for stack in map(materials.stack, sample_ids):
        misfits = "; ".join(map(str, stack.check()))
        lines.append(f"{stack.sample_id} {stack}: {misfits or 'fits'}")
    return lines


def local_cluster() -> LocalCluster:
    """Worker processes on this machine, that nobody else can use.

    On a cluster of several machines the key comes into each worker's environment as other secrets
    do: a Secret of Kubernetes, a file that the job script of Slurm reads. Not through Dask, whose
    messages, configuration and dashboard are no place for secrets.
    """
    return LocalCluster(
        n_workers=WORKERS,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",  # a free port, but
        scheduler_kwargs={"dashboard": False},  # no dashboard there
        silence_logs="CRITICAL",  # ending, a worker may miss a heartbeat; a task's error is raised
        security=True,  # or every user of this machine could have the workers run code
    )


def main() -> None:
    """Shares the samples out, and prints what the workers found."""
    with local_cluster() as cluster, DaskClient(cluster) as dask, Client() as client:
        sample_ids = [stack.sample_id for stack in client.list_target_materials().stacks()]
        shares = [sample_ids[first::WORKERS] for first in range(WORKERS)]
        print(f"{len(sample_ids)} samples for {WORKERS} workers, each with a copy of {client}")
        for lines in dask.gather(dask.map(check, [client] * WORKERS, shares, pure=False)):
            print(*lines, sep="\n")


if __name__ == "__main__":
    main()
