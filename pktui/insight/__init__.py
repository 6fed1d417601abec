"""What is shown of policy and ledger: read models for the console and the commands."""
