"""Approvals: who asks, what exactly would run, and the person's answer."""
