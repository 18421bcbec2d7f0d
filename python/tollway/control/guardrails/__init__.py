"""Guardrail policies: those that the configuration declares are shown, others are made, changed and tried here."""
