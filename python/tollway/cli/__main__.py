"""``python -m tollway.cli``."""

from tollway.cli import main

if __name__ == "__main__":
    main()
