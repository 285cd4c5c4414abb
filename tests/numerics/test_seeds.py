import pytest
import torch

from vgexp.config import rules
from vgexp.networks.initializers import weights
from vgexp.numerics.seeds import LARGEST, STREAMS, generator

FIRST_DRAWS = {
    ("weights", ()): [0.7949446204465005, 0.2635225312049789, 0.7020694889383534],
    ("weights", (7, 2)): [0.09296782044321639, 0.6587789584165132, 0.6722318395411387],
    ("batches", ()): [0.9037695511588795, 0.8387155313807947, 0.955623858182845],
    ("batches", (7, 2)): [0.588231171325148, 0.7743024780572104, 0.5967996290891414],
    ("cotangent", ()): [0.8084655446578878, 0.9777805008700935, 0.7567544208620488],
    ("cotangent", (7, 2)): [0.33925776051320056, 0.3411190938690931, 0.01397462436637431],
    ("valid", ()): [0.878889035972783, 0.426620036431274, 0.20048860397577106],
    ("valid", (7, 2)): [0.9144676946783625, 0.9167040382920828, 0.526156194245159],
    ("test", ()): [0.3754692834806207, 0.7722504896718632, 0.3289414628124854],
    ("test", (7, 2)): [0.44274451510318724, 0.7071399181155369, 0.620858621488554],
    ("split", ()): [0.8037662644291655, 0.6996175347384211, 0.38549672990213923],
    ("split", (7, 2)): [0.780473678801632, 0.7699913946093434, 0.5673153879234523],
    ("theory", ()): [0.15609278316089004, 0.32204892641753813, 0.0011394008324107086],
    ("theory", (7, 2)): [0.9901423566849222, 0.8172053200745252, 0.5190535489484318],
}
"""If one of these changes, every stored result that depends on its stream can no longer be computed again."""


def draw(stream, *key):
    return torch.rand(3, generator=generator(stream, *key), dtype=torch.float64).tolist()


@pytest.mark.parametrize(("stream", "key"), FIRST_DRAWS)
def test_the_first_draws_of_a_stream_never_change(stream, key):
    assert draw(stream, *key) == FIRST_DRAWS[stream, key]


def test_every_stream_is_pinned():
    assert {stream for stream, _ in FIRST_DRAWS} == set(STREAMS)


def test_the_first_weights_never_change():
    weight_IO = weights("glorot", 2, 3, generator("weights", 0, 1))
    first_row = [0.24108992654566416, -0.9350224513090926, 1.0406343481636118]
    second_row = [-0.4488761691283403, -0.748998953036711, 0.7070974843793263]
    torch.testing.assert_close(weight_IO.tolist(), [first_row, second_row], rtol=1e-12, atol=0)


def test_streams_and_keys_draw_apart():
    keys = [(stream, *key) for stream in STREAMS for key in ((), (1,), (2,), (0, 1), (1, 1), (1, 0, 1))]
    assert len({tuple(draw(*key)) for key in keys}) == len(keys)


def test_zeros_at_the_end_of_a_key_do_not_count():
    assert draw("weights", 3) == draw("weights", 3, 0) == draw("weights", 3, 0, 0)


@pytest.mark.parametrize("key", [(-1,), (2**32,), (2**32 + 5, 0), (0, 1, 2**32)])
def test_a_number_out_of_range_is_refused(key):
    """numpy reads 2^32 + 5 as two numbers: batch block 0 of that seed would be block 1 of seed 5."""
    with pytest.raises(ValueError, match="integers from 0 to 4294967295"):
        generator("batches", *key)
    assert rules.SEED.holds(LARGEST) and not rules.SEED.holds(LARGEST + 1)


def test_the_largest_seeds_draw_apart():
    assert len({tuple(draw("weights", seed, 1)) for seed in (0, 1, 2**31, LARGEST - 1, LARGEST)}) == 5


def test_nobody_else_moves_a_stream():
    first = draw("batches", 5)
    torch.rand(7)
    draw("batches", 6)
    assert draw("batches", 5) == first
