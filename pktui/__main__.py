"""Run pktui as `python -m pktui`."""

from pktui.cli.entry import main

if __name__ == "__main__":
    main()
