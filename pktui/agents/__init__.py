"""What joins pktui to coding agents: which clients are here, and what stands between them."""
