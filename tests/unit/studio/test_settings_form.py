"""The settings form: fields, ablation switches and YAML say the same thing."""

from __future__ import annotations

import pytest

from core.errors import UserError
from core.training import preset
from studio.views.settings_form import FIELDS, SWITCHES, form_values, get, parse, switched_on, to_yaml, with_form


def changed(config, path, value):
    values = form_values(config)
    values[[field.path for field in FIELDS].index(path)] = value
    return with_form(config, values, switched_on(config))


def test_every_field_and_switch_names_a_setting():
    config = preset("smoke")
    for path in [field.path for field in FIELDS] + [path for path, _, _ in SWITCHES.values()]:
        get(config, path)


def test_an_untouched_form_changes_nothing():
    for name in ("smoke", "demo", "internvl3-8b"):
        config = preset(name)
        assert with_form(config, form_values(config), switched_on(config)) == config


def test_yaml_shows_only_what_differs_from_the_preset_and_reads_back():
    config = changed(preset("smoke"), "grpo.temperature", 0.7)
    text = to_yaml(config)
    assert "temperature: 0.7" in text and "group_size" not in text
    assert parse(text) == config


def test_switches_are_the_ablations():
    config = preset("demo")
    without = with_form(config, form_values(config), [n for n in switched_on(config) if n != "resampling"])
    assert without.grpo.resampling == 0 and "resampling" not in switched_on(without)
    again = with_form(without, form_values(without), switched_on(config))
    assert again.grpo.resampling == config.grpo.resampling


def test_number_fields_give_whole_numbers_where_needed():
    assert changed(preset("smoke"), "seed", 3.0).seed == 3
    assert changed(preset("smoke"), "evaluate.final", "none").evaluate.final == ""
    assert changed(preset("internvl3-8b"), "quantize", "4bit").quantize == "4bit"


@pytest.mark.parametrize(
    ("path", "value", "word"),
    [("grpo.group_size", 1, "group_size"), ("seed", 1.5, "seed"), ("seed", None, "seed"), ("grpo.groups", 5, "groups")],
)
def test_impossible_values_are_named(path, value, word):
    with pytest.raises(UserError, match=word):
        changed(preset("smoke"), path, value)


def test_broken_yaml_is_explained():
    with pytest.raises(UserError, match="line 2"):
        parse("name: a\n  b: [")
    with pytest.raises(UserError, match="learning_rte"):
        parse("preset: smoke\nsft: {learning_rte: 1}")
