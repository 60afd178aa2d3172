"""What people without a mouse, or with a screen reader, or with weak eyes meet on every page, in both themes."""

from __future__ import annotations

import pytest

from core.mmad import read_mmad
from tests.ui.conftest import serving
from tests.ui.pretend import answer_files, pretend_run

SAMPLE = "drawn/washer/image/scratch/001.png"
PAGES = (
    "", f"?sample={SAMPLE}", "?order=hardest", "describe", "train?run=new", "train", "compare", "inspect", "product", "settings",
)  # fmt: skip


@pytest.fixture(scope="module")
def studio(drawn, tmp_path_factory):
    """A studio with a run and its answers, so that no page is empty."""

    def prepare(services):
        bench = read_mmad(drawn)
        answer_files(pretend_run(services.runs_dir, bench, name="first try"), bench)

    with serving(tmp_path_factory.mktemp("accessible"), drawn, prepare) as running:
        yield running


# Visible controls without a name that a screen reader could say.
UNNAMED = """() => [...document.querySelectorAll('button, a[href], input, textarea, select, [role=button], [role=slider]')]
  .filter(e => e.offsetParent !== null && e.type !== 'hidden' && e.type !== 'file')
  .filter(e => !(e.getAttribute('aria-label') || e.getAttribute('aria-labelledby') || e.title || e.innerText?.trim()
    || e.closest('label')?.innerText.trim() || (e.id && document.querySelector(`label[for="${CSS.escape(e.id)}"]`))
    || e.querySelector('img[alt]:not([alt=""])')))
  .map(e => e.outerHTML.slice(0, 160))"""
# Visible pictures without words, headings that skip a level, and ids that are there twice.
OUTLINE = """() => {
  const seen = (e) => e.offsetParent !== null;
  const wrong = [...document.querySelectorAll('img')].filter(e => seen(e) && !e.hasAttribute('alt'))
    .map(e => e.outerHTML.slice(0, 120));
  if ([...document.querySelectorAll('h1')].filter(seen).length !== 1) wrong.push('not one h1');
  const ids = [...document.querySelectorAll('[id]')].map(e => e.id).filter(Boolean);
  for (const id of new Set(ids)) if (ids.filter(x => x === id).length > 1) wrong.push(`id ${id} twice`);
  if (!document.documentElement.lang) wrong.push('no language');
  return wrong;
}"""
# Text that does not stand out from what is behind it (WCAG AA), with what was measured.
FAINT = """() => {
  const paper = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const parse = (c) => { paper.clearRect(0, 0, 1, 1); paper.fillStyle = c; paper.fillRect(0, 0, 1, 1);
    const d = paper.getImageData(0, 0, 1, 1).data; return [d[0], d[1], d[2], d[3] / 255]; };
  const over = (top, below) => top.slice(0, 3).map((v, i) => v * top[3] + below[i] * (1 - top[3]));
  const ground = (e) => { const layers = []; let solid = null;
    for (; e && !solid; e = e.parentElement) { const s = getComputedStyle(e);
      if (s.backgroundImage !== 'none') return null;
      const c = parse(s.backgroundColor); if (c[3] === 1) solid = c.slice(0, 3); else if (c[3] > 0) layers.push(c); }
    return layers.reverse().reduce((below, top) => over(top, below), solid || [255, 255, 255]); };
  const light = (c) => { const v = c.map(n => n / 255).map(n => n <= .03928 ? n / 12.92 : ((n + .055) / 1.055) ** 2.4);
    return .2126 * v[0] + .7152 * v[1] + .0722 * v[2]; };
  const found = new Map();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, e = node.parentElement;
    if (!node.data.trim() || !e.offsetParent || e.closest('svg, script, style, [aria-hidden=true], .cm-editor')) continue;
    if (e.closest('button:disabled, [aria-disabled=true], .hide, .stage')) continue;
    const s = getComputedStyle(e), box = e.getBoundingClientRect();
    if (s.visibility === 'hidden' || s.opacity === '0' || box.width < 2 || box.right < 0) continue;
    const below = ground(e); if (!below) continue;
    const [a, b] = [light(over(parse(s.color), below)), light(below)];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    const size = parseFloat(s.fontSize), large = size >= 24 || (size >= 18.66 && +s.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) found.set(`${e.tagName}.${e.className} "${node.data.trim().slice(0, 30)}"`, ratio.toFixed(2));
  }
  return [...found].map(([where, ratio]) => `${ratio} ${where}`);
}"""
HERE = """() => { const e = document.activeElement, r = e.getBoundingClientRect();
  const text = e.getAttribute('aria-label') || e.innerText || e.placeholder || e.name || '';
  return {tag: e.tagName, text: text.trim().slice(0, 40),
    area: e.closest('#header') ? 'header' : e.closest('#main') ? 'main' : e === document.body ? 'body' : 'other',
    top: r.top + scrollY, left: r.left, seen: r.width > 0 && r.height > 0 && getComputedStyle(e).visibility !== 'hidden',
    ring: getComputedStyle(e).outlineStyle !== 'none' || getComputedStyle(e).boxShadow !== 'none'
      || e.matches('input[type=file], input[type=range]') || !!e.closest('.wrap-inner, .cm-editor'),
    column: [...document.querySelectorAll('.column')].indexOf(e.closest('.column'))}; }"""


@pytest.mark.parametrize("address", PAGES)
def test_a_page_is_named_readable_in_both_themes_and_walked_through_by_keys(studio, open_page, address):
    page = open_page(f"{studio.url}/{address}")
    page.wait_for_timeout(1000)
    assert page.evaluate(UNNAMED) == []
    assert page.evaluate(OUTLINE) == []
    for theme in ("light", "dark"):
        page.evaluate("(theme) => emit.setTheme(theme)", theme)
        for _ in range(30):  # colours may still be on their way
            if not (faint := page.evaluate(FAINT)):
                break
            page.wait_for_timeout(200)
        assert faint == [], theme
    stops = _tab_stops(page)
    inside = [stop for stop in stops if stop["area"] != "body"]
    assert inside[0]["text"].startswith("Skip to content")
    assert [stop for stop in inside if not stop["seen"]] == []
    assert [stop for stop in inside if not stop["ring"]] == []
    areas = [stop["area"] for stop in inside]
    assert areas == sorted(areas, key=("header", "main", "other").index)
    # Within a column the focus goes downwards, or to the right in the same line.
    for before, after in zip(inside, inside[1:], strict=False):
        if before["column"] == after["column"] and before["area"] == after["area"] == "main":
            assert after["top"] > before["top"] - 60, (before, after)


def _tab_stops(page) -> list:
    """Where the Tab key leads, from the first stop until it is round the end."""
    stops: list = []
    for _ in range(26):
        page.keyboard.press("Tab")
        stop = page.evaluate(HERE)
        if stops and stop["text"] == stops[0]["text"]:
            break
        stops.append(stop)
    return stops


def test_the_skip_link_leads_past_the_header(studio, open_page):
    page = open_page(studio.url)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate(HERE)["area"] == "main"
    page.get_by_role("link", name="Browse").focus()
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    dialog.wait_for()
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached" if dialog.count() == 0 else "hidden")
    assert page.evaluate(HERE)["text"] == "Browse", "the focus is where it was"
