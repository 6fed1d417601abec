"""`pktui policy`: say what each tool may do, check it, explain it, and try it out."""

from __future__ import annotations

import typer

from pktui.cli.policy import documents, rules, trials
from pktui.cli.policy.show import show

policy_app = typer.Typer()
policy_app.command("init")(documents.init)
policy_app.command("validate")(documents.validate)
policy_app.command("show")(show)
policy_app.command("set")(rules.set_)
policy_app.command("undo")(rules.undo)
policy_app.command("explain")(trials.explain)
policy_app.command("replay")(trials.replay)
policy_app.command("convert")(documents.convert)
policy_app.command("schema")(documents.schema)
