"""What the two planes say to each other: plain frozen data, and the ports between them. No behaviour, no I/O."""
