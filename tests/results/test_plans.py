import json
from pathlib import Path

import vgexp
from vgexp.results.plans import empty_plan, merged, read_plan


def test_the_plan_is_json_and_grows():
    vgexp.run("data=digits", "model.width=8", "model.depth=2", "steps=1", "seed=0")
    vgexp.run("data=digits", "model.width=8", "model.depth=2", "steps=1", "seed=1")
    plan = json.loads(Path("results/train/plan.json").read_text())
    assert len(plan["runs"]) == 2
    assert len(plan["commands"]) == 2


def test_a_folder_without_a_plan_has_an_empty_one(tmp_path):
    assert read_plan(tmp_path) == empty_plan()


def test_a_damaged_plan_is_named(tmp_path):
    (tmp_path / "plan.json").write_text('{"runs": ')
    damaged = []
    assert read_plan(tmp_path, damaged) == empty_plan()
    assert str(tmp_path / "plan.json") in damaged[0]


def test_an_older_plan_has_the_entries_that_it_lacks(tmp_path):
    (tmp_path / "plan.json").write_text('{"runs": {"a": {}}}')
    assert read_plan(tmp_path) == {**empty_plan(), "runs": {"a": {}}}


def test_merging_keeps_what_either_has():
    assert merged({"a": 1, "b": 1}, {"b": 2}) == {"a": 1, "b": 2}
    assert merged(["x"], ["x", "y"]) == ["x", "y"]
