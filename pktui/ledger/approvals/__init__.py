"""What waits for a decision, what was decided for a while, and the PIN that guards both."""
