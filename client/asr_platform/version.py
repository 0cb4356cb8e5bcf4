"""The version of this client, which is that of the platform it was released with."""

__version__ = "0.1.0"
USER_AGENT = f"asr-platform-python/{__version__}"
