"""Runs as people see them: the list with its sparklines, the head of one run, why it ended, its last completions.

Everything here is a function of the run folder and a language, and returns HTML; what a run or a person wrote is escaped.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.runs import RunFolder, RunState
from studio import markup
from studio.i18n import say
from studio.machine import size
from studio.views.curves import sparkline, trend

if TYPE_CHECKING:
    import pandas as pd

LOG_LINES = 40
AVERAGE = "Average"  # name of the mean row and column in a run's table
# What a log says when a machine, not the program, is at its end -> the advice that helps.
HINTS = (
    (re.compile(r"no CUDA device", re.I), "train.hint.gpu"),
    (re.compile(r"out of memory|OutOfMemory|Cannot allocate memory|std::bad_alloc", re.I), "train.hint.memory"),
    (re.compile(r"No space left|disk (is )?full|disk quota", re.I), "train.hint.disk"),
    (re.compile(r"is not a local folder|Repository Not Found|offline|LocalEntryNotFound|Max retries", re.I),
     "train.hint.model"),
    (re.compile(r"snapshot", re.I), "train.hint.snapshot"),
)  # fmt: skip


@dataclass(frozen=True)
class RunRow:
    """What the list says about a run."""

    id: str
    name: str
    preset: str
    state: RunState
    place: int = 0
    trend: tuple[str, Sequence[float]] = ("", ())
    scores: tuple[float, float] | None = None
    problem: str = ""


@dataclass
class Reader:
    """Reads run folders for the pages; a file that has not changed is not read again."""

    _kept: dict[tuple[str, str], tuple[tuple[int, int], Any]] = field(default_factory=dict)

    def metrics(self, run: RunFolder) -> pd.DataFrame:
        return self._unchanged(run, "metrics.jsonl", run.metrics)

    def signature(self, run: RunFolder) -> tuple[int, int]:
        """Changes whenever new metrics are there."""
        return self._stamp(run, "metrics.jsonl")

    def name(self, run: RunFolder) -> str:
        return str(self._config(run)[0].get("name") or run.id)

    def config_text(self, run: RunFolder) -> str:
        def read() -> str:
            try:
                return (run.path / "config.yaml").read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                return ""

        return self._unchanged(run, "config.yaml", read, "text")

    def completions(self, run: RunFolder) -> pd.DataFrame:
        """The sample responses; read again when a part file has come."""
        return self._unchanged(run, "grpo/completions", run.completions)

    def _config(self, run: RunFolder) -> tuple[dict[str, Any], str]:
        def read() -> tuple[dict[str, Any], str]:
            try:
                return run.config(), ""
            except UserError as error:
                return {}, str(error)

        return self._unchanged(run, "config.yaml", read)

    def row(self, run: RunFolder, place: int = 0) -> RunRow:
        config, problem = self._config(run)
        label, values = trend(self.metrics(run))
        return RunRow(
            run.id, str(config.get("name") or run.id), str(config.get("preset") or ""), run.state(), place,
            (label, values), self._unchanged(run, "answers/table.json", lambda: scores(run)), problem,
        )  # fmt: skip

    def _stamp(self, run: RunFolder, name: str) -> tuple[int, int]:
        try:
            stat = (run.path / name).stat()
        except OSError:
            return 0, 0
        return stat.st_mtime_ns, stat.st_size

    def _unchanged(self, run: RunFolder, name: str, read: Any, what: str = "") -> Any:
        key, stamp = (str(run.path), f"{name}#{what}"), self._stamp(run, name)
        if self._kept.get(key, (None, None))[0] != stamp:
            if len(self._kept) > 500:
                self._kept.clear()
            self._kept[key] = (stamp, read())
        return self._kept[key][1]


def scores(run: RunFolder) -> tuple[float, float] | None:
    """Average accuracy in percent of base and tuned, None before the evaluation."""
    try:
        table = run.table() or {}
        return float(table["base"][AVERAGE][AVERAGE]), float(table["tuned"][AVERAGE][AVERAGE])
    except (UserError, KeyError, TypeError, ValueError):
        return None


TONES = {
    "queued": "neutral",
    "running": "accent",
    "finished": "good",
    "stopped": "warn",
    "failed": "bad",
    "lost": "bad",
}


def badge(status: str, lang: str) -> str:
    return markup.badge(say(lang, f"train.status.{status}"), TONES[status])


def duration(seconds: float | None, lang: str) -> str:
    """A time span in the two largest units that matter."""
    if seconds is None:
        return ""
    seconds = max(0, round(seconds))
    if seconds < 60:
        return say(lang, "train.seconds", n=seconds)
    if seconds < 3600:
        return say(lang, "train.minutes", n=seconds // 60, s=seconds % 60)
    return say(lang, "train.hours", n=seconds // 3600, m=seconds % 3600 // 60)


def _ago(seconds: float, lang: str) -> str:
    """In one unit: a list is glanced at."""
    for unit, scale in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= scale:
            return say(lang, f"train.ago.{unit}", n=int(seconds // scale))
    return say(lang, "train.ago.now")


def progress(state: RunState, lang: str) -> str:
    """A thin bar with stage and step; nothing before the first stage and after the end."""
    if not state.stage or not state.steps:
        return ""
    share = min(1.0, state.step / state.steps)
    known = state.stage in ("grounding", "sft", "grpo", "evaluation")
    stage = say(lang, f"train.stage.{state.stage}") if known else state.stage
    words = f"{escape(stage)} {state.step} / {state.steps}"
    left = ""
    if state.status == "running" and state.eta is not None:
        left = f"<span>{say(lang, 'train.left', time=duration(state.eta, lang))}</span>"
    return f'{markup.meter(share, "", words)}<div class="run-step"><span>{words}</span>{left}</div>'


def run_list(rows: Sequence[RunRow], chosen: str | None, lang: str) -> str:
    """The list; every row is a link to the run, which the page's script turns into a choice without reloading."""
    if not rows:
        return markup.empty(say(lang, "train.no_runs"), say(lang, "train.no_runs.next"))
    return f'<ul class="run-list">{"".join(_list_row(row, row.id == chosen, lang) for row in rows)}</ul>'


