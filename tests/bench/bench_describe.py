"""500 descriptions from a server that fails a fifth of the calls, in a process that is killed twice: is every text there
once, was anything paid twice, and how do several workers compare with one?"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from core.mmad import read_mmad, write_mmad
from core.synthesis import describe
from core.synthesis.descriptions import Endpoint, describe_offline
from tests.describing import make_bench
from tests.openai_server import OpenAIServer, random_faults

PRODUCTS, DEFECTS = 50, 9  # and one normal text each: 500
ANSWER_SECONDS = 0.05
KILL_AT = (120, 300)  # answers on disk

PROCESS = """
import sys
from core.mmad import read_mmad
from core.synthesis import describe
from core.synthesis.descriptions import Endpoint
root, url, cache = sys.argv[1:]
outcome = describe(read_mmad(root), endpoint=Endpoint("bench", url, workers=8, attempts=12, pause=0.01), cache=cache)
print(len(outcome), len(outcome.failures), flush=True)
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root, cache = Path(folder) / "bench", Path(folder) / "cache"
        defects = [f"kind{i}" for i in range(DEFECTS)]
        write_mmad(make_bench(root, [f"p{i}" for i in range(PRODUCTS)], defects, splits=["train"], normals=1))
        killed_run(root, cache)
        workers(root, Path(folder))
        started = time.perf_counter()
        count = len(describe_offline(read_mmad(root)))
        print(f"offline: {count} texts, {count / (time.perf_counter() - started):.0f} a second")


def killed_run(root: Path, cache: Path) -> None:
    with OpenAIServer(random_faults(0.2), delay=ANSWER_SECONDS) as server:
        for kill_at in (*KILL_AT, None):
            process = subprocess.Popen(
                [sys.executable, "-c", PROCESS, str(root), server.url, str(cache)],
                stdout=subprocess.PIPE, text=True, env={**os.environ, "OPENAI_API_KEY": "sk-bench"},
            )  # fmt: skip
            while kill_at is not None and process.poll() is None:
                if sum(1 for _ in cache.rglob("[!.]*.json")) >= kill_at:
                    process.send_signal(signal.SIGKILL)
                    break
                time.sleep(0.01)
            output, _ = process.communicate()
            print(
                f"{'killed' if process.returncode == -9 else 'ended'}: {sum(1 for _ in cache.rglob('*.json'))} on disk"
            )
        texts = describe(read_mmad(root), endpoint=Endpoint("bench", server.url), cache=cache)
        asked, answered = len(server.requests), Counter(server.answered)
        paid_twice = sum(count - 1 for count in answered.values())
        files = [json.loads(path.read_text()) for path in cache.rglob("[!.]*.json")]
    print(f"the last run said (texts, failures): {output.strip()}")
    print(
        f"{len(texts)} texts, {len({t.key for t in texts})} distinct places, {len(files)} files, {texts.usage.calls} calls left"
    )
    print(
        f"{asked} calls for {len(answered)} prompts, {asked / len(answered):.2f} a text; "
        f"{paid_twice} answers were on their way when the process was killed"
    )


def workers(root: Path, folder: Path) -> None:
    seconds = {}
    bench = read_mmad(root)
    for count in (1, 8):
        with OpenAIServer(delay=ANSWER_SECONDS) as server:
            started = time.perf_counter()
            settings = Endpoint("bench", server.url, "k", workers=count)
            describe(bench, endpoint=settings, cache=folder / str(count), products=[f"p{i}" for i in range(10)])
            seconds[count] = time.perf_counter() - started
    print(f"100 texts at {ANSWER_SECONDS:g} s an answer: 1 worker {seconds[1]:.1f} s, 8 workers {seconds[8]:.1f} s, "
          f"ratio {seconds[1] / seconds[8]:.1f}")  # fmt: skip


if __name__ == "__main__":
    main()
