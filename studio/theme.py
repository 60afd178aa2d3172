"""How the studio looks: Gradio's theme with one accent, and our own style sheet and script from `assets/`."""

from __future__ import annotations

import json
from pathlib import Path

import gradio as gr

from studio.i18n import LANGUAGES, texts

ASSETS = Path(__file__).parent / "assets"
FONT = ("Inter", "ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Noto Sans", "Noto Sans CJK SC",
        "PingFang SC", "Microsoft YaHei", "sans-serif")  # fmt: skip
MONO = ("ui-monospace", "SF Mono", "JetBrains Mono", "Cascadia Mono", "DejaVu Sans Mono", "monospace")
ACCENT = gr.themes.Color(
    "#f0f7ff", "#dcecfe", "#b9d9fd", "#85bdfb", "#4c9af5", "#2379e8", "#155fcb", "#124ca5", "#144286", "#163a70",
    "#10264b", name="accent",
)  # fmt: skip
GREY = gr.themes.Color(
    "#f8f9fb", "#f1f3f6", "#e4e8ed", "#cfd5dd", "#9aa4b2", "#677385", "#4a5565", "#343d4b", "#1f2630", "#151a21",
    "#0e1217", name="slate",
)  # fmt: skip


def theme() -> gr.themes.Base:
    """One accent colour on cool greys, dense, small radii."""
    base = gr.themes.Base(
        primary_hue=ACCENT, secondary_hue=ACCENT, neutral_hue=GREY, font=FONT, font_mono=MONO,
        text_size="sm", spacing_size="sm", radius_size="sm",
    )  # fmt: skip
    return base.set(
        body_background_fill="*neutral_50", body_background_fill_dark="*neutral_950",
        body_text_color="*neutral_800", body_text_color_dark="*neutral_100",
        body_text_color_subdued="*neutral_500", body_text_color_subdued_dark="*neutral_400",
        background_fill_primary="white", background_fill_primary_dark="*neutral_900",
        background_fill_secondary="*neutral_50", background_fill_secondary_dark="*neutral_900",
        block_background_fill="white", block_background_fill_dark="*neutral_900",
        block_border_color="*neutral_200", block_border_color_dark="*neutral_800",
        block_border_width="1px", block_shadow="none", block_padding="12px", block_radius="10px",
        block_label_background_fill="transparent", block_label_background_fill_dark="transparent",
        block_label_border_width="0px", block_label_text_color="*neutral_500",
        block_label_text_color_dark="*neutral_400", block_label_text_weight="500",
        block_title_text_color="*neutral_600", block_title_text_color_dark="*neutral_300",
        block_title_text_weight="500", block_title_text_size="12px",
        block_info_text_color="*neutral_500", block_info_text_color_dark="*neutral_400",
        border_color_primary="*neutral_200", border_color_primary_dark="*neutral_800",
        input_background_fill="white", input_background_fill_dark="*neutral_950",
        input_border_width="1px", input_border_width_dark="1px",
        input_border_color="*neutral_300", input_border_color_dark="*neutral_700",
        input_border_color_focus="*primary_500", input_border_color_focus_dark="*primary_400",
        input_shadow="none", input_shadow_focus="0 0 0 3px rgb(35 121 232 / .18)",
        input_placeholder_color="*neutral_500", input_placeholder_color_dark="*neutral_400",
        button_primary_background_fill="*primary_600", button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover="*primary_700", button_primary_background_fill_hover_dark="*primary_500",
        button_primary_text_color="white", button_primary_text_color_dark="white",
        button_secondary_background_fill="white", button_secondary_background_fill_dark="*neutral_800",
        button_secondary_background_fill_hover="*neutral_100", button_secondary_background_fill_hover_dark="*neutral_700",
        button_secondary_border_color="*neutral_300", button_secondary_border_color_dark="*neutral_700",
        button_secondary_text_color="*neutral_700", button_secondary_text_color_dark="*neutral_100",
        button_border_width="1px", button_large_padding="7px 14px", button_large_text_size="13px",
        button_large_text_weight="500", button_medium_padding="6px 12px", button_medium_text_size="13px",
        button_small_padding="4px 10px", button_small_text_size="12px", button_transform_hover="none",
        table_even_background_fill="white", table_even_background_fill_dark="*neutral_900",
        table_odd_background_fill="*neutral_50", table_odd_background_fill_dark="*neutral_900",
        layout_gap="12px", form_gap_width="0px", checkbox_label_background_fill="transparent",
        checkbox_label_background_fill_dark="transparent",
    )  # fmt: skip


def stylesheet() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(ASSETS.glob("*.css"), reverse=True))


def head() -> str:
    """Our style sheet and script. In the head, not as `launch(css=...)`: that would be rewritten and come after paint."""
    keys = {name: {key: pair[index] for key, pair in texts().items() if key.startswith("keys.")}
            for index, name in enumerate(LANGUAGES)}  # fmt: skip
    known = json.dumps(keys, ensure_ascii=False).replace("<", "\\u003c")
    script = (ASSETS / "studio.js").read_text(encoding="utf-8")
    named = '<meta name="application-name" content="EMIT Studio">'
    return f"{named}<style>{stylesheet()}</style><script>window.emitKeys = {known};\n{script}</script>"
