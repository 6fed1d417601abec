"""`pktui policy`: say what each tool may do, check it, explain it, and try it out."""

from __future__ import annotations

from pktui.cli.commands import group

policy_app = group()
for _name, _place in (
    ("init", "documents:init"),
    ("validate", "documents:validate"),
    ("show", "show:show"),
    ("set", "rules:set_"),
    ("merge", "rules:merge"),
    ("undo", "rules:undo"),
    ("explain", "explain:explain"),
    ("replay", "replay:replay"),
    ("convert", "documents:convert"),
    ("schema", "documents:schema"),
    ("bundle", "bundles:bundle"),
    ("fetch", "bundles:fetch"),
):
    policy_app.later(_name, f"pktui.cli.policy.{_place}")
