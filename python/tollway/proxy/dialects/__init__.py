"""What clients speak: how their requests become the hub's, and how they hear answers. ``port.py`` says what one is."""
