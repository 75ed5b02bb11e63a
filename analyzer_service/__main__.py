"""``python -m analyzer_service``, also where its installation is broken: then it says what is."""

import sys


def main() -> None:
    """Run the command line."""
    try:
        from analyzer_service.cli import main as run
    except ImportError as error:
        from analyzer_service.doctor.broken import examine_broken

        sys.exit(examine_broken(error))
    run()


if __name__ == "__main__":
    main()
