"""What all tests have in common."""

import logging


def pytest_runtest_setup() -> None:
    """A command that a test ran in this process leaves a log handler to a stream that is closed."""
    logger = logging.getLogger()
    for handler in logger.handlers[:]:
        if getattr(getattr(handler, "stream", None), "closed", False):
            logger.removeHandler(handler)
