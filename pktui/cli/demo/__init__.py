"""`pktui demo`: the whole story on throwaway data."""
