"""`crbm-lite` and ``python -m crbm_lite``: the command line, if what it needs is installed."""

from __future__ import annotations

import sys

_NO_ROOM = "failed to map segment"  # what the loader says of a library that it cannot place


def main() -> None:
    """Run `crbm_lite.cli.commands`; without the package click, say how to get it (exit code 2)."""
    try:
        from crbm_lite.cli.commands import command_line
    except KeyboardInterrupt:
        print("Error: interrupted", file=sys.stderr)
        sys.exit(130)
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        print(
            "crbm-lite needs the package click: pip install 'crbm_lite[cli]'",
            file=sys.stderr,
        )
        sys.exit(2)
    except (OSError, MemoryError, ImportError) as error:
        if isinstance(error, ImportError) and _NO_ROOM not in str(error):
            raise
        print(
            f"Error: crbm-lite cannot start, perhaps for lack of memory: {error}", file=sys.stderr
        )
        sys.exit(7)
    command_line(prog_name="crbm-lite")


if __name__ == "__main__":
    main()
