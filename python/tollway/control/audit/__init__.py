"""The trail of what was changed through the control plane, and by whom."""
