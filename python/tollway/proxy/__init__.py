"""The data plane: serves ``/v1/*``. It never imports the control plane and never waits for it."""
