from __future__ import annotations

from pktui.tui.undo_history import STEPS, UndoStack, UndoStep


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


def test_what_is_asked_for_during_a_change_waits_for_its_end() -> None:
    stack = UndoStack()
    taken: list[str] = []

    def take() -> None:
        step = stack.pop()
        taken.append(step.label if step else "nothing")

    stack.push(_step("before"))
    stack.begin()
    stack.when_settled(take)
    assert stack.can_undo
    assert taken == []
    stack.push(_step("the change"))
    stack.end()
    assert taken == ["the change"]


def test_taking_back_is_a_change_that_the_next_one_waits_for() -> None:
    stack = UndoStack()
    order: list[str] = []
    stack.begin()

    def take() -> None:
        order.append("first")
        stack.begin()

    stack.when_settled(take)
    stack.when_settled(lambda: order.append("second"))
    stack.end()
    assert order == ["first"]
    stack.end()
    assert order == ["first", "second"]


def test_steps_of_an_owner_are_forgotten() -> None:
    stack = UndoStack()
    for label, owner in (("a", ""), ("b", "drafts"), ("c", "drafts")):
        stack.push(UndoStep(label, lambda: "", lambda: None, owner))
    stack.forget("drafts")
    assert [step.label for step in (stack.pop(), stack.pop()) if step] == ["a"]


def test_each_beginning_and_end_is_a_move() -> None:
    stack = UndoStack()
    stack.begin()
    assert (stack.moves, stack.running) == (1, True)
    stack.end()
    assert (stack.moves, stack.running) == (2, False)
