"""The program: ``vats-exporter``, or ``python -m vats_exporter``."""

import gc
import os
import signal


def main() -> None:
    """Run the command line and exit."""
    # Before anything else is imported: until `serve` handles it, a SIGHUP would end the process.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    # A plugin of pydantic, there for another program, would see every password.
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    # Imports make no garbage, and looking for it takes a tenth of their time. On with the command.
    gc.disable()
    from vats_exporter.cli import main as run  # noqa: PLC0415 - see above

    run()


if __name__ == "__main__":
    main()
