"""The curves of a run and of those laid over it: one chart a quantity, shown as soon as there is a line to draw.

All charts are there from the start and are filled by the page's own clock. Charts that were made anew whenever a line
appeared had clocks of their own, and a browser that asked for one the server had just replaced was told of an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from studio import markup
from studio.i18n import say, tr
from studio.services import Services
from studio.views import runs as look
from studio.views.curves import CURVES, chart, colours, legend


class Curves:
    """The charts; `values(...)` gives what `outputs` show, or leaves them as they are while no file has changed."""

    def __init__(self, services: Services, reader: look.Reader) -> None:
        self._services, self._reader = services, reader
        self.drawn = gr.State(())  # what the charts were drawn from
        self._none = markup.view()
        charts: list[Any] = []
        with gr.Row(elem_classes=["curves"], equal_height=True):
            for curve in CURVES:
                with gr.Column(
                    visible=False, elem_classes=["curve"], min_width=300, elem_id=f"curve-{curve.id}"
                ) as box:
                    plot = gr.LinePlot(
                        x="step", y="value", color="series", height=256, label=tr(f"train.curve.{curve.id}"), show_label=True,
                        x_title=" ", y_title=" ", color_title=" ", y_lim=[0, 100] if curve.share else None, tooltip="all",
                        colors_in_legend=[],  # Gradio's legend is cut off where it is wider than the chart: ours wraps
                        buttons=[],
                    )  # fmt: skip
                    charts += [box, plot, markup.view()]
        self.outputs = [self.drawn, self._none, *charts]

    def values(
        self, run_id: str, overlaid: Sequence[str] | None, smoothing: float, drawn: tuple[Any, ...], request: gr.Request
    ) -> list[Any]:
        """For `outputs`: everything anew when a file, the choice of runs or the smoothing has changed."""
        runs = [run for run in map(self._services.queue.find, dict.fromkeys([run_id, *(overlaid or [])])) if run]
        now = (tuple((run.id, self._reader.signature(run)) for run in runs), smoothing)
        if now == drawn:
            return [gr.skip() for _ in self.outputs]
        metrics: dict[str, Any] = {}
        for run in runs:
            name = self._reader.name(run)
            # Equal names are told apart by number.
            metrics[f"{name} ({len(metrics) + 1})" if name in metrics else name] = self._reader.metrics(run)
        charts: list[Any] = []
        for curve in CURVES:
            table = chart(metrics, curve, smoothing)
            if table["step"].nunique() < 2:  # one point is no line
                charts += [gr.Column(visible=False), gr.skip(), ""]
                continue
            palette = colours(list(table["series"].unique()))
            # A chart is built anew in the browser when its colours change: that is how it learns of a new line.
            plot = gr.LinePlot(table, color_map=palette)
            charts += [gr.Column(visible=True), plot, legend(palette) if len(palette) > 1 else ""]
        shown = any(isinstance(value, gr.LinePlot) for value in charts)
        return [now, "" if shown else markup.empty(say(request, "train.no_curves")), *charts]
