from vgexp.config.fields import FIELDS
from vgexp.results.loggers import LOGGERS


def test_each_is_accepted_and_no_other():
    rule = FIELDS["logger"].rule
    assert all(rule.holds(name) for name in ("none", *LOGGERS)) and not rule.holds("nonsense")
    assert rule.words == ", ".join(["none", *LOGGERS])
