"""`python -m tests.campaign`: see command.py, which worker processes can import under its own name."""

import sys

from tests.campaign.command import main

sys.exit(main())
