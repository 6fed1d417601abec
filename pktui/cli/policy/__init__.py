"""`pktui policy`: say what each tool may do, check it, explain it, and try it out."""

from __future__ import annotations

from pktui.cli.commands import group
from pktui.cli.policy import documents, rules, trials
from pktui.cli.policy.show import show

policy_app = group()
policy_app.verb("init")(documents.init)
policy_app.verb("validate")(documents.validate)
policy_app.verb("show")(show)
policy_app.verb("set")(rules.set_)
policy_app.verb("undo")(rules.undo)
policy_app.verb("explain")(trials.explain)
policy_app.verb("replay")(trials.replay)
policy_app.verb("convert")(documents.convert)
policy_app.verb("schema")(documents.schema)