def _list_row(row: RunRow, chosen: bool, lang: str) -> str:
    state = row.state
    if row.place:
        detail = f'<div class="run-step"><span>{say(lang, "train.place", n=row.place)}</span></div>'
    elif state.status == "running":
        detail = progress(state, lang) or f'<div class="run-step"><span>{escape(state.message)}</span></div>'
    elif row.scores:
        detail = f'<div class="run-step"><span>{_scores(row.scores, lang)}</span></div>'
    else:
        detail = f'<div class="run-step"><span>{escape((row.problem or state.message)[:90])}</span></div>'
    ago = _ago(time.time() - state.created, lang) if state.created else ""
    label, values = row.trend
    return (
        f'<li><a class="run-row{" chosen" if chosen else ""}" href="?run={escape(row.id)}" data-pick="{escape(row.id)}"'
        f"{' aria-current=true' if chosen else ''}>"
        f'<div class="run-title"><b>{escape(row.name)}</b>{badge(state.status, lang)}</div>'
        f'<div class="run-meta"><span>{escape(row.preset)}</span><span>{ago}</span>{sparkline(values, label, height=22)}</div>'
        f"{detail}</a></li>"
    )


def _scores(pair: tuple[float, float], lang: str) -> str:
    base, tuned = pair
    return say(lang, "train.scores", base=f"{base:.1f}", tuned=f"{tuned:.1f}", gain=f"{tuned - base:+.1f}")


def run_head(row: RunRow, memory: int | None, lang: str, compare: str = "") -> str:
    """Name, status, progress and the sentence the worker says.

    Args:
        memory: what its processes hold, in bytes.
        compare: address of its answers, "" without any.
    """
    state = row.state
    facts = [escape(row.id), escape(row.preset)]
    if state.started:
        key = "train.running_for" if state.ended is None else "train.took"
        facts.append(say(lang, key, time=duration((state.ended or time.time()) - state.started, lang)))
    if memory:
        facts.append(say(lang, "train.holds", size=size(memory)))
    if row.scores:
        facts.append(_scores(row.scores, lang))
    if row.place:
        facts.append(say(lang, "train.place", n=row.place))
    message = escape(row.problem or state.message)
    link = f'<a class="button primary" href="{escape(compare)}">{say(lang, "train.compare")}</a>' if compare else ""
    return (
        f'<div class="run-head"><h3>{escape(row.name)} {badge(state.status, lang)}</h3>'
        f'<p class="run-facts">{" · ".join(facts)}</p>'
        f'{progress(state, lang) if state.status == "running" else ""}<p class="run-message">{message}</p>{link}</div>'
    )


