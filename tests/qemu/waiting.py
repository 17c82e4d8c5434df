"""How the device tests wait: for what is true in the end, as long as a slow guest may take."""

from __future__ import annotations

from functools import partial

from tests import waiting

PATIENCE_S = 480  # a guest under TCG, on a machine that may have other things to do as well

# The same for a guest's shell: `until_true 'COMMAND'`.
SHELL_WAIT = """
until_true() {
  n=0
  until eval "$1"; do n=$((n + 1)); [ $n -lt 1200 ] || { echo "not: $1"; exit 1; }; sleep 0.1; done
}
"""


# A look at a guest costs a second of its own.
wait_for = partial(waiting.wait_for, patience_s=PATIENCE_S, every_s=1.0)
