"""The two exceptions that users can meet: a problem with its remedy, and a cancellation."""


class NvdError(Exception):
    """Something the user can put right.

    `problem` says what went wrong; `expected` and `found` make it concrete where that helps;
    `remedy` says what to do. The command line prints two lines, the panel a message with a button.
    """

    def __init__(self, problem: str, *, remedy: str, expected: str = "", found: str = ""):
        super().__init__(problem)
        self.problem = problem
        self.expected = expected
        self.found = found
        self.remedy = remedy

    def __str__(self) -> str:
        """The first of the two lines."""
        details = [f"expected {self.expected}"] if self.expected else []
        details += [f"found {self.found}"] if self.found else []
        return self.problem + (f" ({'; '.join(details)})" if details else "")


class Unconfirmed(NvdError):
    """The user has to agree first: `reads` is what would be read, in words with its path."""

    def __init__(self, problem: str, *, remedy: str, reads: tuple[str, ...], found: str = ""):
        super().__init__(problem, remedy=remedy, found=found)
        self.reads = reads


class Cancelled(Exception):
    """The user asked to stop. Everything reached so far is on disk and can be resumed."""
