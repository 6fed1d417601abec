"""Put the agents of this machine behind pktui, and take that back.

Imports no gateway, so that the console may use it.
"""

from pktui.agents.adopting.carrying_out import FileDone, carry_out
from pktui.agents.adopting.plan import FileChange, Plan, plan_adoption, plan_release

__all__ = ["FileChange", "FileDone", "Plan", "carry_out", "plan_adoption", "plan_release"]