def ending(run: RunFolder, state: RunState, lang: str) -> str:
    """Why a run ended before it was finished, and what to do: told apart by who ended it. Empty otherwise."""
    if state.status not in ("failed", "lost", "stopped"):
        return ""
    if state.status == "stopped":
        cancelled = state.message.startswith("Cancelled")
        key = "cancelled" if cancelled else "taken_back" if state.started is None else "stopped"
        return _notice("stopped", say(lang, f"train.end.{key}"), say(lang, f"train.end.{key}.next"))
    tail = run.log_tail(LOG_LINES)
    title = say(lang, f"train.end.{state.status}")
    advice = next((say(lang, key) for pattern, key in HINTS if pattern.search(f"{state.message}\n{tail[-4000:]}")), "")
    advice = advice or say(lang, f"train.end.{state.status}.next")
    log = f"<details open><summary>{say(lang, 'train.last_lines', n=LOG_LINES)}</summary><pre>{escape(tail)}</pre></details>"
    return _notice(state.status, title, advice, escape(state.message), log if tail else "")


def _notice(kind: str, title: str, advice: str, cause: str = "", more: str = "") -> str:
    cause = f"<p><b>{cause}</b></p>" if cause else ""
    tone = TONES[kind]
    return f'<div class="notice {tone} run-notice" role="status"><h4>{title}</h4>{cause}<p>{advice}</p>{more}</div>'


NOT_REWARDS = {
    "step",
    "index",
    "advantage",
    "advantages",
    "weight",
    "epoch",
    "group",
    "solution",
    "resamplings",
    "length",
}


def completions(table: pd.DataFrame, lang: str, limit: int = 24) -> str:
    """The responses of the last logged step with their rewards and advantages, grouped by question."""
    if not len(table):
        return markup.empty(say(lang, "train.no_completions"))
    last = table[table["step"] == table["step"].max()].head(limit)
    keys = [key for key in ("image", "index") if key in last] or ["prompt"]
    rewards = [c for c in last.select_dtypes("number") if c not in NOT_REWARDS]
    advantage = next((c for c in ("advantage", "advantages") if c in last), None)
    parts = [f'<p class="run-facts">{say(lang, "train.of_step", n=int(last["step"].iloc[0]))}</p>']
    for _, group in last.groupby(keys, sort=False):
        head = group.iloc[0]
        prompt = str(head.get("question") or head.get("prompt") or "")
        where = escape(str(head.get("image", "")))
        parts.append(
            f'<details class="group" open><summary>{where}</summary><p class="prompt">{escape(prompt[-400:])}</p>'
        )
        for row in group.to_dict("records"):
            chips = "".join(_chip(_short(str(name)), row[name]) for name in rewards)
            gain = _chip(say(lang, "train.advantage"), row[advantage], signed=True) if advantage else ""
            said = f"<code>{escape(str(row['completion']))}</code>"
            parts.append(f'<div class="completion">{said}<div class="chips">{chips}{gain}</div></div>')
        parts.append("</details>")
    return "".join(parts)


def _short(name: str) -> str:
    return name.removeprefix("rewards/").removesuffix("_reward").replace("_", " ")


def _chip(name: str, value: Any, *, signed: bool = False) -> str:
    number = float(value) if value is not None else float("nan")
    tone = "up" if number > 1e-6 else "down" if number < -1e-6 else "zero"
    text = f"{number:+.2f}" if signed else f"{number:.2f}"
    return f'<span class="chip {tone}">{escape(name)} <b>{text}</b></span>'
