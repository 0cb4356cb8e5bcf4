"""`python -m asr_cli`: how `asr up` starts its own programs, wherever the script was installed."""

from asr_cli.entry import main

if __name__ == "__main__":
    main()
