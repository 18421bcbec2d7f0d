"""Between planning and calling: the money that a call may cost is held before it leaves."""
