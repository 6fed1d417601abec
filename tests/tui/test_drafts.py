from __future__ import annotations

from pktui.policy.rule_change import Change
from pktui.tui.drafts import Drafts


def test_each_tool_has_one_draft_in_the_order_they_were_begun() -> None:
    told: list[int] = []
    drafts = Drafts(lambda: told.append(1))
    drafts.put("files", Change("b", "deny"))
    drafts.put("files", Change("a", "allow"))
    drafts.put("files", Change("b", "hide", reason="No."))
    drafts.put("mail", Change("a", limit="5/minute"))
    assert drafts.of("files") == (Change("b", "hide", reason="No."), Change("a", "allow"))
    assert (drafts.total, drafts.servers) == (3, ("files", "mail"))
    assert drafts.get("mail", "b") == Change("b")
    assert len(told) == 4


def test_a_draft_that_changes_nothing_is_none() -> None:
    drafts = Drafts()
    drafts.put("files", Change("a", "deny"))
    drafts.put("files", Change("a"))
    assert (drafts.total, drafts.servers) == (0, ())
    drafts.put("files", Change("a", limit="", reason=""))
    assert drafts.total == 1


def test_what_was_written_is_no_draft_any_more_and_what_was_drafted_since_is() -> None:
    drafts = Drafts()
    written = (Change("a", "deny"), Change("b", "allow", reason="Yes."))
    for change in written:
        drafts.put("files", change)
    drafts.put("files", Change("b", "deny", reason="Yes."))
    drafts.put("files", Change("c", "hide"))
    drafts.drop("files", written)
    assert drafts.of("files") == (Change("b", "deny"), Change("c", "hide"))
    assert drafts.drop("files") == (Change("b", "deny"), Change("c", "hide"))
    assert drafts.total == 0
