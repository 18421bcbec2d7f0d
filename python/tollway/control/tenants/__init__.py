"""Tenants: who is served, within which limits, with which models and under which guardrails."""
