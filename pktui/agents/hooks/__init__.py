"""`pktui hook`: the policy before an agent's own tools, its shell, files and network."""
