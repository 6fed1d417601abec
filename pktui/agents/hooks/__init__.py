"""`pktui hook`: the policy before an agent's own tools, its shell, files and network."""

# The agents whose own tools are decided: each has a module here, and a policy that is shipped.
HOOKED = ("claude-code", "codex", "gemini", "opencode")
