"""`python -m agent.cli`: the same as the executable `modem-agent`, where the package is not installed."""

from agent.cli import main

if __name__ == "__main__":
    main()
