"""What joins pktui to coding agents."""
