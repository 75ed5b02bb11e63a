"""``python -m analyzer_service``."""

from analyzer_service.cli import main

if __name__ == "__main__":
    main()
