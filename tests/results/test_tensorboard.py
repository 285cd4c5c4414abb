import pytest
from samples import small
from watched import mlp, train

from vgexp.results.reading import read
from vgexp.results.tensorboard import needs
from vgexp.results.writing import Store
from vgexp.training.loop import Training
from vgexp.training.loop import train as train_runs

pytestmark = pytest.mark.filterwarnings("ignore")


def scalars(folder):
    """tag -> {step: value} of the event files in a folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return {tag: {e.step: e.value for e in events.Scalars(tag)} for tag in events.Tags()["scalars"]}


def test_a_monitor_exports_its_frame(tmp_path):
    monitor = train(mlp(), True, steps=3)
    written = scalars(monitor.to_tensorboard(tmp_path))
    frame = monitor.frame()
    third = frame[frame["name"] == "4"].set_index("step")["dz_rms"]
    assert written["dz_rms/4"] == pytest.approx(third.to_dict(), rel=1e-6)
    assert set(written) >= {"z_rms/0", "dw_rms/6", "saturation/2"} and "dead/0" not in written


def test_without_the_library_it_says_what_to_do(monkeypatch):
    assert needs() == ""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert needs() == "`pip install 'vgexp[tensorboard]'`"


def test_training_exports_every_step_once_also_when_resumed(tmp_path):
    run = small(steps=6, logger="tensorboard")
    store = Store(tmp_path)
    part = Training([run], store)
    for _ in range(3):
        part.observe_and_update()
    with part.saves.logged():
        part.save()
    train_runs([run], store)
    results = read(tmp_path)
    name = results.runs["run"].iloc[0]
    written = scalars(tmp_path / "tensorboard" / name)
    steps = results.steps.set_index("step")["train_loss"].dropna()
    assert written["train_loss"] == pytest.approx(steps.to_dict(), rel=1e-6)
    layers = results.layers[results.layers["layer"] == 1].set_index("step")["dz_rms"].dropna()
    assert written["dz_rms/layer01"] == pytest.approx(layers.to_dict(), rel=1e-6)
