"""``python -m vats_exporter`` is the same as ``vats-exporter``."""

from vats_exporter.cli import main

if __name__ == "__main__":
    main()
