from dataclasses import replace

import numpy as np
import pytest
import torch
from samples import small

from vgexp.networks.building import blueprints, build
from vgexp.theory.expected import expected


def residual(**changes):
    return small(model__family="residual", **changes)


def test_parts():
    keys = [(part.key, part.fan_in, part.fan_out) for part in blueprints(residual(model__branch_layers=2), 64, 10)]
    assert keys == [
        ((1, ""), 64, 12),
        ((2, "inner"), 12, 12),
        ((2, ""), 12, 12),
        ((3, "inner"), 12, 12),
        ((3, ""), 12, 12),
        ((4, ""), 12, 10),
    ]


@pytest.mark.parametrize(("matrices", "branch"), [(1, 1.0), (1, 0.3), (2, 1.0), (2, 0.5)])
def test_linear_residual_networks_grow_by_the_closed_form(matrices, branch):
    """With phi = identity and fan_in Var W = 1, mean squares grow by 1 + r^2 a block, in both directions."""
    run = residual(
        model__activation="identity",
        init__name="lecun",
        model__depth=6,
        model__branch=branch,
        model__branch_layers=matrices,
    )
    rows = expected(run).query("part == ''").set_index("layer")
    dx2 = rows["dx_rms"].to_numpy()[:6] ** 2
    assert dx2[:-1] / dx2[1:] == pytest.approx([1 + branch**2] * 5)
    z2 = rows["z_rms"].to_numpy() ** 2
    assert z2[5] / z2[4] == pytest.approx(1 + branch**2)  # what the branch of block 6 puts out over that of block 5
    assert rows["dz_rms"][3] == pytest.approx(branch * rows["dx_rms"][3])


@pytest.mark.parametrize("matrices", [1, 2])
@pytest.mark.parametrize(("activation", "init", "branch"), [("tanh", "lecun", 1.0), ("relu", "he", 0.5)])
def test_theory_against_wide_random_networks(matrices, activation, init, branch, train_all):
    """12 seeds of width 500: the mean square of every signal within 4 standard errors and 2 %."""
    runs = [
        residual(
            seed=seed,
            steps=0,
            model__width=500,
            model__depth=5,
            model__activation=activation,
            model__branch=branch,
            model__branch_layers=matrices,
            init__name=init,
            init__sigma_b=0.2,
            probe__on="monitor",
            loss="cotangent",
            dtype="float32",
        )
        for seed in range(12)
    ]
    theory = expected(runs[0]).set_index(["layer", "part"]).sort_index()
    theory["h_rms"] = np.hypot(theory["h_mean"], theory["h_std"])
    layers = train_all(*runs).records.tables()["layers"]
    for column in ("z_rms", "h_rms", "dz_rms", "dx_rms"):
        table = layers.pivot(index="run", columns=["layer", "part"], values=column).sort_index(axis=1)
        assert list(table.columns[table.notna().all()]) == list(theory.index[theory[column].notna()])
        ratio = (table**2 / theory[column] ** 2).dropna(axis=1)
        error = ratio.std(ddof=1) / len(runs) ** 0.5
        assert (abs(ratio.mean() - 1) < 4 * error + 0.02).all(), column
        assert error.drop(index=(6, ""), errors="ignore").max() < 0.08  # it can tell a law that is off by a third


def test_the_gradient_of_a_deep_residual_network_is_alive_where_a_plain_one_has_lost_it(train_all):
    deep = {"model__depth": 60, "steps": 0, "init__name": "standard"}
    plain, skip = train_all(small(**deep)), train_all(residual(**deep))
    fall = {}
    for name, training in (("plain", plain), ("residual", skip)):
        dx = training.records.tables()["layers"].query("layer <= 60")["dx_rms"].to_numpy()
        fall[name] = np.log10(dx[-1] / dx[0])
    assert fall["plain"] > 6 and abs(fall["residual"]) < 3


def test_the_state_is_the_sum_of_its_branches():
    run = residual(model__branch=0.5)
    network = build([run], 64, 10, torch.device("cpu"))
    x = torch.rand(1, 3, 64, dtype=torch.float64)
    value = {key: part.tensors["weight"].detach() for key, part in network.parts.items()}
    state = x @ value[1, ""]
    for layer in (2, 3):
        state = state + 0.5 * torch.tanh(state) @ value[layer, ""]
    torch.testing.assert_close(network(x), torch.tanh(state) @ value[4, ""], rtol=1e-13, atol=1e-13)


def test_theory_of_fixup():
    """Branches that add nothing pass the gradient on as it is; the readout of 0 lets none through."""
    run = residual(model__branch_layers=2, model__depth=6, model__activation="relu", init__name="fixup")
    rows = expected(replace(run, init=replace(run.init, scope="hidden"))).set_index(["layer", "part"])
    dx = rows["dx_rms"].xs("", level="part")[:6]
    assert dx.to_numpy() == pytest.approx([dx[6]] * 6) and dx[6] > 0
    assert rows["z_rms"][3, "inner"] ** 2 == pytest.approx(rows["z_rms"][1, ""] ** 2 / 2 * 2 / 5)
    assert (rows["z_rms"].xs("", level="part")[1:6] == 0).all()
    assert (expected(run).set_index("layer")["dx_rms"].dropna() == 0).all()
