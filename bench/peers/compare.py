#!/usr/bin/env python3
"""Says how far an engine's step is from the reference's.

Usage: compare.py BEFORE REFERENCE AFTER (safetensors). Prints one line of JSON: the largest error
over the parameters, its parameter, and how many were compared. The error of a parameter is
|after - reference| / |reference - before| in L2 norms, less what f32 cannot tell apart. Where the
true gradient is zero (a shift that a batch norm takes away again) rounding alone moves a parameter:
so the divisor is at least SMALL of what any parameter moves, element by element.
"""

import json
import math
import sys

import numpy as np

import common

ROUNDING = 2.0**-22  # of a parameter, relative
SMALL = 1e-3


def norm(array):
    return float(np.linalg.norm(array.astype("f8")))


def error(before, reference, after, most):
    """`most`: the largest RMS that a parameter moves."""
    if after.shape != reference.shape or not np.isfinite(after).all():
        return math.inf
    difference = norm(after.astype("f8") - reference)
    difference = max(difference - ROUNDING * norm(reference), 0.0)
    moved = norm(reference.astype("f8") - before)
    return difference / max(moved, SMALL * most * math.sqrt(reference.size))


def main():
    before, reference, after = (common.read_safetensors(path) for path in sys.argv[1:4])
    most = max(norm(reference[name].astype("f8") - before[name]) / math.sqrt(reference[name].size)
               for name in reference if ".running_" not in name)
    errors = {name: error(before[name], reference[name], after[name], most)
              if name in after else math.inf for name in reference}
    worst = max(errors, key=errors.get)
    print(json.dumps({"error": errors[worst], "param": worst, "compared": len(errors)}))


if __name__ == "__main__":
    main()
