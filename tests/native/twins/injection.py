"""The linear model once more, slowly: a text's score from its features and the weights, in plain floats."""

import math
import struct

GROUPS = (0, 1 << 17, 1 << 18, (1 << 18) + (1 << 16))
HEAD = 28


def window_score(features: list[int], weights: bytes) -> float:
    """Each group's sum of weights over the root of its count, traits in full; then the logistic function."""
    *scales, bias, slope = struct.unpack("<6f", weights[4:HEAD])
    total = bias
    for group, first in enumerate(GROUPS):
        last = (*GROUPS[1:], len(weights))[group]
        inside = [feature for feature in features if first <= feature < last]
        norm = 1.0 if group == 3 else math.sqrt(max(1, len(inside)))
        signed = struct.unpack(f"{len(weights) - HEAD}b", weights[HEAD:])
        total += scales[group] * sum(signed[feature] for feature in inside) / norm
    return 1 / (1 + math.exp(-slope * total))


def score(windows: list[list[int]], weights: bytes) -> float:
    """The worst window's; 0 without one."""
    return max((window_score(window, weights) for window in windows), default=0.0)
