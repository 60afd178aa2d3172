"""The run folder: its format, its states, and starting, finding and stopping its process. No torch.

    runs/<id>/config.yaml state.json metrics.jsonl difficulty/ log.txt snapshot.json
              grounding/ sft/checkpoint-* grpo/{checkpoint-*,completions/} final/ answers/{base,tuned}/ answers/table.json

The folder is the contract between app, script and worker. Who starts a run writes `config.yaml` and the state `queued`
(and may take it back); from `running` on the worker alone writes, until its process is gone.
"""

from core.runs.difficulty import hardest
from core.runs.folder import STATUSES, RunFolder, RunState
from core.runs.journal import Journal
from core.runs.processes import (
    cancel_run,
    create_run,
    delete_run,
    is_alive,
    list_runs,
    resume_run,
    start_run,
    stop_run,
)

__all__ = [
    "STATUSES", "Journal", "RunFolder", "RunState", "cancel_run", "create_run", "delete_run", "hardest", "is_alive", "list_runs",
    "resume_run", "start_run", "stop_run",
]  # fmt: skip
