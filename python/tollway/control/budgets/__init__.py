"""Budgets: made here or declared in the configuration file, and how what is spent of them stands."""
