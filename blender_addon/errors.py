"""The exception that an artist can meet: what went wrong, and what to do about it."""


class AddonError(Exception):
    """A problem with its remedy.

    `button` names an operator that does the remedy, such as "nvd.install_engine"; "" where there
    is none.
    """

    def __init__(self, problem: str, remedy: str, button: str = ""):
        super().__init__(f"{problem}: {remedy}")
        self.problem = problem
        self.remedy = remedy
        self.button = button
