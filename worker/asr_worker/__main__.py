"""`python -m asr_worker`."""

if __name__ == "__main__":
    # Here and not above: the decoder processes import this module too and need nothing of it.
    from asr_worker.process.main import leave, main

    leave(main())
