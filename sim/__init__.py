"""Judgement: hardware simulated against the integer model."""
