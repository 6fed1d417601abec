"""Whether a call happens: the Enforcer, its steps, and what the agent is told."""
