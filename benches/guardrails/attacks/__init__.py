"""How the injection classifier is trained and measured."""
