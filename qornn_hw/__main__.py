"""`qornn-hw` and `python -m qornn_hw`: as little as can be, so that Ctrl-C is met even while modules load."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    try:
        from qornn_hw.cli.main import main as run

        run()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
