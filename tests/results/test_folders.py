import errno
import shlex
from pathlib import Path

import pytest
from samples import small

import vgexp
from vgexp.config import ConfigError
from vgexp.experiments import start
from vgexp.results.errors import ResultsError
from vgexp.results.folders import move, remove, renamed
from vgexp.results.plans import read_plan
from vgexp.results.status import folder_status
from vgexp.results.writing import Store

QUICK = ("data=digits", "model.depth=2", "model.width=8", "steps=1")


def test_a_folder_is_removed_whole():
    vgexp.run(*QUICK, "name=here")
    remove(Path("results/here"))
    assert not list(Path("results").iterdir())


def test_what_is_computed_is_neither_removed_nor_moved():
    folder, run = Path("results/here"), small()
    Store(folder).plan([run], {}, "vgexp train")
    with Store(folder).hold([run]):
        for change in (lambda: remove(folder), lambda: move(folder, Path("results/there"))):
            with pytest.raises(ConfigError, match="accepts a folder whose runs nobody computes"):
                change()
    assert list(read_plan(folder)["commands"]) == ["vgexp train"] and not Path("results/there").exists()
    remove(folder)


def test_what_is_no_results_folder_stays():
    Path("mine").mkdir()
    Path("mine/thesis.txt").write_text("years")
    for change in (remove, lambda folder: move(folder, Path("results/there"))):
        with pytest.raises(ResultsError, match="no results here"):
            change(Path("mine"))
    assert Path("mine/thesis.txt").read_text() == "years" and len(list(Path("mine").iterdir())) == 1


@pytest.mark.parametrize(
    "target",
    [
        "results/there",
        "results/deeper/there",
        "results/with a space",
        "results/2024_01_05",
        "results/1e5",
        "results/true",
        "results/null",
        "results/it's",
        "results/größe",
    ],
)
def test_the_commands_of_a_moved_folder_go_on_with_it(target, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["vgexp", "train", "-m", *QUICK, "seed=0,1"])
    folder = start([*QUICK, "seed=0,1"])
    move(folder, Path(target))
    assert not folder.exists() and [found.status for found in folder_status(Path(target)).runs] == ["done"] * 2
    Store(Path(target)).plan([], {}, "vgexp train")
    [command, *_] = read_plan(Path(target))["commands"]
    capsys.readouterr()
    assert start(shlex.split(command)[3:]) == Path(target)
    assert "2 runs, 2 already done" in capsys.readouterr().err
    assert not folder.exists()


def test_the_folder_of_a_scale_keeps_its_name(tmp_path, monkeypatch, capsys):
    (tmp_path / "conf/experiment").mkdir(parents=True)
    scales = f"scales: {{tiny: {{both: [{', '.join(QUICK)}, 'seed=0,1']}}}}"
    (tmp_path / "conf/experiment/mine.yaml").write_text(f"# @package _global_\nname: mine\n{scales}")
    asked = ["experiment=mine", "scale=tiny"]
    monkeypatch.setattr("sys.argv", ["vgexp", "train", "-m", *asked])
    folder = start(asked, config_dir=tmp_path / "conf")
    for target in ("results/other", "results/other/small", "results/tiny"):
        with pytest.raises(ConfigError, match="accepts results/NAME/tiny"):
            move(folder, Path(target))
    move(folder, Path("results/other/tiny"))
    [command] = read_plan(Path("results/other/tiny"))["commands"]
    capsys.readouterr()
    assert start(shlex.split(command)[3:], config_dir=tmp_path / "conf") == Path("results/other/tiny")
    assert "2 runs, 2 already done" in capsys.readouterr().err


@pytest.mark.parametrize(
    "target",
    [
        "results/taken",
        "elsewhere",
        "results",
        "results/../there",
        "/tmp/nowhere/there",
        "results/here/below",
        "results/${name}",
        "results/back\\slash",
        "results/" + "x" * 300,
    ],
)
def test_a_target_that_is_there_or_that_no_name_leads_to_is_refused(target):
    for name in ("here", "taken"):
        vgexp.run(*QUICK, f"name={name}")
    before = read_plan(Path("results/here"))
    with pytest.raises(ConfigError, match="TARGET: got"):
        move(Path("results/here"), Path(target))
    assert read_plan(Path("results/here")) == before


def test_a_folder_with_results_below_it_is_neither_removed_nor_moved():
    for name in ("here", "here/below"):
        vgexp.run(*QUICK, f"name={name}")
    for change in (remove, lambda folder: move(folder, Path("results/there"))):
        with pytest.raises(ConfigError, match=r"without other results below it: here is results/here/below"):
            change(Path("results/here"))
    remove(Path("results/here/below"))
    remove(Path("results/here"))


def test_a_move_that_fails_leaves_the_plan_as_it_was(monkeypatch):
    vgexp.run(*QUICK, "name=here")
    Path("results/file").write_text("mine")
    before = read_plan(Path("results/here"))
    with pytest.raises(OSError, match="file"):
        move(Path("results/here"), Path("results/file/there"))
    assert read_plan(Path("results/here")) == before

    def refuse(path, target):
        raise OSError(errno.EXDEV, "another disk", str(path))

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="another disk"):
        move(Path("results/here"), Path("results/there"))
    assert read_plan(Path("results/here")) == before


def test_a_command_has_one_name():
    assert renamed("vgexp train -m seed=0,1 'name=old one'", "new") == "vgexp train -m seed=0,1 name=new"
    assert renamed("vgexp.run()", "new") == "vgexp.run('name=new')"


def test_a_link_is_neither_removed_nor_moved():
    vgexp.run(*QUICK, "name=here")
    Path("results/link").symlink_to("here")
    for change in (remove, lambda folder: move(folder, Path("results/there"))):
        with pytest.raises(ConfigError, match="accepts a folder, and no link to one"):
            change(Path("results/link"))
    assert folder_status(Path("results/link")).runs == folder_status(Path("results/here")).runs
