"""What people make: descriptions with their history, flags, corrections, votes, settings, opened benchmarks. No torch.

    workspace = Workspace("workspace")                    # a folder with studio.db, or postgresql://...
    bench_id = workspace.benchmarks.open(root).id
    subject = workspace.texts.subject(bench_id, "deeppcb", "board", "short")
    first = workspace.texts.save(subject, "A bridge of copper.", author="Ana", based_on=0)
    resolved = workspace.resolve(bench, bench_id)         # benchmark as people left it, and the revision ids used

Texts are append-only: a suggestion or a revision is never changed or removed, so nothing a person typed is ever lost.
"""

from core.workspace.differences import word_diff
from core.workspace.exchange import Imported, export_knowledge, import_knowledge
from core.workspace.resolve import Resolved
from core.workspace.tables import Correction, Flag, OpenedBenchmark, Revision, Status, Subject, Suggestion, Vote
from core.workspace.texts import Conflict
from core.workspace.workspace import Workspace

__all__ = [
    "Conflict", "Correction", "Flag", "Imported", "OpenedBenchmark", "Resolved", "Revision", "Status", "Subject",
    "Suggestion", "Vote", "Workspace", "export_knowledge", "import_knowledge", "word_diff",
]  # fmt: skip
