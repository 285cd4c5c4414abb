from vgexp.cli.arguments import completed_field


def test_fields_and_their_groups_are_completed_ready_for_a_value():
    assert completed_field("model.de") == ["model.depth="]
    assert completed_field("exp") == ["experiment="] and completed_field("data") == [
        *("data.name=", "data.batch_size=", "data.range=", "data.seed=", "data="),
    ]
    assert completed_field("nothing") == []


def test_what_nobody_may_type_is_not_offered():
    assert completed_field("scales") == completed_field("members") == []
