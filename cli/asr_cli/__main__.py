"""`python -m asr_cli`: how `asr up` starts its own programs, wherever the script was installed."""

from asr_cli.main import app

if __name__ == "__main__":
    app(prog_name="asr")
