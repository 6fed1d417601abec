"""Anchors: the heads of the journal, kept where whoever can write the ledger cannot write."""
