"""Station 6: calling providers. ``port.py`` is all that the station knows of them; each kind is one small file."""
