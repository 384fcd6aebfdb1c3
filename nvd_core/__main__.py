"""`python -m nvd_core` is the same as the command `nvd`."""

import sys

from nvd_core.cli.main import main

if __name__ == "__main__":  # processes that Dask starts import it under another name
    sys.exit(main())
