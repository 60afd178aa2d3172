"""Carry out the run whose folder is given: SFT, difficulty-aware GRPO, evaluation.

    python -m core.training RUN_DIR                            one process
    torchrun --nproc_per_node 8 -m core.training RUN_DIR       one per GPU

The folder holds config.yaml (`core.training.RunConfig`). A run that was stopped, failed or was killed goes on from its last
checkpoint. SIGTERM or Ctrl+C saves a checkpoint and ends within seconds. Exit codes: 0 finished or stopped, 2 a problem that
the message explains.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

from core.errors import UserError, command
from core.training.config import RunConfig
from core.training.stopping import StopRequested, stopper


@command
def main() -> None:
    stopper.install()
    parser = argparse.ArgumentParser(
        prog="python -m core.training", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", metavar="RUN_DIR", type=Path, help="folder with config.yaml")
    parser.add_argument("--estimate", action="store_true", help="only print the memory it is going to need")
    options = parser.parse_args()
    folder = options.run
    if not (folder / "config.yaml").is_file():
        raise UserError(f"{folder} has no config.yaml: give a run folder (core.runs.create_run makes one).")
    config = RunConfig.load(folder / "config.yaml")
    if options.estimate:
        print(memory_needed(config))
        return
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("OMP_NUM_THREADS", str(config.threads or os.cpu_count() or 1))
    from core.runs import RunFolder
    from core.training.claiming import claim

    if RunFolder(folder).state().status == "finished":
        print(f"{folder} is finished already.")
        return
    # Asked to stop in the middle of it, a run would be left "running" by nobody.
    stopper.interruptible = False
    journal = claim(config, folder)
    try:
        stopper.interruptible = True
        stopper.check()
        if journal:
            print(memory_needed(config), flush=True)
        from core.training.worker import run

        done = run(config, folder, journal=journal)
    except StopRequested:  # while the memory was estimated or torch loaded
        if journal:
            journal.close("stopped", "Stopped before it began.")
        return
    if journal:
        print(done.state().message, flush=True)
    leave_together()


def memory_needed(config: RunConfig) -> str:
    """What a person should know before hours of work: the estimate of `core.training.memory`."""
    from core.training.memory import estimate

    found = estimate(config)
    if found is None:
        return (
            f"How much memory this needs is not known: {config.base} is neither a folder here nor a listed checkpoint."
        )
    return f"Memory it is going to need:\n{found}"


def leave_together() -> None:
    """End one of several processes without tearing torch down.

    A process group that is destroyed while its last message is still being freed waits for a thread that waits for the
    interpreter (seen with gloo in torch 2.13): the process would never end. All is written by now.
    """
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


if __name__ == "__main__":
    main()
