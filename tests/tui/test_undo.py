from __future__ import annotations

from pktui.tui.undo import STEPS, UndoStack, UndoStep


def _step(label: str) -> UndoStep:
    return UndoStep(label, lambda: label, lambda: None)


def test_the_latest_change_is_taken_back_first() -> None:
    stack = UndoStack()
    stack.push(_step("one"))
    stack.push(_step("two"))
    assert [step.label for step in (stack.pop(), stack.pop()) if step] == ["two", "one"]
    assert stack.pop() is None


def test_only_the_last_ten_changes_are_kept() -> None:
    stack = UndoStack()
    for number in range(STEPS + 5):
        stack.push(_step(str(number)))
    assert len(stack) == STEPS


def test_every_change_of_the_stack_is_told() -> None:
    told: list[int] = []
    stack = UndoStack(lambda: told.append(1))
    stack.push(_step("one"))
    stack.pop()
    assert len(told) == 2
