import numpy as np
from drawn import assert_drawn

from vgexp.papers.griewank2000 import figures
from vgexp.papers.griewank2000.claims import DEPTHS, SNAPSHOTS, fewest


def test_steps_are_counted_in_flops_and_the_line_is_the_optimum(committed):
    results = committed("griewank2000")
    picture = figures.steps(results)
    runs = results.runs
    for depth, rows in picture.frame.groupby("depth"):
        stored = runs[runs["run"].isin(results.grids["store"]) & (runs["model.depth"] == depth)]
        measured = rows.dropna(subset="value").set_index("snapshots")
        assert list(measured.index) == list(SNAPSHOTS)
        for snapshots, row in measured.iterrows():
            mine = runs[runs["run"].isin(results.grids["revolve"]) & (runs["model.depth"] == depth)]
            mine = mine[mine["checkpoint.every"] == f"revolve({snapshots})"]
            again = (mine["backward_flops"].mean() - stored["backward_flops"].mean()) / (2 * 64**3)
            np.testing.assert_allclose(row["value"], again / depth)
            assert row["seeds"] == len(mine) == 2
        optimum = [fewest(depth, snapshots) / depth for snapshots in rows["snapshots"]]
        np.testing.assert_allclose(rows["theory"], optimum)
    assert set(picture.frame["depth"]) == set(DEPTHS)
    assert_drawn(picture, "value", "theory")
