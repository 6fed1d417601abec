"""Listening over HTTP: every configured server at `/mcp/<server>`, behind tokens and policies.

Loaded for `pktui gateway --listen` alone: the stdio path must start in milliseconds.
"""
