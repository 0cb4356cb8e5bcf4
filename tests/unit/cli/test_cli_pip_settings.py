"""Where pip looks for packages."""

from __future__ import annotations

from asr_cli.models.pip_settings import parse, read_pip_settings


def test_without_settings_it_is_pypi() -> None:
    assert parse("").pages == ("https://pypi.org/simple",)


def test_files_and_variables_are_merged_as_pip_does() -> None:
    found = parse(
        "global.index-url='https://one.example/simple'\n"
        "global.extra-index-url='https://two.example/simple\\nfile:///three'\n"
        "global.trusted-host='one.example:8080 four.example'\n"
        "install.index-url='https://for-install-only.example'\n"
        "download.proxy='http://proxy.example:3128'\n"
        ":env:.index-url='https://variable.example/simple'\n"
        ":env:.cert='/ca.pem'\n"
        "a line that is none\n"
    )
    assert found.pages == (
        "https://variable.example/simple", "https://two.example/simple", "file:///three",
    )  # fmt: skip
    assert found.proxy == "http://proxy.example:3128"
    assert found.certificates == "/ca.pem"
    assert found.trusted_hosts == ("one.example:8080", "four.example")


def test_no_index_leaves_the_folders() -> None:
    found = parse("global.no-index='true'\nglobal.find-links='/wheels https://links.example/'\n")
    assert (found.pages, found.links) == ((), ("/wheels", "https://links.example/"))


def test_without_pip_the_variables_hold() -> None:
    from asr_cli.models import pip_settings

    listed = pip_settings._of_variables({"PIP_INDEX_URL": "https://a.example/'s", "PATH": "/bin"})
    assert parse(listed).pages == ("https://a.example/'s",)


def test_pip_itself_is_asked() -> None:
    assert read_pip_settings().pages
