import json
from pathlib import Path

import vgexp
from vgexp.results.plans import add_runs, empty_plan, merged, read_plan, set_grid, to_go_on


def test_the_plan_is_json_and_grows():
    vgexp.run("data=digits", "model.width=8", "model.depth=2", "steps=1", "seed=0", "name=here")
    vgexp.run("data=digits", "model.width=8", "model.depth=2", "steps=1", "seed=1", "name=here")
    plan = json.loads(Path("results/here/plan.json").read_text())
    assert len(plan["runs"]) == 2
    assert len(plan["commands"]) == 2


def test_a_folder_without_a_plan_has_an_empty_one(tmp_path):
    assert read_plan(tmp_path) == empty_plan()


def test_a_damaged_plan_is_named(tmp_path):
    for text in ('{"runs": ', "", "[]", '{"runs": []}', '{"grids": {"a": 3}}', '{"grids": {"a": [[1]]}}', "\x00" * 9):
        (tmp_path / "plan.json").write_text(text)
        damaged = {}
        assert read_plan(tmp_path, damaged) == empty_plan()
        assert list(damaged) == [tmp_path / "plan.json"]


def test_an_older_plan_has_the_entries_that_it_lacks(tmp_path):
    (tmp_path / "plan.json").write_text('{"runs": {"a": {}}}')
    assert read_plan(tmp_path) == {**empty_plan(), "runs": {"a": {}}}


def test_merging_keeps_what_either_has():
    """Of two grids of one name the runs of both; one that only one folder left out is there."""
    one, other = empty_plan(), empty_plan()
    one |= {"runs": {"a": {}, "b": {"seed": 1}}, "grids": {"g": ["a", "b"]}, "left_out": {"h": "no data", "i": "no"}}
    other |= {"runs": {"b": {"seed": 2}}, "grids": {"g": ["b", "c"], "h": ["c"]}, "commands": {"x": ["b"]}}
    both = merged(one, other)
    assert both["runs"] == {"a": {}, "b": {"seed": 2}}
    assert both["grids"] == {"g": ["a", "b", "c"], "h": ["c"]}
    assert both["left_out"] == {"i": "no"} and both["commands"] == {"x": ["b"]}


def test_the_commands_of_an_older_plan_ask_for_all_of_its_runs(tmp_path):
    (tmp_path / "plan.json").write_text('{"runs": {"a": {}, "b": {}}, "commands": ["first", "second"]}')
    assert read_plan(tmp_path)["commands"] == {"first": ["a", "b"], "second": ["a", "b"]}


def test_what_lacks_runs_is_typed_again():
    commands = {"first": ["a", "b"], "second": ["c"], "third": ["b", "d"]}
    assert to_go_on(commands, []) == []
    assert to_go_on(commands, ["c"]) == ["second"]
    assert to_go_on(commands, ["b"]) == ["third"]
    assert to_go_on(commands, ["a", "b", "e"]) == ["first", "third"]


def test_a_grid_keeps_the_other_seeds_of_its_runs():
    """What is run a seed at a time comes together; what the experiment no longer asks for, another rate, leaves."""
    plan = empty_plan()
    add_runs(plan, {"a": {"steps": 2}, "b": {"steps": 2, "seed": 1}, "c": {"steps": 3, "seed": 1}})
    set_grid(plan, "g", ["a"])
    set_grid(plan, "g", ["b"])
    assert plan["grids"] == {"g": ["a", "b"]}
    set_grid(plan, "g", ["a"])
    assert plan["grids"] == {"g": ["a", "b"]}
    set_grid(plan, "g", ["c"])
    assert plan["grids"] == {"g": ["c"]}
    plan["grids"]["g"] = ["a run that the plan does not have"]
    set_grid(plan, "g", ["b"])
    assert plan["grids"] == {"g": ["b"]}


def test_a_run_takes_the_place_of_the_one_that_says_the_same():
    plan = empty_plan()
    add_runs(plan, {"a": {"seed": 1, "steps": 2}, "b": {}})
    plan["grids"], plan["commands"] = {"g": ["a", "b"]}, {"c": ["a"], "d": ["b"]}
    add_runs(plan, {"a2": {"steps": 2, "seed": 1}})
    assert (plan["runs"], plan["superseded"]) == ({"b": {}, "a2": {"steps": 2, "seed": 1}}, {"a": "a2"})
    assert (plan["grids"], plan["commands"]) == ({"g": ["a2", "b"]}, {"c": ["a2"], "d": ["b"]})
    add_runs(plan, {"a": {"seed": 1, "steps": 2}})  # the edit is taken back
    assert (list(plan["runs"]), plan["superseded"]) == (["b", "a"], {"a2": "a"})
    assert (plan["grids"], plan["commands"]) == ({"g": ["a", "b"]}, {"c": ["a"], "d": ["b"]})
