"""What was measured on this machine."""

from search.engine.remembered import remembered


def test_what_was_measured_on_this_machine_is_not_measured_again():
    values = iter([{"bf16": True}, {"bf16": False}])
    first, again = (remembered("test", ("torch", (1, 8, 8)), lambda: next(values)) for _ in range(2))
    assert first == again == {"bf16": True}
    assert remembered("test", ("torch", (3, 8, 8)), lambda: next(values)) == {"bf16": False}
