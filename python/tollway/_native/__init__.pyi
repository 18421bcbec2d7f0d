"""The Rust extension: one module for each module of the core."""

from tollway._native import chat as chat
from tollway._native import content as content
from tollway._native import guardrails as guardrails
from tollway._native import injection as injection
from tollway._native import keys as keys
from tollway._native import leases as leases
from tollway._native import limits as limits
from tollway._native import pii as pii
from tollway._native import routing as routing
from tollway._native import rows as rows
from tollway._native import secrets as secrets
from tollway._native import sse as sse
from tollway._native import tokens as tokens
