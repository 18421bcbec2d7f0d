"""The control plane: people, policy and money. May be slower than the data plane, must be right.

It publishes snapshots (``publish``) that the data plane follows; neither plane imports the other.
"""
