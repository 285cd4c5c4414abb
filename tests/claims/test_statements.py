from dataclasses import FrozenInstanceError

import pytest

from vgexp.claims.statements import Claim, Criterion


def test_no_range_is_widened_and_no_claim_changed_once_it_is_stated():
    criterion = Criterion("x", 0, 1, lambda _: [0.5], expected=0.4)
    claim = Claim("C", "x is below 1", "section 1", (criterion,))
    with pytest.raises(FrozenInstanceError):
        criterion.high = 2
    with pytest.raises(FrozenInstanceError):
        claim.criteria = ()
    assert (claim.scale, claim.expected_verdict) == ("smoke", "holds")
