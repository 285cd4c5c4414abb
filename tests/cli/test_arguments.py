from vgexp.cli.arguments import completed_field


def test_fields_are_completed_ready_for_a_value():
    assert completed_field("model.de") == ["model.depth="]
    assert completed_field("nothing") == []
