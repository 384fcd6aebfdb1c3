"""`python -m nvd_core` is the same as the command `nvd`."""

import sys

from nvd_core.cli.main import main

sys.exit(main())
